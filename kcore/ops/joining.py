"""Joining tensors along an axis that they have, or along a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, NUMBERS, Cases, Draw, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.slicing import shape_of, strided_slice
from kcore.ops.spec import Tensors, primitive


def _first_rank(extra: int) -> Any:
    def normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
        if not specs["xs"]:
            raise ShapeError("Expected at least one tensor to join, got an empty list.")
        rank = specs["xs"][0].rank + extra
        arguments["axis"] = rules.canonical_axis(int(arguments["axis"]), rank)

    return normalize


def _concatenate_spec(xs: Sequence[TensorSpec], axis: int) -> TensorSpec:
    first = xs[0]
    if not first.rank:
        raise ShapeError("Cannot concatenate scalars; stack them.")
    sizes: list[int | None] = list(first.shape)
    for x in xs[1:]:
        if x.rank != first.rank:
            raise ShapeError(f"Cannot concatenate tensors of ranks {first.rank} and {x.rank}.")
        for i, n in enumerate(x.shape):
            if i == axis or n is None:
                continue
            if sizes[i] is not None and sizes[i] != n:
                raise ShapeError(
                    f"Cannot concatenate shapes {[s.shape for s in xs]} along axis {axis}: axis {i} differs."
                )
            sizes[i] = n
    along = [x.shape[axis] for x in xs]
    sizes[axis] = None if None in along else sum(along)  # type: ignore[arg-type]
    return TensorSpec(tuple(sizes), first.dtype)


def _concatenate_vjp(g: Any, out: Any, xs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x in xs:
        size = shape_of(x)[axis]
        index = (*[slice(None)] * axis, slice(start, start + size))
        parts.append(strided_slice(g, index))
        start = start + size
    return (parts,)


_NOTHING, _ONE = np.zeros((2, 0), "float32"), np.ones((2, 1), "float32")
_JOINED = Edge(also=({"xs": [_NOTHING, _ONE, _NOTHING], "axis": 1}, {"xs": [_NOTHING, _NOTHING], "axis": 0}))
_STACKED = Edge(also=({"xs": [_NOTHING, _NOTHING], "axis": 1},))
_UNLIKE = (Wrong(ShapeError, xs=[(2, 3), (2,)], axis=0), Wrong(ShapeError, xs=[(2, 3), (4, 5)], axis=0),
           Wrong(ShapeError, xs=[(2, 3)], axis=4), Wrong(ShapeError, xs=[], axis=0))  # fmt: skip


def _joined(names: Any) -> Any:
    def draw(d: Draw) -> Any:
        shape, dtype = d.shape(1), d.dtype(names)
        axis = d.integer(-len(shape), len(shape) - 1)
        shapes = [list(shape) for _ in range(d.integer(1, 3))]
        for s in shapes:
            s[axis] = d.integer(1, 3)
        return {"xs": [d.array(s, dtype, Real()) for s in shapes], "axis": axis}

    return draw


@primitive(infer=_concatenate_spec, normalize=_first_rank(0), vjp=_concatenate_vjp, host=True,
           cases=Cases(_joined(NUMBERS), smooth=_joined(FLOATS), edges=_JOINED, errors=_UNLIKE))  # fmt: skip
def concatenate(xs: Tensors, axis: int = -1) -> Any:
    """Tensors joined along an axis that they have.

    Args:
        xs: a list of tensors whose other axes are equal; they get one common dtype.
        axis: where to join.

    Raises:
        ShapeError: ranks or other axes that differ.

    >>> concatenate([np.array([1, 2]), np.array([3])])
    array([1, 2, 3])
    """
    return np.concatenate(xs, axis=axis)


def _stack_spec(xs: Sequence[TensorSpec], axis: int) -> TensorSpec:
    first = xs[0]
    sizes: list[int | None] = list(first.shape)
    for x in xs[1:]:
        if x.rank != first.rank or any(
            a not in (None, b) and b is not None for a, b in zip(sizes, x.shape, strict=True)
        ):
            raise ShapeError(f"Cannot stack tensors of shapes {[s.shape for s in xs]}: they differ.")
        sizes = [b if a is None else a for a, b in zip(sizes, x.shape, strict=True)]
    return TensorSpec((*sizes[:axis], len(xs), *sizes[axis:]), first.dtype)


def _stack_vjp(g: Any, out: Any, xs: Any, axis: int) -> Any:
    lead = [slice(None)] * axis
    return ([strided_slice(g, (*lead, i)) for i in range(len(xs))],)


def _stacked(names: Any) -> Any:
    def draw(d: Draw) -> Any:
        shape, dtype = d.shape(0, 2), d.dtype(names)
        xs = [d.array(shape, dtype, Real()) for _ in range(d.integer(1, 3))]
        return {"xs": xs, "axis": d.integer(-len(shape) - 1, len(shape))}

    return draw


@primitive(infer=_stack_spec, normalize=_first_rank(1), vjp=_stack_vjp, host=True,
           cases=Cases(_stacked(NUMBERS), smooth=_stacked(FLOATS), edges=_STACKED, errors=_UNLIKE[:2]))  # fmt: skip
def stack(xs: Tensors, axis: int = 0) -> Any:
    """Tensors of one shape joined along a new axis.

    Args:
        xs: a list of tensors of one shape; they get one common dtype.
        axis: where the new axis goes.

    Raises:
        ShapeError: shapes that differ.

    >>> stack([np.array([1, 2]), np.array([3, 4])], axis=1)
    array([[1, 3], [2, 4]])
    """
    return np.stack(xs, axis=axis)
