"""A graph of layers, or a subclass with a `call` of its own, as one layer: what models have beside training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, GraphError, UnknownNameError, suggestion
from kcore.graph import phase
from kcore.graph.ir import Symbolic
from kcore.layers.base import Layer
from kcore.layers.input import InputLayer
from kcore.layers.node import Node, previous_masks
from kcore.models.configuration import Configuration
from kcore.models.execution import GraphExecution, run_key
from kcore.models.topology import get_source_inputs, map_graph, node_key
from kcore.models.tracing import needs_only, set_inputs
from kcore.utils.generic_utils import to_list, unpack_singleton
from kcore.utils.objects import has_arg

__all__ = ["Network", "get_source_inputs"]


class Network(Configuration, GraphExecution, Layer):
    """Layers between inputs and outputs.

    `Network(inputs, outputs, name=None)` is the graph of layers between them. A subclass that defines `call` passes
    no inputs and outputs to this constructor.
    """

    # The layers inside have declared their shapes already.
    _shape_from_trace = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for old, new in (("input", "inputs"), ("output", "outputs")):
            if old in kwargs:
                warnings.warn(f"The argument `{old}` of models is called `{new}`.", stacklevel=3)
                kwargs[new] = kwargs.pop(old)
        names = ("inputs", "outputs", "name")
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes inputs, outputs and name, got {len(args)} arguments.")
        kwargs.update(zip(names, args, strict=False))
        if "inputs" in kwargs and "outputs" in kwargs:
            self._init_graph_network(**kwargs)
        elif "inputs" in kwargs or "outputs" in kwargs:
            raise TypeError(
                f"{type(self).__name__} needs both `inputs` and `outputs`; got only "
                f"`{'inputs' if 'inputs' in kwargs else 'outputs'}`."
            )
        else:
            self._init_subclassed_network(**kwargs)

    # --- construction -------------------------------------------------------------------------------------

    def _base_init(self, name: str | None = None, trainable: bool = True, dtype: str | None = None) -> None:
        prefix = type(self).__name__.lower()
        self.name = name or f"{prefix}_{K.get_uid(prefix)}"
        self.trainable = trainable
        self.dtype = dtype or K.floatx()
        self._is_compiled = False
        self._expects_training_arg = False
        self._initial_weights = None
        self.supports_masking = False
        if not hasattr(self, "optimizer"):
            self.optimizer: Any = None
        self._init_state()
        self._layers: list[Any] = []
        self._outbound_nodes: list[Node] = []
        self._inbound_nodes: list[Node] = []
        self._run_cache: dict[Any, Any] = {}

    def _init_graph_network(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        self.__dict__["_is_graph_network"] = True
        self.__dict__["_tracks_attributes"] = False
        self.inputs: Any = to_list(inputs, allow_tuple=True)
        self.outputs: Any = to_list(outputs, allow_tuple=True)
        self._uses_inputs_arg = True
        self._check_ends()
        self._base_init(name=name, **kwargs)
        self._compute_previous_mask = True
        self.built = True
        self._input_coordinates = [x._keras_history for x in self.inputs]
        self._output_coordinates = [x._keras_history for x in self.outputs]
        self._input_layers = [layer for layer, _, _ in self._input_coordinates]
        self._output_layers = [layer for layer, _, _ in self._output_coordinates]
        topology = map_graph(self.inputs, self.outputs)
        self._network_nodes = topology.node_keys
        self._nodes_by_depth = topology.nodes_by_depth
        self._layers = topology.layers
        self._layers_by_depth = topology.layers_by_depth
        Node(
            self, [], [], [], self.inputs, self.outputs,
            [None] * len(self.inputs), [None] * len(self.outputs),
            [x._keras_shape for x in self.inputs], [x._keras_shape for x in self.outputs],
        )  # fmt: skip
        self._remember_own_run()
        self._name_ends()

    def _check_ends(self) -> None:
        kind = type(self).__name__
        if len({id(x) for x in self.inputs}) != len(self.inputs):
            raise GraphError(
                "The list of inputs passed to the model is redundant. All inputs should only appear once. Found: "
                f"{self.inputs}"
            )
        for x in self.inputs:
            if not hasattr(x, "_keras_history"):
                raise GraphError(
                    f"Input tensors to a {kind} must come from `keras.layers.Input`. Received: {x} (missing previous "
                    "layer metadata)."
                )
            layer = x._keras_history[0]
            if not isinstance(layer, InputLayer):
                raise TypeError(
                    f"Input layers to a `{kind}` must be `InputLayer` objects, made by `keras.layers.Input(shape)`. "
                    f"Received {x}, which comes from layer {layer.name} of type `{type(layer).__name__}`."
                )
        for x in self.outputs:
            if not hasattr(x, "_keras_history"):
                raise GraphError(
                    f"Output tensors to a {kind} must be the output of a Keras `Layer` (thus holding past layer "
                    f"metadata). Found: {x}. Put operations between layers into a `Lambda` layer."
                )

    def _remember_own_run(self) -> None:
        """The masks of a run on the model's own inputs are known; running it again would build the graph twice."""
        masks: list[Any] = previous_masks(self.inputs)
        key = run_key(self.inputs, masks)
        run = (self.outputs, previous_masks(self.outputs), self.inputs, masks)
        self._run_cache[key] = self._run_cache[key, phase.fixed_value()] = run

    def _name_ends(self) -> None:
        self.input_names = [layer.name for layer in self._input_layers]
        self.output_names = [layer.name for layer in self._output_layers]
        fed = [(layer, x) for layer, x in zip(self._input_layers, self.inputs, strict=True) if layer.is_placeholder]
        self._feed_input_names = [layer.name for layer, _ in fed]
        self._feed_inputs = [x for _, x in fed]
        self._feed_input_shapes = [x._keras_shape for _, x in fed]

    def _init_subclassed_network(self, name: str | None = None, **kwargs: Any) -> None:
        self.__dict__["_is_graph_network"] = False
        self._base_init(name=name, **kwargs)
        self._expects_training_arg = has_arg(self.call, "training")
        self._uses_inputs_arg = has_arg(self.call, "inputs")
        self.outputs = None
        self.inputs = None
        self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of a subclassed model for inputs of this shape (a list of shapes for several)."""
        if self._is_graph_network or self.inputs or input_shape is None:
            return
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        set_inputs(self, [K.placeholder(shape=shape, name=f"input_{i + 1}") for i, shape in enumerate(shapes)])

    def _build_for(self, inputs: Any) -> None:
        """Before a call as a layer: the call itself makes the weights, unless the model has a `build` of its own."""
        if not self.built and type(self).build is not Network.build:
            super()._build_for(inputs)
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Layer) and "_is_graph_network" not in self.__dict__:
            raise RuntimeError(
                f"The layer {value.name!r} is set on a {type(self).__name__} before its constructor ran: it looks as "
                "if you are subclassing `Model` and forgot to call `super().__init__()`. Always start with this line."
            )
        super().__setattr__(name, value)

    # --- layers -------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Any]:  # type: ignore[override]
        """All layers, inputs first."""
        return self._layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by name, or by its place in `layers`. Raises an error that lists the names."""
        if index is not None:
            if len(self.layers) <= index:
                raise ArgumentError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(self.layers)} layers."
                )
            return self.layers[index]
        if not name:
            raise ArgumentError("Provide either a layer name or layer index.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise UnknownNameError(f"No such layer: {name}.{suggestion(name, names)} Known: {', '.join(names)}.")

    @property
    def input_spec(self) -> Any:
        """What the model's input layers expect; None for subclassed models."""
        if not self._is_graph_network:
            return None
        return unpack_singleton([None for _ in self._input_layers])

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        """Models take theirs from their input layers."""

    @property
    def uses_learning_phase(self) -> bool:
        """Whether training and test differ."""
        return any(getattr(x, "_uses_learning_phase", False) for x in self.outputs or ())

    # --- state --------------------------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def trainable_weights(self) -> list[Any]:
        """Weights that training changes; none when the model is frozen."""
        if not self.trainable:
            return []
        return self._trainable_weights + [w for layer in self.layers for w in layer.trainable_weights]

    @property  # type: ignore[misc]
    def non_trainable_weights(self) -> list[Any]:
        """Weights that training leaves alone; all of them when the model is frozen."""
        fixed = self._non_trainable_weights + [w for layer in self.layers for w in layer.non_trainable_weights]
        if self.trainable:
            return fixed
        return self._trainable_weights + [w for layer in self.layers for w in layer.trainable_weights] + fixed

    def _weights_by_layer(self) -> list[Any]:
        own = self._trainable_weights + self._non_trainable_weights
        return own + [w for layer in self.layers for w in layer.weights]

    def get_weights(self) -> list[Any]:
        """The values of all weights, layer by layer, as NumPy arrays."""
        return K.batch_get_value(self._weights_by_layer())  # type: ignore[no-any-return]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays in the order of `get_weights`. Raises ShapeError when they do not fit."""
        self._assign_weights(self._weights_by_layer(), weights)

    @property
    def losses(self) -> list[Any]:
        """Penalties of the layers, for this model's inputs."""
        found = self._collect("losses") + self.get_own_losses()
        numbers = [x for x in found if not isinstance(x, Symbolic)]
        return _unique([x for x in found if isinstance(x, Symbolic)]) + numbers

    def get_own_losses(self) -> list[Any]:
        """Penalties that `model.add_loss` added to this model itself."""
        return list(self._per_input_losses.get(None, []))

    @property
    def updates(self) -> list[Any]:
        """Updates of the layers, for this model's inputs; none when the model is frozen (and not stateful)."""
        if not self.trainable and not self.stateful:
            return []
        return _unique(self._collect("updates"))

    def _collect(self, what: str, *, stateful_only: bool = False) -> list[Any]:
        """`losses` or `updates` of all layers that this model's inputs lead to, and those that need no input."""
        found: list[Any] = []
        for layer in self.layers:
            if stateful_only and not layer.stateful:
                continue
            if not self._is_graph_network:  # calls on other inputs left theirs too
                found += [item for item in getattr(layer, what) if not self.inputs or needs_only(item, self.inputs)]
                continue
            get = getattr(layer, f"get_{what}_for")
            for index, node in enumerate(layer._inbound_nodes):
                if node_key(layer, index) in self._network_nodes:
                    found += get(node.input_tensors)
            found += get(None)
        return found

    @property
    def stateful(self) -> bool:
        """Whether a layer carries state from batch to batch."""
        return any(getattr(layer, "stateful", False) for layer in self.layers)

    @stateful.setter
    def stateful(self, value: bool) -> None:
        """Models are stateful when a layer is."""

    @property
    def state_updates(self) -> list[Any]:
        """Updates of stateful layers: prediction makes them too."""
        return _unique(self._collect("updates", stateful_only=True))

    def reset_states(self) -> None:
        """Forget the states of all stateful layers."""
        for layer in self.layers:
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
                layer.reset_states()


def _unique(items: list[Any]) -> list[Any]:
    return list({id(x): x for x in items}.values())
