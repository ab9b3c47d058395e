"""A model's layers as a GraphDef, the message behind TensorBoard's graph page: each call of a layer is a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.callbacks.event_file import blob, integer, text

#: Numbers of dtypes in the message.
_TYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10, "bfloat16": 14, "float16": 19,
}  # fmt: skip
#: The oldest producer whose graphs the page shows as they are.
_PRODUCER = 27


def graph_def(model: Any) -> bytes:
    """The message. Nested models are scopes; a model whose graph is not known has nodes without edges."""
    nodes: list[bytes] = []
    if getattr(model, "_is_graph_network", False):
        _Graph(nodes, "").add(model, [])
    else:
        nodes += [_node(layer.name, layer, [], []) for layer in model.layers]
    return b"".join(blob(1, node) for node in nodes) + blob(4, integer(1, _PRODUCER))


def conceptual_graph(model: Any) -> list[bytes]:
    """Summary values with the model's configuration, from which the page draws it as Keras users do.

    None for a model that has no configuration.
    """
    try:
        return [text("keras", model.to_json(), "graph_keras_model")]
    except (NotImplementedError, TypeError, ValueError):
        return []


class _Graph:
    """Nodes of one model, under a scope."""

    def __init__(self, nodes: list[bytes], scope: str) -> None:
        self.nodes = nodes
        self.scope = scope
        self.names: dict[int, str] = {}  # tensors by identity

    def add(self, model: Any, sources: Sequence[str]) -> list[str]:
        """Add all calls of a model whose inputs come from the named nodes; returns the names of its outputs."""
        given = dict(zip(map(id, model.inputs), sources, strict=False))
        calls: dict[int, int] = {}
        for level in sorted(model._nodes_by_depth, reverse=True):
            for call in model._nodes_by_depth[level]:
                layer = call.outbound_layer
                count = calls[id(layer)] = calls.get(id(layer), 0) + 1
                name = self.scope + layer.name + (f"_call_{count}" if count > 1 else "")
                self._add_call(call, name, given)
        return [self.names[id(x)] for x in model.outputs]

    def _add_call(self, call: Any, name: str, given: dict[int, str]) -> None:
        layer = call.outbound_layer
        inputs = [self.names[id(x)] for x in call.input_tensors if id(x) in self.names]
        if hasattr(layer, "_nodes_by_depth") and getattr(layer, "_is_graph_network", False):
            found = _Graph(self.nodes, f"{name}/").add(layer, inputs)
            self.names.update(zip(map(id, call.output_tensors), found, strict=True))
            return
        outside = [given[id(x)] for x in call.output_tensors if id(x) in given]  # of an input of a nested model
        self.nodes.append(_node(name, layer, list(dict.fromkeys([*inputs, *outside])), call.output_tensors))
        for i, x in enumerate(call.output_tensors):
            self.names[id(x)] = f"{name}:{i}" if i else name


def _node(name: str, layer: Any, inputs: Sequence[str], outputs: Sequence[Any]) -> bytes:
    """A NodeDef: name, kind, inputs, and what the page shows of it."""
    shapes = b"".join(blob(7, _shape(x.shape)) for x in outputs)
    attributes = {"parameters": integer(3, layer.count_params() if layer.built else 0)}
    if outputs:
        attributes["_output_shapes"] = blob(1, shapes)
        attributes["dtype"] = integer(6, _TYPES.get(outputs[0].dtype, 0))
    return b"".join([
        blob(1, name),
        blob(2, type(layer).__name__),
        *(blob(3, x) for x in inputs),
        *(blob(5, blob(1, key) + blob(2, value)) for key, value in sorted(attributes.items())),
    ])  # fmt: skip


def _shape(shape: Sequence[int | None]) -> bytes:
    """A TensorShapeProto; unknown dimensions are -1."""
    return b"".join(blob(2, integer(1, -1 if size is None else int(size))) for size in shape)
