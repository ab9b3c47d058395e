"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import unbroadcast
from kcore.ops.shaping import transpose
from kcore.ops.spec import Tensor, primitive, spec_of


def _matmul_spec(x: TensorSpec, y: TensorSpec) -> TensorSpec:
    if x.rank < 2 or y.rank < 2:
        raise ShapeError(f"matmul expects tensors of rank 2 or more, got shapes {x.shape} and {y.shape}.")
    inner, other = x.shape[-1], y.shape[-2]
    if inner is not None and other is not None and inner != other:
        raise ShapeError(f"matmul of shapes {x.shape} and {y.shape}: {inner} columns meet {other} rows.")
    return TensorSpec((*rules.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), x.dtype)


def swap_last(x: Any) -> Any:
    """The last two axes exchanged."""
    rank = spec_of(x).rank  # of any backend's tensor, which may not know `ndim`
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _matrices(d: Draw) -> Any:
    dtype, n, m, k = d.dtype(FLOATS), d.integer(1, 3), d.integer(1, 3), d.integer(1, 4)
    left, right = d.choice([((), ()), ((2,), (2,)), ((2,), ()), ((), (3,)), ((2, 1), (1, 3))])
    values = Real(-2, 2)
    return {"x": d.array((*left, n, k), dtype, values), "y": d.array((*right, k, m), dtype, values)}


_NO_ROWS = Edge((), large=False, also=(
    {"x": np.ones((0, 2), "float32"), "y": np.ones((2, 3), "float32")},
    {"x": np.ones((2, 0), "float32"), "y": np.ones((0, 3), "float32")},  # sums of nothing are 0
    {"x": np.ones((2, 2, 3), "float32"), "y": np.ones((1, 3, 0), "float32")},
))  # fmt: skip
_UNFIT = (Wrong(ShapeError, x=(2, 3), y=(2, 4)), Wrong(ShapeError, x=(3,), y=(3, 4)),
          Wrong(ShapeError, x=(2, 2, 3), y=(3, 3, 2)))  # fmt: skip


def _matmul_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(matmul(g, swap_last(y)), x), unbroadcast(matmul(swap_last(x), g), y)


@primitive(infer=_matmul_spec, vjp=_matmul_vjp, cases=Cases(_matrices, edges=_NO_ROWS, errors=_UNFIT))
def matmul(x: Tensor, y: Tensor) -> Any:
    """Matrix product over the last two axes; leading axes broadcast.

    Args:
        x: (..., n, k).
        y: (..., k, m).

    Returns:
        (..., n, m).

    Raises:
        ShapeError: a rank below 2, or inner sizes that differ.

    >>> matmul(np.array([[1., 2.]]), np.array([[3.], [4.]]))
    array([[11.]])
    """
    return np.matmul(x, y)
