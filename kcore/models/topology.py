"""The graph of layers between inputs and outputs: which calls belong to a model, and in what order they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kcore.errors import GraphError
from kcore.graph.ir import Symbolic
from kcore.layers.node import Node
from kcore.utils.layer_utils import get_source_inputs

__all__ = ["Topology", "get_source_inputs", "map_graph", "node_key"]


@dataclass(frozen=True)
class Topology:
    """A model's graph. A node's depth is its distance from the outputs; layers run from the deepest up."""

    node_keys: set[str]
    nodes_by_depth: dict[int, list[Node]]
    layers: list[Any]
    layers_by_depth: dict[int, list[Any]]


def node_key(layer: Any, node_index: int) -> str:
    """The name of one call of a layer."""
    return f"{layer.name}_ib-{node_index}"


def map_graph(inputs: Sequence[Symbolic], outputs: Sequence[Symbolic]) -> Topology:
    """Find all calls between inputs and outputs. Raises GraphError when they are not connected, or names clash."""
    order, visits, keys = _traverse(outputs)
    node_depths: dict[Node, int] = {}
    layer_depths: dict[Any, int] = {}
    for node in reversed(order):
        # A shared layer runs as deep as its deepest call.
        depth = max(node_depths.get(node, 0), layer_depths.get(node.outbound_layer, 0))
        node_depths[node] = layer_depths[node.outbound_layer] = depth
        for layer, index in zip(node.inbound_layers, node.node_indices, strict=True):
            before = layer._inbound_nodes[index]
            node_depths[before] = max(depth + 1, node_depths.get(before, 0))
    nodes_by_depth = _by_depth(node_depths)
    layers_by_depth = _by_depth(layer_depths)
    for same_depth in layers_by_depth.values():
        same_depth.sort(key=lambda layer: visits[layer])
    layers = [layer for depth in sorted(layers_by_depth, reverse=True) for layer in layers_by_depth[depth]]
    _check_connected(inputs, nodes_by_depth)
    _check_names(layers)
    return Topology(keys, nodes_by_depth, layers, layers_by_depth)


def _traverse(outputs: Sequence[Symbolic]) -> tuple[list[Node], dict[Any, int], set[str]]:
    """All calls, inputs before users; the order in which layers were met; the calls' keys."""
    order: list[Node] = []
    visits: dict[Any, int] = {}
    keys: set[str] = set()
    finished: set[Node] = set()
    open_nodes: set[Node] = set()
    for output in outputs:
        stack = [(*output._keras_history[:2], output, False)]  # type: ignore[attr-defined]
        while stack:
            layer, index, tensor, leaving = stack.pop()
            node = layer._inbound_nodes[index]
            if leaving:
                finished.add(node)
                open_nodes.remove(node)
                order.append(node)
                continue
            if node in open_nodes:
                raise GraphError(f'The tensor {tensor} at layer "{layer.name}" is part of a cycle.')
            if node in finished:
                continue
            keys.add(node_key(layer, index))
            visits.setdefault(layer, len(visits))
            open_nodes.add(node)
            stack.append((layer, index, tensor, True))
            origins = zip(node.inbound_layers, node.node_indices, node.input_tensors, strict=False)
            for inbound, inbound_index, x in reversed(list(origins)):
                if inbound is None:
                    raise GraphError(
                        f'Graph disconnected: the input {x} of layer "{layer.name}" does not come from a layer. '
                        "Make it with `Input`, or put the operation into a `Lambda` layer."
                    )
                stack.append((inbound, inbound_index, x, False))
    return order, visits, keys


def _by_depth(depths: dict[Any, int]) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = {}
    for item, depth in depths.items():
        grouped.setdefault(depth, []).append(item)
    return grouped


def _check_connected(inputs: Sequence[Symbolic], nodes_by_depth: dict[int, list[Node]]) -> None:
    known = {id(x) for x in inputs}
    reached: list[str] = []
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            for x in node.input_tensors:
                if id(x) not in known:
                    raise GraphError(
                        f'Graph disconnected: cannot obtain value for tensor {x} at layer "'
                        f'{node.outbound_layer.name}". The following previous layers were accessed without issue: '
                        f"{reached}. Add the missing input to the model's inputs."
                    )
            known.update(id(x) for x in node.output_tensors)
            reached.append(node.outbound_layer.name)


def _check_names(layers: Sequence[Any]) -> None:
    names = [layer.name for layer in layers]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise GraphError(
                f'The name "{name}" is used {names.count(name)} times in the model. All layer names should be '
                "unique: files refer to layers by name."
            )
        seen.add(name)
