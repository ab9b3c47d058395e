"""Reductions over axes, and running sums and products along one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.ops import rules
from kcore.ops.cases import (
    FLAG,
    FLOATS,
    INTS,
    TIES_AND_NAN,
    AxesOf,
    AxisOf,
    Bools,
    Cases,
    Distinct,
    Draw,
    Real,
    Reduction,
    Ties,
    Unary,
    reduction_edges,
    with_attributes,
)
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import cast, divide, equal, multiply, subtract
from kcore.ops.spec import F, Tensor, primitive


def _expand(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced gradient, with the reduced axes back as size 1."""
    from kcore.ops import shaping

    if not keepdims:
        for a in axis:
            g = shaping.expand_dims(g, a)
    return g


def _reduction(vjp: Any = None, **options: Any) -> Callable[[F], F]:
    dtype = options.pop("dtype", None)
    return primitive(
        infer=rules.reduce_axes("x", dtype), normalize=rules.normalize_axes, vjp=vjp, host=True,
        differentiable=vjp is not None, **options,
    )  # fmt: skip


def _sum_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    from kcore.ops import shaping

    return shaping.broadcast_to(_expand(g, x, axis, keepdims), shaping.shape_of(x))


@_reduction(_sum_vjp, cases=Reduction())
def sum_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over `axis`.

    Args:
        x: tensor of any shape; integers keep their dtype.
        axis: an int, a list of ints, or None for all axes.
        keepdims: whether the reduced axes stay, with size 1.

    Raises:
        ShapeError: an axis out of range.

    >>> sum_(np.array([[1, 2], [3, 4]]), axis=0)
    array([4, 6])
    """
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.asarray(x).dtype)


def _mean_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    from kcore.ops import shaping

    count = cast(shaping.count(x, axis), x.dtype)
    return shaping.broadcast_to(divide(_expand(g, x, axis, keepdims), count), shaping.shape_of(x))


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.sum(x, axis=axis, keepdims=keepdims, dtype=np.asarray(x).dtype)
        return np.asarray(total / np.prod([np.shape(x)[a] for a in axis], dtype=int), np.asarray(x).dtype)


@_reduction(_mean_vjp, to_float=True, reference=_mean, cases=Reduction())
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over `axis`; NaN over no elements.

    Args:
        x: tensor of any shape; integers and bools become floatx.
        axis, keepdims: as for `sum`.

    >>> mean(np.array([[1., 2.], [3., 4.]]), axis=1)
    array([1.5, 3.5])
    """


def _prod_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    # Product of the others, right also where elements are zero: exclusive products from both sides along one axis.
    from kcore.ops import shaping

    rest = [a for a in range(x.ndim) if a not in axis]
    perm = [*rest, *axis]
    flat = shaping.transpose(x, perm)
    lead = shaping.shape_of(flat)[: len(rest)]
    flat = shaping.reshape(flat, shaping.join(lead, [shaping.count(x, axis)]))
    others = multiply(_exclusive(flat, False), _exclusive(flat, True))
    others = shaping.reshape(others, shaping.shape_of(shaping.transpose(x, perm)))
    inverse = [perm.index(a) for a in range(x.ndim)]
    return multiply(_expand(g, x, axis, keepdims), shaping.transpose(others, inverse))


def _exclusive(x: Any, reverse: bool) -> Any:
    from kcore.ops import shaping

    last = x.ndim - 1
    x = shaping.reverse(x, last) if reverse else x
    ones = shaping.pad(x, [(0, 0)] * last + [(1, 0)], 1.0)
    product = cumprod(shaping.strided_slice(ones, (*[slice(None)] * last, slice(0, -1))), axis=last)
    return shaping.reverse(product, last) if reverse else product


@_reduction(_prod_vjp, cases=Reduction(Real(-2, 2), smooth=Real(-2, 2, away=(0.0,))))
def prod(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over `axis`; its gradient is right where elements are 0 too.

    Args:
        x: tensor of any shape; integers keep their dtype.
        axis, keepdims: as for `sum`.

    >>> prod(np.array([[1, 2], [3, 4]]), axis=1)
    array([ 2, 12])
    """
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=np.asarray(x).dtype)


def _extremes(d: Draw) -> Any:
    dtype = d.dtype((*FLOATS, *INTS))
    x = d.array(d.shape(), dtype, Ties() if dtype in INTS else TIES_AND_NAN)
    return with_attributes(d, {"x": x}, {"axis": AxesOf(), "keepdims": FLAG})


_EXTREMES = Cases(_extremes, smooth=Reduction(Distinct(), dtypes=FLOATS), edges=reduction_edges((*FLOATS, *INTS)))


def least(dtype: Any) -> Any:
    """What is not above any number of a NumPy dtype: the maximum of no elements."""
    kind = np.dtype(dtype).kind
    return False if kind == "b" else -np.inf if kind == "f" else np.iinfo(dtype).min


def largest(dtype: Any) -> Any:
    """What is not below any number of a NumPy dtype: the minimum of no elements."""
    kind = np.dtype(dtype).kind
    return True if kind == "b" else np.inf if kind == "f" else np.iinfo(dtype).max


def _extreme_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Ties share the gradient evenly."""
    hit = cast(equal(x, _expand(out, x, axis, keepdims)), x.dtype)
    share = divide(_expand(g, x, axis, keepdims), sum_(hit, axis=axis, keepdims=True))
    return multiply(hit, share)


@_reduction(_extreme_vjp, cases=_EXTREMES)
def max_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over `axis`; NaN wins; ties share the gradient evenly.

    Args:
        x: tensor of any shape. Over no elements the least number of the dtype is the result (-inf of floats).
        axis, keepdims: as for `sum`.

    >>> max_(np.array([[1, 2], [3, 4]]), axis=0)
    array([3, 4])
    """
    return np.max(x, axis=axis, keepdims=keepdims, initial=least(np.asarray(x).dtype))


@_reduction(_extreme_vjp, cases=_EXTREMES)
def min_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over `axis`; NaN wins; ties share the gradient evenly.

    Args:
        x: tensor of any shape. Over no elements the largest number of the dtype is the result (inf of floats).
        axis, keepdims: as for `sum`.

    >>> min_(np.array([[1, 2], [3, 4]]), axis=0)
    array([1, 2])
    """
    return np.min(x, axis=axis, keepdims=keepdims, initial=largest(np.asarray(x).dtype))


_TRUTH = Reduction(Bools(), dtypes=("bool",), smooth=False)


@_reduction(dtype="bool", cases=_TRUTH)
def any_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any element over `axis` is true (nonzero).

    Args:
        x: tensor of any shape.
        axis, keepdims: as for `sum`.

    Returns:
        bool tensor.

    >>> any_(np.array([[True, False], [False, False]]), axis=1)
    array([ True, False])
    """
    return np.any(x, axis=axis, keepdims=keepdims)


@_reduction(dtype="bool", cases=_TRUTH)
def all_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over `axis` are true (nonzero).

    Args:
        x: tensor of any shape.
        axis, keepdims: as for `sum`.

    Returns:
        bool tensor.

    >>> all_(np.array([[True, False], [False, False]]), axis=1)
    array([False, False])
    """
    return np.all(x, axis=axis, keepdims=keepdims)


def _arg_spec(x: Any, axis: int) -> Any:
    if x.rank and x.shape[axis] == 0:
        raise ShapeError(f"There is no position along axis {axis} of shape {x.shape}, which is empty.")
    return type(x)(tuple(n for i, n in enumerate(x.shape) if i != axis), "int64")


# Not of large numbers: some kernels take the least finite one for minus infinity.
_RANKED = Unary(Ties(), dtypes=(*FLOATS, *INTS), smooth=False, min_rank=1, edges=Edge(large=False), axis=AxisOf())
_RANKED.errors += (Wrong(ShapeError, x=(2, 0), axis=-1),)


@primitive(infer=_arg_spec, normalize=rules.normalize_axis, differentiable=False, cases=_RANKED)
def argmax(x: Tensor, axis: int = -1) -> Any:
    """Index of the first largest element along `axis`; NaN counts as larger than any number.

    Args:
        x: tensor of rank 1 or more.
        axis: the axis that the result lacks.

    Returns:
        int64 tensor.

    Raises:
        ShapeError: an empty axis.

    >>> argmax(np.array([[1, 3, 3], [2, 0, 0]]))
    array([1, 0])
    """
    return np.argmax(x, axis=axis)


@primitive(infer=_arg_spec, normalize=rules.normalize_axis, differentiable=False, cases=_RANKED)
def argmin(x: Tensor, axis: int = -1) -> Any:
    """Index of the first smallest element along `axis`; NaN counts as smaller than any number.

    Args:
        x: tensor of rank 1 or more.
        axis: the axis that the result lacks.

    Returns:
        int64 tensor.

    Raises:
        ShapeError: an empty axis.

    >>> argmin(np.array([[1, 3, 3], [2, 0, 0]]))
    array([0, 1])
    """
    return np.argmin(x, axis=axis)


def _cumsum_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    from kcore.ops import shaping

    return shaping.reverse(cumsum(shaping.reverse(g, axis), axis=axis), axis)


_RUNNING = (*FLOATS, *INTS)


@primitive(infer=rules.same("x"), normalize=rules.normalize_axis, vjp=_cumsum_vjp,
           cases=Unary(dtypes=_RUNNING, min_rank=1, axis=AxisOf()))  # fmt: skip
def cumsum(x: Tensor, axis: int = 0) -> Any:
    """Running sum along `axis`.

    Args:
        x: tensor of rank 1 or more; integers keep their dtype.
        axis: where to run.

    >>> cumsum(np.array([1, 2, 3]))
    array([1, 3, 6])
    """
    return np.cumsum(x, axis=axis, dtype=np.asarray(x).dtype)


def _cumprod_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    # Valid away from zeros, as the original's rule is.
    from kcore.ops import shaping

    tail = shaping.reverse(cumsum(shaping.reverse(multiply(g, out), axis), axis=axis), axis)
    return divide(tail, x)


@primitive(infer=rules.same("x"), normalize=rules.normalize_axis, vjp=_cumprod_vjp,
           cases=Unary(Real(-2, 2, away=(0.0,)), dtypes=_RUNNING, min_rank=1, axis=AxisOf()))  # fmt: skip
def cumprod(x: Tensor, axis: int = 0) -> Any:
    """Running product along `axis`; its gradient is not defined where x has zeros.

    Args:
        x: tensor of rank 1 or more; integers keep their dtype.
        axis: where to run.

    >>> cumprod(np.array([1, 2, 3]))
    array([1, 2, 6])
    """
    return np.cumprod(x, axis=axis, dtype=np.asarray(x).dtype)


__all__ = ["all_", "any_", "argmax", "argmin", "cumprod", "cumsum", "max_", "mean", "min_", "prod", "subtract", "sum_"]
sum = sum_
