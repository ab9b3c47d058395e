"""One call of a layer, as an edge of the graph of layers; and a layer's view of its calls.

Tensors carry `_keras_history = (layer, node index, tensor index)`, which leads back here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore.errors import ArgumentError, NodeError
from kcore.graph.ir import Symbolic
from kcore.utils.generic_utils import unpack_singleton


class Node:
    """The connection that a call of `outbound_layer` made.

    Attributes:
        outbound_layer: the layer that was called.
        inbound_layers, node_indices, tensor_indices: where each input came from.
        input_tensors, output_tensors: of the call.
        input_masks, output_masks: a tensor or None for each.
        input_shapes, output_shapes: a tuple for each.
        arguments: further keyword arguments of the call.
    """

    def __init__(
        self,
        outbound_layer: Any,
        inbound_layers: Sequence[Any],
        node_indices: Sequence[Any],
        tensor_indices: Sequence[Any],
        input_tensors: list[Symbolic],
        output_tensors: list[Symbolic],
        input_masks: list[Any],
        output_masks: list[Any],
        input_shapes: list[Any],
        output_shapes: list[Any],
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.outbound_layer = outbound_layer
        self.inbound_layers = list(inbound_layers)
        self.node_indices = list(node_indices)
        self.tensor_indices = list(tensor_indices)
        self.input_tensors = input_tensors
        self.output_tensors = output_tensors
        self.input_masks = input_masks
        self.output_masks = output_masks
        self.input_shapes = input_shapes
        self.output_shapes = output_shapes
        self.arguments = dict(arguments or {})
        for layer in inbound_layers:
            if layer is not None:
                layer._outbound_nodes.append(self)
        outbound_layer._inbound_nodes.append(self)

    def get_config(self) -> dict[str, Any]:
        """Names and positions, without tensors."""
        return {
            "outbound_layer": self.outbound_layer.name if self.outbound_layer else None,
            "inbound_layers": [layer.name if layer else None for layer in self.inbound_layers],
            "node_indices": self.node_indices,
            "tensor_indices": self.tensor_indices,
        }


class LayerNodes:
    """`layer.input`, `layer.output_shape`, `layer.get_output_at(1)`: what a layer's calls received and gave."""

    name: str
    _inbound_nodes: list[Node]
    _outbound_nodes: list[Node]

    def get_input_at(self, node_index: int) -> Any:
        """The input tensor (a list when there are several) of one call."""
        return self._of_node(node_index, "input_tensors", "input")

    def get_output_at(self, node_index: int) -> Any:
        """The output tensor (a list when there are several) of one call."""
        return self._of_node(node_index, "output_tensors", "output")

    def get_input_shape_at(self, node_index: int) -> Any:
        """The input shape (a list when there are several) of one call."""
        return self._of_node(node_index, "input_shapes", "input shape")

    def get_output_shape_at(self, node_index: int) -> Any:
        """The output shape (a list when there are several) of one call."""
        return self._of_node(node_index, "output_shapes", "output shape")

    def get_input_mask_at(self, node_index: int) -> Any:
        """The mask of the input, or None, of one call."""
        return self._of_node(node_index, "input_masks", "input mask")

    def get_output_mask_at(self, node_index: int) -> Any:
        """The mask of the output, or None, of one call."""
        return self._of_node(node_index, "output_masks", "output mask")

    @property
    def input(self) -> Any:
        """The input of the only call of this layer."""
        return self._of_only_node("input_tensors", "input")

    @property
    def output(self) -> Any:
        """The output of the only call of this layer."""
        return self._of_only_node("output_tensors", "output")

    @property
    def input_mask(self) -> Any:
        """The input's mask in the only call of this layer."""
        return self._of_only_node("input_masks", "input mask")

    @property
    def output_mask(self) -> Any:
        """The output's mask in the only call of this layer."""
        return self._of_only_node("output_masks", "output mask")

    @property
    def input_shape(self) -> Any:
        """The input shape, when it is the same in all calls."""
        return self._common_shape("input_shapes", "input shape")

    @property
    def output_shape(self) -> Any:
        """The output shape, when it is the same in all calls."""
        return self._common_shape("output_shapes", "output shape")

    def _of_node(self, node_index: int, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise RuntimeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        if node_index >= len(self._inbound_nodes):
            raise ArgumentError(
                f"Asked to get {what} at node {node_index}, but the layer {self.name} has only "
                f"{len(self._inbound_nodes)} inbound nodes."
            )
        return unpack_singleton(getattr(self._inbound_nodes[node_index], attribute))

    def _of_only_node(self, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise NodeError(f"Layer {self.name} is not connected, no {what} to return: it has no inbound nodes.")
        if len(self._inbound_nodes) > 1:
            raise NodeError(
                f'Layer {self.name} has multiple inbound nodes, hence the notion of "layer {what}" is '
                f"ill-defined. Use `get_{what.replace(' ', '_')}_at(node_index)` instead."
            )
        return self._of_node(0, attribute, what)

    def _common_shape(self, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise NodeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        shapes = [getattr(node, attribute) for node in self._inbound_nodes]
        if any(shape != shapes[0] for shape in shapes):
            raise NodeError(
                f"The layer {self.name} has multiple inbound nodes with different {what}s. Hence the notion of "
                f'"{what}" is ill-defined for the layer. Use `get_{what.replace(" ", "_")}_at(node_index)` instead.'
            )
        return unpack_singleton(shapes[0])

    def _add_inbound_node(
        self,
        input_tensors: list[Symbolic],
        output_tensors: list[Symbolic],
        input_masks: list[Any],
        output_masks: list[Any],
        input_shapes: list[Any],
        output_shapes: list[Any],
        arguments: Mapping[str, Any] | None = None,
    ) -> Node:
        """Record a call, and mark its outputs with where they come from."""
        origins = [getattr(x, "_keras_history", (None, None, None)) for x in input_tensors]
        node = Node(
            self,
            [layer for layer, _, _ in origins],
            [index for _, index, _ in origins],
            [index for _, _, index in origins],
            input_tensors,
            output_tensors,
            input_masks,
            output_masks,
            input_shapes,
            output_shapes,
            arguments,
        )
        phase = getattr(self, "uses_learning_phase", False) or any(
            getattr(x, "_uses_learning_phase", False) for x in input_tensors
        )
        for i, (x, shape) in enumerate(zip(output_tensors, output_shapes, strict=True)):
            x._keras_shape = shape  # type: ignore[attr-defined]
            x._uses_learning_phase = getattr(x, "_uses_learning_phase", False) or phase  # type: ignore[attr-defined]
            x._keras_history = (self, len(self._inbound_nodes) - 1, i)  # type: ignore[attr-defined]
        return node


def previous_masks(inputs: Sequence[Symbolic]) -> list[Any]:
    """The masks that the layers before gave with these tensors."""
    masks: list[Any] = []
    for x in inputs:
        history = getattr(x, "_keras_history", None)
        if history is None:
            masks.append(None)
        else:
            layer, node_index, tensor_index = history
            masks.append(layer._inbound_nodes[node_index].output_masks[tensor_index])
    return masks
