"""`Sequential`: layers one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.graph.ir import Symbolic
from kcore.layers.base import Layer
from kcore.layers.input import Input, InputLayer
from kcore.layers.registry import deserialize as deserialize_layer
from kcore.models.configuration import _required, copied, freeze
from kcore.models.model import Model
from kcore.models.network import Network
from kcore.models.topology import get_source_inputs
from kcore.utils.objects import serialize_keras_object


class Sequential(Model):
    """Layers one after the other.

    When the first layer knows its input shape (`input_shape=`), the model grows layer by layer; otherwise it is built
    by `build(input_shape)` or at the first `fit`, and has no weights before.

    Args:
        layers: to add.
        name: `sequential_1` and so on when None.
    """

    _tracks_attributes = False

    def __init__(self, layers: Sequence[Any] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._build_input_shape: Any = None
        self._add_all(layers or ())

    @property
    def layers(self) -> list[Any]:  # type: ignore[override]
        """The layers that were added, without the input layer that was made for the first."""
        if self._layers and isinstance(self._layers[0], InputLayer):
            return self._layers[1:]
        return self._layers

    @property
    def model(self) -> Sequential:
        """The model itself (Keras 1 had another one inside)."""
        warnings.warn("`Sequential.model` is deprecated; use the Sequential itself.", stacklevel=2)
        return self

    # --- layers -------------------------------------------------------------------------------------------

    def add(self, layer: Any) -> None:
        """Add a layer on top. Raises TypeError when it is no layer, or has several outputs."""
        self._add_all([layer])

    def _add_all(self, layers: Iterable[Any]) -> None:
        """Add layers on top of each other; the network is made once, for all of them."""
        self._run_cache = {}
        try:
            for given in layers:
                layer = _as_layer(given)
                if not self._layers:
                    self._start(layer)
                elif self.outputs:
                    self.outputs = [_single_output(layer, layer(self.outputs[0]))]
                self._layers.append(layer)
        finally:  # those before one that cannot be added stay
            if self.inputs:
                self.build()
            else:
                self.built = False

    def _start(self, layer: Any) -> None:
        """Begin with the first layer: with its input when its shape is known."""
        if not isinstance(layer, InputLayer):
            first = _first_layer(layer)
            if not hasattr(first, "batch_input_shape"):
                return
            layer(Input(batch_shape=first.batch_input_shape, dtype=first.dtype, name=f"{layer.name}_input"))
        outputs = layer._inbound_nodes[-1].output_tensors
        self.outputs = [_single_output(layer, outputs if len(outputs) > 1 else outputs[0])]
        self.inputs = get_source_inputs(self.outputs[0])

    def pop(self) -> None:
        """Remove the last layer."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        removed = self._layers.pop()
        if not self.layers or not self.outputs:
            self.built = False
            if not self.layers:
                self._layers = []
                self.outputs = self.inputs = None
                self.__dict__["_is_graph_network"] = False
            return
        node = next(n for n in removed._inbound_nodes if any(x is self.outputs[0] for x in n.output_tensors))
        for before in node.inbound_layers:
            before._outbound_nodes.remove(node)
        self.outputs = list(node.input_tensors)
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Connect the layers for inputs of this shape (batch size included), which makes their weights."""
        if input_shape and not self.inputs:
            x = Input(batch_shape=tuple(input_shape), dtype=K.floatx(), name=f"{self.name}_input")
            self.inputs = [x]
            for layer in self._layers:
                x = _single_output(layer, layer(x))
            self.outputs = [x]
            self._build_input_shape = input_shape
        if self.inputs:
            self._init_graph_network(self.inputs, self.outputs, name=self.name, trainable=self.trainable)

    # --- classes ------------------------------------------------------------------------------------------

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> np.ndarray:
        """The outputs of `predict`, with a warning when they cannot be probabilities."""
        predictions = self.predict(x, batch_size=batch_size, verbose=verbose)
        if predictions.min() < 0.0 or predictions.max() > 1.0:
            warnings.warn(
                "Network returning invalid probability values. The last layer might not normalize predictions into "
                "probabilities (like softmax or sigmoid would).",
                stacklevel=2,
            )
        return predictions  # type: ignore[no-any-return]

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> np.ndarray:
        """The most probable class of each sample; for one output, 1 where it is above 0.5."""
        probabilities = self.predict(x, batch_size=batch_size, verbose=verbose)
        if probabilities.shape[-1] > 1:
            return probabilities.argmax(axis=-1)  # type: ignore[no-any-return]
        return (probabilities > 0.5).astype("int32")  # type: ignore[no-any-return]

    # --- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The layers in their order."""
        layers = [serialize_keras_object(layer) for layer in self.layers]
        config = {"name": self.name, "layers": copied(layers)}
        shape = self._build_input_shape or self._shape_of_input_layer()
        if shape:
            config["build_input_shape"] = shape
        return config

    def _shape_of_input_layer(self) -> Any:
        """The shape that an `InputLayer` at the bottom gave: no other layer's configuration knows it.

        Keras 2.3.1 leaves it out, and cannot load the file then; with it, it can.
        """
        if not self._is_graph_network or not self.layers or hasattr(_first_layer(self.layers[0]), "batch_input_shape"):
            return None
        return self.inputs[0].shape

    @classmethod
    def from_config(cls, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A model from the result of `get_config` (or from a list of layers, as old files have), with new weights."""
        old = isinstance(config, list)
        model = cls(name=None if old else config.get("name"))
        entries = config if old else _required(config, "layers", "a Sequential model")
        model._add_all(deserialize_layer(entry, custom_objects=custom_objects) for entry in entries)
        shape = None if old else config.get("build_input_shape")
        if not model.inputs and shape:
            model.build(tuple(shape))
        if not old:
            freeze(model, config)
        return model


def _as_layer(layer: Any) -> Any:
    if isinstance(layer, Symbolic) and isinstance(getattr(layer, "_keras_history", (None,))[0], InputLayer):
        return layer._keras_history[0]  # type: ignore[attr-defined]
    if not isinstance(layer, Layer):
        raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer!r}")
    return layer


def _first_layer(layer: Any) -> Any:
    """The layer at the bottom of nested models."""
    while isinstance(layer, Network):
        if not layer.layers:
            raise ArgumentError(f"Cannot add an empty model ({layer.name}) to a `Sequential` model.")
        layer = layer._layers[0]
    return layer


def _single_output(layer: Any, output: Any) -> Any:
    if isinstance(output, list):
        raise TypeError(
            f"All layers in a Sequential model should have a single output tensor; {layer.name} has {len(output)}. For "
            "multi-output layers, use the functional API."
        )
    return output
