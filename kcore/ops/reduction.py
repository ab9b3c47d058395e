"""Reductions over axes, and running sums and products along one."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.ops import rules
from kcore.ops.elementwise import cast, divide, equal, multiply, subtract
from kcore.ops.spec import Tensor, primitive


def _expand(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced gradient, with the reduced axes back as size 1."""
    from kcore.ops import shaping

    if not keepdims:
        for a in axis:
            g = shaping.expand_dims(g, a)
    return g


def _reduction(vjp: Any = None, **options: Any) -> Any:
    dtype = options.pop("dtype", None)
    return primitive(
        infer=rules.reduce_axes("x", dtype), normalize=rules.normalize_axes, vjp=vjp, host=True,
        differentiable=vjp is not None, **options,
    )  # fmt: skip


def _sum_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    from kcore.ops import shaping

    return shaping.broadcast_to(_expand(g, x, axis, keepdims), shaping.shape_of(x))


@_reduction(_sum_vjp)
def sum_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes; integers keep their dtype.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.sum(x, axis=0))
    array([4., 6.], dtype=float32)
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


@_reduction(_mean_vjp, to_float=True, reference=_mean)
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over axes; of integers and bools in floatx; NaN over no elements.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.mean(x, axis=0))
    array([2., 3.], dtype=float32)
    """


def _prod_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    # Product of the others, right also where elements are zero: exclusive products from both sides along one axis.
    from kcore.ops import shaping

    rest = [a for a in range(x.ndim) if a not in axis]
    perm = [*rest, *axis]
    flat = shaping.transpose(x, perm)
    lead = shaping.shape_of(flat)[: len(rest)]
    flat = shaping.reshape(flat, shaping.join(lead, [-1]))
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


@_reduction(_prod_vjp)
def prod(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over axes; integers keep their dtype.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.prod(x, axis=0))
    array([3., 8.], dtype=float32)
    """
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=np.asarray(x).dtype)


def _extreme_vjp(g: Any, out: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Ties share the gradient evenly."""
    hit = cast(equal(x, _expand(out, x, axis, keepdims)), x.dtype)
    share = divide(_expand(g, x, axis, keepdims), sum_(hit, axis=axis, keepdims=True))
    return multiply(hit, share)


@_reduction(_extreme_vjp)
def max_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over axes; NaN wins; ties share the gradient evenly.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.max(x, axis=0))
    array([3., 4.], dtype=float32)
    """
    return np.max(x, axis=axis, keepdims=keepdims)


@_reduction(_extreme_vjp)
def min_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over axes; NaN wins; ties share the gradient evenly.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.min(x, axis=0, keepdims=True))
    array([[1., 2.]], dtype=float32)
    """
    return np.min(x, axis=axis, keepdims=keepdims)


@_reduction(dtype="bool")
def any_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any element over axes is nonzero, as a bool tensor.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.any(K.equal(x, 4.), axis=0))
    array([False,  True])
    """
    return np.any(x, axis=axis, keepdims=keepdims)


@_reduction(dtype="bool")
def all_(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over axes are nonzero, as a bool tensor.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.all(K.greater(x, 1.), axis=0))
    array([False,  True])
    """
    return np.all(x, axis=axis, keepdims=keepdims)


def _arg_spec(x: Any, axis: int) -> Any:
    return type(x)(tuple(n for i, n in enumerate(x.shape) if i != axis), "int64")


@primitive(infer=_arg_spec, normalize=rules.normalize_axis, differentiable=False)
def argmax(x: Tensor, axis: int = -1) -> Any:
    """Index (int64) of the first largest element along an axis.

    Args:
        x: tensor.
        axis: the axis that goes.

    >>> K.eval(K.argmax(K.constant([[1., 5., 2.]])))
    array([1])
    """
    return np.argmax(x, axis=axis)


@primitive(infer=_arg_spec, normalize=rules.normalize_axis, differentiable=False)
def argmin(x: Tensor, axis: int = -1) -> Any:
    """Index (int64) of the first smallest element along an axis.

    Args:
        x: tensor.
        axis: the axis that goes.

    >>> K.eval(K.argmin(K.constant([[4., 5., 2.]])))
    array([2])
    """
    return np.argmin(x, axis=axis)


def _cumsum_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    from kcore.ops import shaping

    return shaping.reverse(cumsum(shaping.reverse(g, axis), axis=axis), axis)


@primitive(infer=rules.same("x"), normalize=rules.normalize_axis, vjp=_cumsum_vjp)
def cumsum(x: Tensor, axis: int = 0) -> Any:
    """Running sum along an axis.

    Args:
        x: tensor.
        axis: along which to add up.

    >>> K.eval(K.cumsum(K.constant([1., 2., 3.])))
    array([1., 3., 6.], dtype=float32)
    """
    return np.cumsum(x, axis=axis, dtype=np.asarray(x).dtype)


def _cumprod_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    # Valid away from zeros, as the original's rule is.
    from kcore.ops import shaping

    tail = shaping.reverse(cumsum(shaping.reverse(multiply(g, out), axis), axis=axis), axis)
    return divide(tail, x)


@primitive(infer=rules.same("x"), normalize=rules.normalize_axis, vjp=_cumprod_vjp)
def cumprod(x: Tensor, axis: int = 0) -> Any:
    """Running product along an axis; its gradient is not defined where x has zeros.

    Args:
        x: tensor.
        axis: along which to multiply up.

    >>> K.eval(K.cumprod(K.constant([1., 2., 3.])))
    array([1., 2., 6.], dtype=float32)
    """
    return np.cumprod(x, axis=axis, dtype=np.asarray(x).dtype)


__all__ = ["all_", "any_", "argmax", "argmin", "cumprod", "cumsum", "max_", "mean", "min_", "prod", "subtract", "sum_"]
sum = sum_
