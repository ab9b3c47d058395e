"""The order in which Keras 3 sees a model's layers, which numbers them in files.

Keras 3 sorts layers by their distance from the outputs, as Keras 2 does; but masks are operations of the graph there,
computed beside the layers, and lengthen some ways. Where masks flow, the graph is drawn here with those operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kcore.models.topology import node_key
from kcore.utils.objects import has_arg

_RECURRENT: Final = frozenset({"RNN", "SimpleRNN", "GRU", "LSTM", "ConvLSTM2D", "Bidirectional"})
#: Layers of Keras 3 whose calls take the masks of their inputs.
_TAKES_MASK: Final = _RECURRENT | {
    "TimeDistributed", "Softmax", "Attention", "AdditiveAttention", "MultiHeadAttention", "BatchNormalization",
    "GlobalAveragePooling1D", "Lambda", "Functional", "Model", "Sequential",
}  # fmt: skip
_MERGES: Final = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"})


def layers_in_order(model: Any) -> list[Any]:
    """The layers of a model in the order that Keras 3 would give them, input layers included."""
    own = list(model.__dict__.get("_layers", model.layers))
    if not getattr(model, "_is_graph_network", False) or type(model).__name__ == "Sequential":
        return own
    calls = [node for layer in own for node in layer._inbound_nodes]
    if not any(mask is not None for node in calls for mask in node.output_masks):
        return own
    return _Graph(model).layers()


class _Call:
    """A call of a layer, or an operation on masks, in Keras 3's graph."""

    def __init__(self, what: Any, inputs: Sequence[_Call]) -> None:
        self.what, self.inputs = what, list(inputs)


class _Graph:
    """A functional model as Keras 3 draws it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._calls: dict[str, _Call] = {}
        self._masks: dict[str, _Call | None] = {}

    def layers(self) -> list[Any]:
        """The layers, deepest first, and in the order of a walk from the outputs where they are equally deep."""
        order, visits = self._walk()
        depths: dict[int, int] = {}
        deepest: dict[int, int] = {}
        things: dict[int, Any] = {}
        for call in reversed(order):
            key = id(call.what)
            things[key] = call.what
            depth = max(depths.get(id(call), 0), deepest.get(key, 0))
            depths[id(call)] = deepest[key] = depth
            for before in call.inputs:
                depths[id(before)] = max(depth + 1, depths.get(id(before), 0))
        ordered = sorted(deepest, key=lambda key: (-deepest[key], visits[key]))
        return [things[key] for key in ordered if not isinstance(things[key], _Operation)]

    def _walk(self) -> tuple[list[_Call], dict[int, int]]:
        """All calls, inputs before users; when each layer was first met."""
        order: list[_Call] = []
        visits: dict[int, int] = {}
        seen: set[int] = set()
        for layer, index, _ in self.model._output_coordinates:
            stack = [(self._call(layer, index), False)]
            while stack:
                call, leaving = stack.pop()
                if leaving:
                    order.append(call)
                    continue
                if id(call) in seen:
                    continue
                seen.add(id(call))
                visits.setdefault(id(call.what), len(visits))
                stack.append((call, True))
                stack.extend((before, False) for before in reversed(call.inputs))
        return order, visits

    def _call(self, layer: Any, index: int) -> _Call:
        key = node_key(layer, index)
        if key not in self._calls:
            # The layers come in an order in which inputs are drawn before: no deep recursion.
            for before in self.model.layers:
                for number in range(len(before._inbound_nodes)):
                    if node_key(before, number) in self.model._network_nodes:
                        self._draw(before, number)
        return self._draw(layer, index)

    def _draw(self, layer: Any, index: int) -> _Call:
        key = node_key(layer, index)
        if key not in self._calls:
            node = layer._inbound_nodes[index]
            origins = list(zip(node.inbound_layers, node.node_indices, node.tensor_indices, strict=True))
            inputs = [self._draw(before, number) for before, number, _ in origins]
            if _takes_mask(layer):
                inputs += [m for origin in origins if (m := self._mask(*origin)) is not None]
            self._calls[key] = _Call(layer, inputs)
        return self._calls[key]

    def _mask(self, layer: Any, index: int, tensor: int) -> _Call | None:
        """The operation that makes the mask of a tensor; None where it has none."""
        node = layer._inbound_nodes[index]
        if node.output_masks[tensor] is None:
            return None
        key = f"{node_key(layer, index)}:{tensor}"
        if key not in self._masks:
            self._masks[key] = self._new_mask(layer, node)
        return self._masks[key]

    def _new_mask(self, layer: Any, node: Any) -> _Call | None:
        kind = type(layer).__name__
        origins = list(zip(node.inbound_layers, node.node_indices, node.tensor_indices, strict=True))
        inputs = [self._draw(before, number) for before, number, _ in origins]
        masks = [self._mask(*origin) for origin in origins]
        if kind == "Embedding":
            return _operation(inputs)
        if kind == "Masking":
            return _operation([_operation(inputs)])
        if kind in _MERGES:
            found = masks[0]
            for mask in masks[1:]:
                found = _operation([m for m in (found, mask) if m is not None])
            return found
        if kind == "Concatenate":
            parts = [
                _operation([x]) if mask is None else _operation([_operation([mask]), _operation([x])])
                for x, mask in zip(inputs, masks, strict=True)
            ]
            return _operation([_operation(parts)])
        return masks[0] if masks else None


class _Operation:
    """What an operation on masks is to the graph: something that is no layer."""


def _operation(inputs: Sequence[_Call]) -> _Call:
    return _Call(_Operation(), inputs)


def _takes_mask(layer: Any) -> bool:
    kind = type(layer).__name__
    if type(layer).__module__.startswith("kcore."):
        return kind in _TAKES_MASK
    return has_arg(layer.call, "mask")
