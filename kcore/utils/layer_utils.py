"""What a model looks like in text, and the number of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError, NodeError


def count_params(weights: Iterable[Any]) -> int:
    """The number of scalars in these weights, each weight counted once."""
    return sum(int(K.count_params(w)) for w in {id(w): w for w in weights}.values())


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> list[Any]:
    """The input tensors that a tensor is computed from.

    Args:
        tensor: the output of a layer.
        layer: the layer it comes from, when it is not in the tensor's history.
        node_index: the call of that layer.
    """
    if layer is None or node_index is None:
        if not hasattr(tensor, "_keras_history"):
            return [tensor]
        layer, node_index, _ = tensor._keras_history
    if not layer._inbound_nodes:
        return [tensor]
    sources: dict[int, Any] = {}
    seen: set[int] = set()
    stack = [layer._inbound_nodes[node_index]]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not node.inbound_layers:
            sources.update({id(x): x for x in node.input_tensors})
        origins = zip(node.inbound_layers, node.node_indices, strict=True)
        stack.extend(reversed([before._inbound_nodes[index] for before, index in origins if before is not None]))
    return list(sources.values())


class _Table:
    """Rows of text in columns of fixed width."""

    def __init__(self, line_length: int, positions: Sequence[float], print_fn: Callable[[str], Any]) -> None:
        relative = positions[-1] <= 1
        self.positions = [int(line_length * p) if relative else int(p) for p in positions]
        self.line_length = line_length
        self.print_fn = print_fn

    def rule(self, character: str) -> None:
        """A line across."""
        self.print_fn(character * self.line_length)

    def row(self, fields: Sequence[Any]) -> None:
        """One row; what is too long for its column is cut, with a space before the next."""
        line = ""
        for i, (field, end) in enumerate(zip(fields, self.positions, strict=False)):
            line = (line[:-1] + " " if i else line) + str(field)
            line = line[:end].ljust(end)
        self.print_fn(line)


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """Print a model's layers with their output shapes and parameter counts; for branching models also connections.

    Args:
        model: a built model.
        line_length: of the printed lines; 65, or 98 with connections.
        positions: where columns end, in characters or as parts of the line.
        print_fn: called with each line; `print` when None.
    """
    print_fn = print if print_fn is None else print_fn
    chain = _is_chain(model)
    header = ["Layer (type)", "Output Shape", "Param #"] + ([] if chain else ["Connected to"])
    table = _Table(
        line_length or (65 if chain else 98),
        positions or ([0.45, 0.85, 1.0] if chain else [0.33, 0.55, 0.67, 1.0]),
        print_fn,
    )
    print_fn(f'Model: "{model.name}"')
    table.rule("_")
    table.row(header)
    table.rule("=")
    for i, layer in enumerate(model.layers):
        sources = [] if chain else _sources(model, layer)
        table.row([f"{layer.name} ({type(layer).__name__})", _shape(layer), layer.count_params(), *sources[:1]])
        for source in sources[1:]:
            table.row(["", "", "", source])
        table.rule("=" if i == len(model.layers) - 1 else "_")
    _print_totals(model, table)


def _print_totals(model: Any, table: _Table) -> None:
    check = getattr(model, "_check_trainable_weights_consistency", None)
    if check is not None:
        check()
    # What was trainable at `compile` is what training changes.
    trainable = count_params(getattr(model, "_collected_trainable_weights", model.trainable_weights))
    fixed = count_params(model.non_trainable_weights)
    table.print_fn(f"Total params: {trainable + fixed:,}")
    table.print_fn(f"Trainable params: {trainable:,}")
    table.print_fn(f"Non-trainable params: {fixed:,}")
    table.rule("_")


def _shape(layer: Any) -> Any:
    try:
        return layer.output_shape
    except NodeError:
        return "multiple"


def _is_chain(model: Any) -> bool:
    """Whether each layer follows the one before: then connections need no column."""
    if type(model).__name__ == "Sequential" or not model._is_graph_network:
        return True
    nodes = []
    for level in model._nodes_by_depth.values():
        if len(level) > 1 or len(level[0].inbound_layers) > 1:
            return False
        nodes += level
    own = {id(node) for node in nodes}
    return all(sum(id(node) in own for node in layer._inbound_nodes) <= 1 for layer in model.layers)


def _sources(model: Any, layer: Any) -> list[str]:
    relevant = {id(node) for level in model._nodes_by_depth.values() for node in level}
    sources = [
        f"{inbound.name}[{node_index}][{tensor_index}]"
        for node in layer._inbound_nodes
        if id(node) in relevant
        for inbound, node_index, tensor_index in zip(
            node.inbound_layers, node.node_indices, node.tensor_indices, strict=True
        )
    ]
    return sources or [""]


def convert_all_kernels_in_model(model: Any) -> None:
    """Turn the kernels of convolutions by half a turn: between correlation and convolution."""
    convolutions = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"}
    kernels = [layer.kernel for layer in model.layers if type(layer).__name__ in convolutions]
    K.batch_set_value([(kernel, convert_kernel(K.get_value(kernel))) for kernel in kernels])


def convert_kernel(kernel: np.ndarray) -> np.ndarray:
    """A convolution kernel (of 3, 4 or 5 axes) with its spatial axes reversed."""
    kernel = np.asarray(kernel)
    if not 3 <= kernel.ndim <= 5:
        raise ArgumentError(f"A convolution kernel has 3, 4 or 5 axes, got shape {kernel.shape}.")
    return np.copy(np.flip(kernel, tuple(range(kernel.ndim - 2))))


def convert_dense_weights_data_format(
    dense: Any, previous_feature_map_shape: Sequence[int], target_data_format: str = "channels_first"
) -> None:
    """Reorder the kernel of a Dense layer behind a Flatten, after the data format of the layers before changed.

    Args:
        dense: the first Dense layer after the Flatten.
        previous_feature_map_shape: shape of the flattened maps, without the batch axis, in the target data format.
        target_data_format: the format that the maps have now.
    """
    if target_data_format not in ("channels_first", "channels_last"):
        raise ArgumentError(f"The data format is 'channels_first' or 'channels_last', got {target_data_format!r}.")
    kernel, *rest = dense.get_weights()
    first = target_data_format == "channels_first"
    shape = tuple(previous_feature_map_shape)
    maps = (*shape[1:], shape[0]) if first else (shape[-1], *shape[:-1])
    order = (len(maps) - 1, *range(len(maps) - 1)) if first else (*range(1, len(maps)), 0)
    moved = kernel.reshape(*maps, -1).transpose(*order, len(maps))
    dense.set_weights([moved.reshape(kernel.shape), *rest])
