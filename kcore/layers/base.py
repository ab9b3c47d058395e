"""The base of all layers: configuration, building, and what a call records."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, GraphError, suggestion
from kcore.graph import ir
from kcore.graph.ir import Symbolic
from kcore.layers.input_spec import InputSpec, check_inputs
from kcore.layers.native import call_layer
from kcore.layers.node import LayerNodes, Node, previous_masks
from kcore.layers.shapes import declared_shapes
from kcore.layers.state import LayerState
from kcore.utils.generic_utils import is_all_none, to_list, unpack_singleton
from kcore.utils.objects import has_arg

__all__ = ["InputSpec", "Layer", "Node"]

_ALLOWED = (
    "input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable", "weights", "input_dtype",
)  # fmt: skip


class Layer(LayerNodes, LayerState):
    """A function of tensors with weights of its own.

    Define `build(input_shape)`, which makes the weights with `add_weight`; `call(inputs)`, written in K; and
    `compute_output_shape(input_shape)` where the shape changes. `call` may take `training` and `mask`.

    Args:
        name: unique in a model; `dense_1` and so on when None.
        trainable: whether training changes the weights.
        dtype: of the weights; floatx when None.
        input_shape: for a model's first layer: the shape of a sample.
        batch_input_shape: the same with the batch size in front.
        batch_size: with `input_shape`, a fixed batch size.
        weights: initial values, in the order of `get_weights`.
    """

    _device: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        self.input_spec: Any = None
        self.supports_masking = False
        self.stateful = False
        self._init_state()
        self._built = False
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []
        for argument in kwargs:
            if argument not in _ALLOWED:
                raise self._unknown_argument(argument)
        self._device = ir.current_device()
        self.name = kwargs.get("name") or _default_name(type(self).__name__)
        self.trainable = kwargs.get("trainable", True)
        if kwargs.get("batch_input_shape") is not None:
            self.batch_input_shape = tuple(kwargs["batch_input_shape"])
        elif kwargs.get("input_shape") is not None:
            shape = kwargs["input_shape"]
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            self.batch_input_shape = (kwargs.get("batch_size"), *shape)
        self.dtype = kwargs.get("dtype") or kwargs.get("input_dtype") or K.floatx()
        self._initial_weights = kwargs.get("weights")

    def _unknown_argument(self, argument: str) -> TypeError:
        known = list(_ALLOWED)
        for cls in type(self).__mro__:
            if "__init__" in vars(cls):
                known += [p for p in inspect.signature(vars(cls)["__init__"]).parameters if p not in ("self", "kwargs")]
        return TypeError(
            f"Keyword argument not understood by {type(self).__name__}: {argument!r}."
            f"{suggestion(argument, known)} Known: {', '.join(sorted(set(known)))}."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self._track(name, value)
        super().__setattr__(name, value)

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._built

    @built.setter
    def built(self, value: bool) -> None:
        self._built = value

    # --- to be defined by layers --------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (a list of shapes for several inputs)."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The formula: tensors to a tensor or a list of tensors."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output (a list for several outputs), batch size included."""
        return input_shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output: that of the input when the layer supports masking, else None.

        Raises TypeError when a mask meets a layer that does not support masking.
        """
        if self.supports_masking:
            return mask
        if mask is not None and not is_all_none(mask):
            raise TypeError(
                f"Layer {self.name} does not support masking, but was passed an input_mask: {mask}. Use a layer that "
                "does, or drop the mask before it."
            )
        return None

    # --- calls --------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Apply the layer to tensors; builds it at the first call, and records the call for models.

        Args:
            inputs: a tensor, or a list of tensors.
            **kwargs: for `call`.
        """
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else inputs
        with K.name_scope(self.name), self._placed():
            self.assert_input_compatibility(inputs)
            self._build_for(inputs)
            input_list = to_list(inputs)
            masks = previous_masks(input_list)
            arguments = dict(kwargs)
            mask = unpack_singleton(masks)
            if not is_all_none(mask) and "mask" not in kwargs and has_arg(self.call, "mask"):
                kwargs["mask"] = mask
            with self._calling(input_list):
                outputs = self._checked_outputs(call_layer(self, inputs, kwargs), input_list)
            output_masks = _per_output(self.compute_mask(inputs, mask), outputs)
            self._add_inbound_node(
                input_list,
                outputs,
                masks,
                output_masks,
                [K.int_shape(x) for x in input_list],
                declared_shapes(self, inputs, outputs),
                arguments,
            )
            self._add_activity_losses(outputs, input_list)
        return unpack_singleton(outputs)

    def _placed(self) -> AbstractContextManager[None]:
        """Ops and weights go to the device of the scope that is open, or of the one the layer was made or called in."""
        here = ir.current_device()
        if here is not None and self._device is None:
            self._device = here
        return ir.on_device(here or self._device)

    def _build_for(self, inputs: Any) -> None:
        if self.built:
            return
        shapes = [K.int_shape(x) for x in to_list(inputs)]
        self.build(unpack_singleton(shapes) if not isinstance(inputs, list) or len(shapes) == 1 else shapes)
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None
        self.assert_input_compatibility(inputs)

    def _checked_outputs(self, output: Any, inputs: list[Any]) -> list[Symbolic]:
        """The outputs of `call` as a list of tensors that belong to this call alone."""
        outputs = []
        for x in to_list(output, allow_tuple=True):
            if x is None:
                raise GraphError(f"`call` of layer {self.name} gave None; expected a tensor. Is a `return` missing?")
            tensor = x if isinstance(x, Symbolic) else K.constant(x)
            history = getattr(tensor, "_keras_history", None)
            # A tensor has one history: handed on unchanged, or given before, it gets a name of its own.
            if any(tensor is y for y in inputs) or (history is not None and history[0] is self):
                tensor = K.identity(tensor)
            outputs.append(tensor)
        return outputs

    def _add_activity_losses(self, outputs: list[Symbolic], inputs: list[Any]) -> None:
        regularizer = getattr(self, "activity_regularizer", None)
        if regularizer is not None:
            with K.name_scope("activity_regularizer"):
                self.add_loss([regularizer(x) for x in outputs], inputs=inputs)

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Raise an error when the inputs are not what `input_spec` says."""
        check_inputs(self, inputs)

    # --- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain values; layers with arguments of their own extend it."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if hasattr(self, "batch_input_shape"):
            config["batch_input_shape"] = self.batch_input_shape
        if hasattr(self, "dtype"):
            config["dtype"] = self.dtype
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A layer from the result of `get_config`."""
        return cls(**config)

    def count_params(self) -> int:
        """The number of scalars in all weights. Raises RuntimeError before the layer is built."""
        if not self.built:
            raise RuntimeError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. You can build it "
                f"manually via: `{self.name}.build(batch_input_shape)`."
            )
        unique = {id(w): w for w in self.weights}
        return sum(int(K.count_params(w)) for w in unique.values())

    @staticmethod
    def _node_key(layer: Any, node_index: int) -> str:
        return f"{layer.name}_ib-{node_index}"


def _per_output(mask: Any, outputs: list[Symbolic]) -> list[Any]:
    if isinstance(mask, (list, tuple)):
        return list(mask)
    return [mask] * len(outputs)


def _default_name(class_name: str) -> str:
    return f"{_to_snake_case(class_name)}_{K.get_uid(class_name)}"


def _to_snake_case(name: str) -> str:
    """A class name in lower case with underscores.

    >>> _to_snake_case("GlobalMaxPooling1D"), _to_snake_case("_Merge"), _to_snake_case("PReLU")
    ('global_max_pooling1d', 'private__merge', 'p_re_lu')
    """
    spaced = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", spaced).lower()
    return f"private{snake}" if snake.startswith("_") else snake


def check_positive(layer: str, argument: str, value: Any) -> Any:
    """The value, when it is a positive integer; else ArgumentError that names layer and argument."""
    if isinstance(value, bool) or (not isinstance(value, int) and not hasattr(value, "__index__")) or int(value) <= 0:
        raise ArgumentError(f"{layer}: `{argument}` must be a positive integer, got {value!r}.")
    return value
