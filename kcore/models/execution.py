"""Running a model's graph of layers again on other inputs: what calling a nested model does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import GraphError, ShapeError
from kcore.graph import phase, updates
from kcore.graph.ir import Symbolic
from kcore.layers.native import call_layer
from kcore.layers.node import Node
from kcore.layers.shapes import declared_shapes
from kcore.utils.generic_utils import object_list_uid, to_list, unpack_singleton
from kcore.utils.objects import has_arg


def run_key(inputs: list[Any], masks: list[Any]) -> Any:
    """What tells one run of a model from another, but for the phase."""
    return object_list_uid(inputs), object_list_uid(masks), updates.moment()


class GraphExecution:
    """`call`, `compute_mask` and `compute_output_shape` of a model that is a graph of layers."""

    name: str
    inputs: list[Symbolic]
    outputs: list[Symbolic]
    _is_graph_network: bool
    _input_layers: list[Any]
    _output_coordinates: list[tuple[Any, int, int]]
    _nodes_by_depth: dict[int, list[Node]]

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """Apply all layers to other inputs; returns the outputs as a tensor or a list.

        `training` True or False fixes the phase of this call; None leaves it to the run.
        """
        if training is None or isinstance(training, Symbolic):
            return unpack_singleton(self._run(to_list(inputs, allow_tuple=True), mask)[0])
        with phase.fixed(int(training)):
            return unpack_singleton(self._run(to_list(inputs, allow_tuple=True), mask)[0])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks of the outputs for these inputs; None for a model that is not a graph of layers."""
        if not self._is_graph_network:
            return None
        return unpack_singleton(self._run(to_list(inputs, allow_tuple=True), mask, of_any_phase=True)[1])

    def run_internal_graph(self, inputs: list[Any], masks: Sequence[Any] | None = None) -> tuple[Any, Any, Any]:
        """Outputs, their masks and their shapes for these inputs."""
        outputs, output_masks = self._run(inputs, masks)
        shapes = [getattr(x, "_keras_shape", tuple(x.shape)) for x in outputs]
        return unpack_singleton(outputs), unpack_singleton(output_masks), unpack_singleton(shapes)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output shape (a list for several outputs) for inputs of this shape, as the layers declare it."""
        if not self._is_graph_network:
            raise NotImplementedError(f"{self.name} does not define `compute_output_shape`.")
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if len(shapes) != len(self._input_layers):
            raise ShapeError(
                f"Invalid input_shape argument {input_shape}: model {self.name} has {len(self._input_layers)} "
                "tensor inputs."
            )
        known: dict[int, Any] = {id(x): shape for x, shape in zip(self.inputs, shapes, strict=True)}
        for node in self._nodes_in_order():
            if all(id(x) in known for x in node.output_tensors):
                continue
            given = unpack_singleton([known[id(x)] for x in node.input_tensors])
            found = node.outbound_layer.compute_output_shape(given)
            is_list = isinstance(found, list) and len(node.output_tensors) > 1
            for x, shape in zip(node.output_tensors, found if is_list else [found], strict=False):
                known[id(x)] = shape[0] if isinstance(shape, list) and isinstance(shape[0], tuple) else shape
        return unpack_singleton([known[id(x)] for x in self.outputs])

    def _nodes_in_order(self) -> Iterator[Node]:
        """All calls, inputs before users."""
        for depth in sorted(self._nodes_by_depth, reverse=True):
            yield from self._nodes_by_depth[depth]

    def _run(self, inputs: list[Any], mask: Any, *, of_any_phase: bool = False) -> tuple[list[Any], list[Any]]:
        """Outputs and masks; the results for one set of inputs are kept, so `call` and `compute_mask` share them."""
        if len(inputs) != len(self.inputs):
            raise ShapeError(
                f"Model {self.name} takes {len(self.inputs)} inputs "
                f"({', '.join(layer.name for layer in self._input_layers)}), but was called with {len(inputs)}."
            )
        masks = [None] * len(inputs) if mask is None else to_list(mask, allow_tuple=True)
        cache: dict[Any, Any] = self._run_cache  # type: ignore[attr-defined]
        last = run_key(inputs, masks)
        key = last if of_any_phase and last in cache else (last, phase.fixed_value())
        if key not in cache:
            # Inputs and masks are kept too: the key is made of their identities.
            cache[key] = cache[last] = (*self._run_layers(inputs, masks), inputs, masks)
        return cache[key][0], cache[key][1]

    def _run_layers(self, inputs: list[Any], masks: list[Any]) -> tuple[list[Any], list[Any]]:
        values = self._values_of_run(inputs, masks)
        return [values[id(x)][0] for x in self.outputs], [values[id(x)][1] for x in self.outputs]

    def _values_of_run(self, inputs: list[Any], masks: list[Any]) -> dict[int, tuple[Any, Any]]:
        """For each tensor between the layers (by id): what it is in a run on these inputs, and its mask."""
        values: dict[int, tuple[Any, Any]] = {id(x): (y, m) for x, y, m in zip(self.inputs, inputs, masks, strict=True)}
        for node in self._nodes_in_order():
            if not node.inbound_layers and all(id(x) in values for x in node.output_tensors):
                continue  # an input
            if all(id(x) in values for x in node.input_tensors):
                self._run_node(node, values, inputs)
        missing = [x for x in self.outputs if id(x) not in values]
        if missing:
            raise GraphError(f"Model {self.name} could not compute its output {missing[0]}.")
        return values

    def _run_node(self, node: Node, values: dict[int, tuple[Any, Any]], model_inputs: list[Any]) -> None:
        layer = node.outbound_layer
        tensors = [values[id(x)][0] for x in node.input_tensors]
        masks = [values[id(x)][1] for x in node.input_tensors]
        given, mask = unpack_singleton(tensors), unpack_singleton(masks)
        if len(to_list(layer.input_spec, allow_tuple=True)) == len(tensors):  # states may come as further inputs
            layer.assert_input_compatibility(given)
        arguments = dict(node.arguments)
        if "mask" not in arguments and has_arg(layer.call, "mask"):
            arguments["mask"] = mask
        with K.name_scope(layer.name), layer._placed():
            with layer._calling(tensors):
                outputs = layer._checked_outputs(call_layer(layer, given, arguments), tensors)
            found = layer.compute_mask(given, mask)
            output_masks = [None] * len(outputs) if found is None else to_list(found, allow_tuple=True)
            layer._add_activity_losses(outputs, tensors)
        self._adopt(layer, tensors, model_inputs)
        phase = any(getattr(x, "_uses_learning_phase", False) for x in tensors)
        for x, shape in zip(outputs, declared_shapes(layer, given, outputs), strict=True):
            x._keras_shape = shape
            x._uses_learning_phase = getattr(x, "_uses_learning_phase", False) or phase
        for x, y, m in zip(node.output_tensors, outputs, output_masks, strict=True):
            values[id(x)] = (y, m)

    def _adopt(self, layer: Any, tensors: list[Any], model_inputs: list[Any]) -> None:
        """What a layer added in this run belongs to the model, under the model's inputs."""
        model: Any = self
        model.add_update(layer.get_updates_for(tensors), model_inputs)
        model.add_update(layer.get_updates_for(None), None)
        model.add_loss(layer.get_losses_for(tensors), model_inputs)
        model.add_loss(layer.get_losses_for(None), None)
