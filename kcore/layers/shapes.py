"""The shapes that a layer says its outputs have, beside those that the graph found.

Keras 2 believed `compute_output_shape`. Here the traced shape is the truth; what the layer declares fills in the
dimensions that tracing could not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import backend as K
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.utils.generic_utils import to_list, unpack_singleton

Shape = tuple[Any, ...]


def declared_shapes(layer: Any, inputs: Any, outputs: Sequence[Symbolic]) -> list[Shape]:
    """One shape per output, as the layer declares it, else as traced."""
    traced = [tuple(x.shape) for x in outputs]
    declared = _declared(layer, inputs)
    if declared is None or len(declared) != len(traced):
        return traced
    return [_reconcile(x, shape) for x, shape in zip(outputs, declared, strict=True)]


def _declared(layer: Any, inputs: Any) -> list[Any] | None:
    from kcore.layers.base import Layer

    if type(layer).compute_output_shape is Layer.compute_output_shape or getattr(layer, "_shape_from_trace", False):
        return None
    shapes = [K.int_shape(x) for x in to_list(inputs)]
    try:
        shape = layer.compute_output_shape(unpack_singleton(shapes))
    except NotImplementedError:
        return None
    return shape if _is_list_of_shapes(shape) else [shape]


def _is_list_of_shapes(shape: Any) -> bool:
    return isinstance(shape, list) and any(isinstance(entry, (list, tuple)) for entry in shape)


def _reconcile(x: Symbolic, declared: Any) -> Shape:
    traced = tuple(x.shape)
    if declared is None or len(declared) != len(traced):
        return traced
    declared = tuple(None if n is None else int(n) for n in declared)
    if any(a is not None and b is not None and a != b for a, b in zip(traced, declared, strict=True)):
        return traced
    merged = tuple(b if a is None else a for a, b in zip(traced, declared, strict=True))
    if merged != traced and isinstance(x, SymbolicTensor):
        x.spec = x.spec.with_shape(merged)
    return declared
