"""K.dot and K.batch_dot: tensor products of any ranks, made of reshapes and one matmul."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.linalg import matmul
from kcore.ops.shaping import expand_dims, join, reshape, shape_of, squeeze, transpose
from kcore.ops.spec import Tensor, composite, spec_of


def reshaped(x: Any, shape: Any) -> Any:
    """Reshape; a single unknown size becomes -1, so that no shape arithmetic is left for run time."""
    unknown = [i for i, n in enumerate(shape) if isinstance(n, Symbolic)]
    if len(unknown) == 1 and not any(isinstance(n, int) and n == -1 for n in shape):
        shape = tuple(-1 if i == unknown[0] else n for i, n in enumerate(shape))
    return reshape(x, shape)


def _dot_spec(x: TensorSpec, y: TensorSpec) -> TensorSpec:
    if not x.rank or not y.rank:
        raise ShapeError(f"dot expects tensors of rank 1 or more, got shapes {x.shape} and {y.shape}.")
    at = max(y.rank - 2, 0)
    inner, other = x.shape[-1], y.shape[at]
    if inner is not None and other is not None and inner != other:
        raise ShapeError(
            f"dot of shapes {x.shape} and {y.shape}: the last axis of the first has size {inner}, "
            f"axis {at} of the second has size {other}; they must be equal."
        )
    return TensorSpec((*x.shape[:-1], *y.shape[:at], *y.shape[at + 1 :]), x.dtype)


def _factors(d: Draw) -> Any:
    dtype, inner = d.dtype(FLOATS), d.integer(1, 4)
    right = d.choice([(inner, 3), (inner,), (2, inner, 3)])
    return {"x": d.array((*d.shape(0, 2), inner), dtype, Real(-2, 2)), "y": d.array(right, dtype, Real(-2, 2))}


_NOTHING = Edge((), large=False, also=(
    {"x": np.ones((0, 2), "float32"), "y": np.ones((2, 3), "float32")},
    {"x": np.ones((2, 0), "float32"), "y": np.ones((0, 3), "float32")},
    {"x": np.ones((0, 2, 3), "float32"), "y": np.ones((3, 2), "float32")},
))  # fmt: skip
_UNFIT = (Wrong(ShapeError, x=(2, 3), y=(4, 2)), Wrong(ShapeError, x=(), y=(4, 2)), Wrong(ShapeError, x=(3,), y=(2,)))


@composite(infer=_dot_spec, cases=Cases(_factors, edges=_NOTHING, errors=_UNFIT))
def dot(x: Tensor, y: Tensor) -> Any:
    """Product over the last axis of x and the second-last of y (the only one of a vector).

    Args:
        x: (..., n).
        y: (..., n, m), or (n,).

    Returns:
        Tensor of shape `x.shape[:-1] + y.shape[:-2] + y.shape[-1:]`.

    Raises:
        ShapeError: the two axes differ in size.

    >>> dot(np.ones((2, 3, 4)), np.ones((4, 5))).shape
    (2, 3, 5)
    """
    a, b = spec_of(x), spec_of(y)
    if a.rank == 2 and b.rank == 2:
        return matmul(x, y)
    xs, ys, at = shape_of(x), shape_of(y), max(b.rank - 2, 0)
    if b.rank > 2:
        y = transpose(y, (at, *(i for i in range(b.rank) if i != at)))
    # Where an unknown size meets itself in the other operand, the known one serves.
    inner = next((n for n in (xs[-1], ys[at]) if not isinstance(n, Symbolic)), xs[-1])
    columns = -1 if b.rank > 1 else 1
    product = matmul(
        x if a.rank == 2 else reshaped(x, (-1, inner)), y if b.rank == 2 else reshaped(y, (inner, columns))
    )
    if b.rank == 2 and a.rank > 2:
        return reshaped(product, join(xs[:-1], ys[1:]))
    return reshape(product, join(xs[:-1], ys[:at], ys[at + 1 :]))


def _batch_axes(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    """`axes` None, int or pair -> a pair of positive ints, checked."""
    x, y, axes = specs["x"], specs["y"], arguments["axes"]
    if x.rank < 2 or y.rank < 2:
        raise ShapeError(f"batch_dot expects tensors of rank 2 or more, got shapes {x.shape} and {y.shape}.")
    if axes is None:
        axes = (x.rank - 1, y.rank - 1 if y.rank == 2 else y.rank - 2)
    axes = (axes, axes) if isinstance(axes, int) else tuple(axes)
    if len(axes) != 2 or any(isinstance(a, (list, tuple)) for a in axes):
        raise ArgumentError(f"batch_dot expects axes as None, an integer or two integers, got {arguments['axes']!r}.")
    pair = (
        rules.canonical_axis(int(axes[0]), x.rank),
        rules.canonical_axis(int(axes[1]), y.rank),
    )
    if 0 in pair:
        raise ArgumentError(
            f"batch_dot cannot multiply over axis 0, the batch (axes={arguments['axes']!r}). Tensors without a batch "
            "get one by K.expand_dims(x, 0)."
        )
    arguments["axes"] = pair


def _batch_dot_spec(x: TensorSpec, y: TensorSpec, axes: tuple[int, int]) -> TensorSpec:
    a, b = axes
    for i, j, what in ((0, 0, "batch sizes"), (a, b, f"axes {a} and {b}")):
        m, n = x.shape[i], y.shape[j]
        if m is not None and n is not None and m != n:
            raise ShapeError(f"batch_dot of shapes {x.shape} and {y.shape}: the {what} differ ({m} and {n}).")
    batch = x.shape[0] if x.shape[0] is not None else y.shape[0]
    rest = [n for i, n in enumerate(x.shape) if i not in (0, a)] + [n for i, n in enumerate(y.shape) if i not in (0, b)]
    return TensorSpec((batch, *rest) if rest else (batch, 1), x.dtype)


def _batches(d: Draw) -> Any:
    dtype, batch, inner = d.dtype(FLOATS), d.integer(1, 3), d.integer(1, 4)
    x_rest, y_rest = d.shape(0, 2, 3), d.shape(0, 2, 3)
    a, b = d.integer(1, len(x_rest) + 1), d.integer(1, len(y_rest) + 1)
    x = (batch, *x_rest[: a - 1], inner, *x_rest[a - 1 :])
    y = (batch, *y_rest[: b - 1], inner, *y_rest[b - 1 :])
    axes = d.choice([(a, b), (a - len(x), b - len(y))] + ([a] if a == b else []))
    return {"x": d.array(x, dtype, Real(-2, 2)), "y": d.array(y, dtype, Real(-2, 2)), "axes": axes}


_NO_BATCH = Edge((), large=False, also=(
    {"x": np.ones((0, 2, 3), "float32"), "y": np.ones((0, 3), "float32"), "axes": None},
    {"x": np.ones((2, 2, 0), "float32"), "y": np.ones((2, 0, 3), "float32"), "axes": None},
))  # fmt: skip
_UNPAIRED = (
    Wrong(ShapeError, x=(2, 3), y=(4, 3), axes=1), Wrong(ShapeError, x=(2, 3), y=(2, 4), axes=1),
    Wrong(ShapeError, x=(3,), y=(2, 3), axes=1), Wrong(ShapeError, x=(2, 3), y=(2, 3), axes=2),
    Wrong(ArgumentError, x=(2, 3), y=(2, 3), axes=0), Wrong(ArgumentError, x=(2, 3), y=(2, 3), axes=(1, [1])),
)  # fmt: skip


@composite(infer=_batch_dot_spec, normalize=_batch_axes, cases=Cases(_batches, edges=_NO_BATCH, errors=_UNPAIRED))
def batch_dot(x: Tensor, y: Tensor, axes: Any = None) -> Any:
    """Product over one axis of each operand, separately for each element of the batch.

    Args:
        x: (batch, ...) of rank 2 or more.
        y: (batch, ...) of rank 2 or more.
        axes: the axis of x and that of y, one integer for both, or None: the last of x and the second-last of y (the
            last, when y has rank 2).

    Returns:
        (batch, *other axes of x, *other axes of y); (batch, 1) for two matrices.

    Raises:
        ShapeError: batch sizes or the multiplied axes differ.
        ArgumentError: axes that are no pair, or name the batch.

    >>> batch_dot(np.ones((2, 3, 4)), np.ones((2, 4, 5))).shape
    (2, 3, 5)
    """
    a, b = axes
    xs, ys = spec_of(x), spec_of(y)
    x_rest, y_rest = [i for i in range(1, xs.rank) if i != a], [i for i in range(1, ys.rank) if i != b]
    x_sizes, y_sizes = shape_of(x), shape_of(y)
    left = x if a == xs.rank - 1 else transpose(x, (0, *x_rest, a))
    right = y if b == 1 else transpose(y, (0, b, *y_rest))
    if xs.rank == 2:
        left = expand_dims(left, 1)
    elif xs.rank > 3:
        left = reshaped(left, (x_sizes[0], -1, x_sizes[a]))
    if ys.rank == 2:
        right = expand_dims(right, 2)
    elif ys.rank > 3:
        right = reshaped(right, (y_sizes[0], y_sizes[b], -1))
    out = matmul(left, right)
    if xs.rank > 3 or ys.rank > 3:
        return reshape(out, (x_sizes[0], *(x_sizes[i] for i in x_rest), *(y_sizes[i] for i in y_rest)))
    if xs.rank == 2:
        return squeeze(out, 1)
    return squeeze(out, 2) if ys.rank == 2 else out
