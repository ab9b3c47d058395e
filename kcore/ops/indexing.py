"""Gathering, scattering, one-hot and top-k."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, DTypeError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops import edges as edge_values
from kcore.ops.cases import FLOATS, INTS, Cases, Distinct, Draw, Ints, Real, Ties, Unary
from kcore.ops.edges import Edge, Wrong
from kcore.ops.shaping import shape_of
from kcore.ops.spec import Dims, Tensor, primitive


def _gather_spec(x: TensorSpec, indices: TensorSpec, axis: int) -> TensorSpec:
    if dtypes.is_float(indices.dtype):
        raise DTypeError(f"gather expects integer indices, got {indices.dtype}. Cast them: K.cast(indices, 'int32').")
    if not x.rank:
        raise ShapeError("gather expects a tensor of rank 1 or more, got a scalar.")
    return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _gather_vjp(g: Any, out: Any, x: Any, indices: Any, axis: int) -> Any:
    return scatter_add(indices, g, shape_of(x), axis), None


def _gather(x: Any, indices: Any, axis: int = 0) -> Any:
    return np.take(x, np.asarray(indices).astype("int64"), axis=axis)


def _gathered(d: Draw, names: Any = (*FLOATS, *INTS)) -> Any:
    x = d.array(d.shape(1), d.dtype(names), Real())
    axis = d.integer(-x.ndim, x.ndim - 1)
    indices = d.array(d.shape(0, 2), d.dtype(INTS), Ints(0, x.shape[axis] - 1))
    return {"x": x, "indices": indices, "axis": axis}


_NOTHING = Edge(also=(
    {"x": np.ones((3, 2), "float32"), "indices": np.zeros((0,), "int32"), "axis": 0},
    {"x": np.ones((3, 0), "float32"), "indices": np.array([[0], [-1]], "int64"), "axis": 0},
))  # fmt: skip
_NO_INDEX = (
    Wrong(DTypeError, x=(3,), indices=(2,), axis=0),
    Wrong(ShapeError, x=(3,), indices={"shape": (2,), "dtype": "int32"}, axis=1),
    Wrong(ShapeError, x=(), indices={"shape": (2,), "dtype": "int32"}, axis=0),
)


@primitive(infer=_gather_spec, normalize=rules.normalize_axis, vjp=_gather_vjp, reference=_gather, promote=(),
           host=True, cases=Cases(_gathered, smooth=lambda d: _gathered(d, FLOATS), edges=_NOTHING,
                       errors=_NO_INDEX))  # fmt: skip
def gather(x: Tensor, indices: Tensor, axis: int = 0) -> Any:
    """Slices of x along `axis` at integer indices.

    Args:
        x: tensor of rank 1 or more.
        indices: integers of any shape, whose axes take the place of `axis`. Negative ones count from the end; what
            those out of range give is undefined: an error, or any of the slices.
        axis: where to gather.

    Raises:
        DTypeError: indices that are no integers.

    >>> gather(np.array([10, 20, 30]), np.array([[2, 0]]))
    array([[30, 10]])
    """


def _scatter_add(indices: Any, updates: Any, shape: Any, axis: int = 0) -> Any:
    updates, indices = np.asarray(updates), np.asarray(indices)
    out = np.zeros(shape, updates.dtype)
    moved = np.moveaxis(out, axis, 0)
    source = np.moveaxis(updates, range(axis, axis + indices.ndim), range(indices.ndim))
    np.add.at(moved, indices.astype("int64"), source)
    return out


def _scatter_add_vjp(g: Any, out: Any, indices: Any, updates: Any, shape: Any, axis: int) -> Any:
    return None, gather(g, indices, axis)


def _scattered(d: Draw) -> Any:
    shape = d.shape(1)
    axis = d.integer(0, len(shape) - 1)
    indices = d.array(d.shape(0, 2), d.dtype(INTS), Ints(0, shape[axis] - 1))
    updates = d.array((*shape[:axis], *indices.shape, *shape[axis + 1 :]), d.dtype(FLOATS), Real())
    return {"indices": indices, "updates": updates, "shape": shape, "axis": axis}


@primitive(infer=lambda indices, updates, shape, axis: TensorSpec(rules.static_shape(shape), updates.dtype),
           vjp=_scatter_add_vjp, reference=_scatter_add, promote=(), cases=Cases(_scattered))  # fmt: skip
def scatter_add(indices: Tensor, updates: Tensor, shape: Dims, axis: int = 0) -> Any:
    """Zeros with updates added at indices along `axis`: the gradient of gather.

    Args:
        indices: integers of any shape; what is given for one index twice is summed.
        updates: in the shape that gathering these indices gives.
        shape: of the result.
        axis: where to scatter, from the front.

    >>> scatter_add(np.array([0, 2, 0]), np.array([1., 2., 3.]), (3,))
    array([4., 0., 2.])
    """


@primitive(infer=lambda indices, num_classes, dtype: TensorSpec((*indices.shape, num_classes), dtype),
           differentiable=False, promote=(),
           cases=Unary(Ints(-1, 4), dtypes=INTS, smooth=False, name="indices", num_classes=4,
                       dtype="float32"))  # fmt: skip
def one_hot(indices: Tensor, num_classes: int, dtype: str = "float32") -> Any:
    """1 at the index, 0 elsewhere, along a new last axis.

    Args:
        indices: integers of any shape; one out of range gives all zeros.
        num_classes: size of the new axis.
        dtype: of the result.

    >>> one_hot(np.array([2, 0, 7]), 3)
    array([[0., 0., 1.], [1., 0., 0.], [0., 0., 0.]], dtype=float32)
    """
    indices = np.asarray(indices)
    return (indices[..., None] == np.arange(num_classes)).astype(dtype)


def _top_k(x: Any, k: int) -> Any:
    order = np.argsort(-np.asarray(x), axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(np.asarray(x), order, -1), order.astype("int32")


def _top_k_spec(x: TensorSpec, k: int) -> tuple[TensorSpec, TensorSpec]:
    if not x.rank:
        raise ShapeError("top_k expects a tensor of rank 1 or more, got a scalar.")
    if k < 0 or (x.shape[-1] is not None and k > x.shape[-1]):
        raise ArgumentError(f"top_k expects k between 0 and the size of the last axis, got k={k} for shape {x.shape}.")
    shape = (*x.shape[:-1], k)
    return TensorSpec(shape, x.dtype), TensorSpec(shape, "int32")


def _top_k_vjp(g: Any, out: Any, x: Any, k: int) -> Any:
    from kcore.ops import elementwise, reduction, shaping

    if g[0] is None:
        return None
    hits = one_hot(out[1], x.shape[-1], x.dtype)
    return reduction.sum(elementwise.multiply(hits, shaping.expand_dims(g[0], -1)), axis=-2)


def _ranked(values: Any) -> Any:
    def draw(d: Draw) -> Any:
        x = d.array(d.shape(1), d.dtype(FLOATS), values)
        return {"x": x, "k": d.integer(1, x.shape[-1])}

    return draw


def _ranked_edges(names: frozenset[str]) -> Any:
    edge = Edge((math.inf, -math.inf))
    for name in (n for n in FLOATS if n in names):
        yield {"x": edge_values.rows(name, edge), "k": 2}
        yield {"x": edge_values.specials(name, edge), "k": 3}
    yield {"x": np.zeros((0, 3), "float32"), "k": 2}
    yield {"x": np.zeros((2, 3), "float32"), "k": 0}


_TOO_MANY = (Wrong(ArgumentError, x=(2, 3), k=4), Wrong(ArgumentError, x=(2, 3), k=-1), Wrong(ShapeError, x=(), k=1))


@primitive(infer=_top_k_spec, vjp=_top_k_vjp, reference=_top_k, multiple=True,
           cases=Cases(_ranked(Ties()), smooth=_ranked(Distinct()), edges=_ranked_edges, errors=_TOO_MANY))  # fmt: skip
def top_k(x: Tensor, k: int) -> Any:
    """The k largest along the last axis.

    Args:
        x: tensor of rank 1 or more, whose last size must be known for gradients. Where NaN is ranked is undefined.
        k: how many.

    Returns:
        The values, in falling order, and their int32 indices; the lower index first at ties.

    >>> values, indices = top_k(np.array([1., 4., 2.]), 2)
    >>> values, indices
    (array([4., 2.]), array([1, 2], dtype=int32))
    """
