"""Elementwise arithmetic: sums, products, quotients, powers, larger and smaller, roots."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kcore.ops import rules
from kcore.ops.broadcasting import unbroadcast, zeros_of
from kcore.ops.cases import (
    FLOATS,
    INTS,
    NUMBERS,
    TIES_AND_NAN,
    UNBROADCASTABLE,
    Binary,
    Cases,
    Draw,
    Ints,
    Real,
    Ties,
    Unary,
    broadcast_shapes,
    pairwise_edges,
)
from kcore.ops.comparison import greater, greater_equal, less, less_equal, where
from kcore.ops.edges import Edge
from kcore.ops.spec import F, Tensor, primitive
from kcore.ops.structural import cast

_FINITE = Real(-3, 3)
_ANYTHING = Real(-3, 3, nonfinite=True)


def _unary(vjp: Any, **options: Any) -> Callable[[F], F]:
    return primitive(infer=rules.same("x"), vjp=vjp, **options)


def _binary(vjp: Any, **options: Any) -> Callable[[F], F]:
    return primitive(infer=rules.broadcast("x", "y"), vjp=vjp, host=True, **options)


def _gate(g: Any, condition: Any) -> Any:
    """The gradient where the condition holds, zero elsewhere."""
    return multiply(g, cast(condition, g.dtype))


@_binary(lambda g, out, x, y: (unbroadcast(g, x), unbroadcast(g, y)), cases=Binary(_ANYTHING))
def add(x: Tensor, y: Tensor) -> Any:
    """Sum, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype.

    >>> add(np.array([1, 2]), np.array([[10], [20]]))
    array([[11, 12], [21, 22]])
    """
    return np.add(x, y)


def _subtract_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(g, x), unbroadcast(negative(g), y)


@_binary(_subtract_vjp, cases=Binary(_ANYTHING))
def subtract(x: Tensor, y: Tensor) -> Any:
    """Difference, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype.

    >>> subtract(np.array([3, 2]), 1)
    array([2, 1])
    """
    return np.subtract(x, y)


def _multiply_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(multiply(g, y), x), unbroadcast(multiply(g, x), y)


@_binary(_multiply_vjp, cases=Binary(_ANYTHING))
def multiply(x: Tensor, y: Tensor) -> Any:
    """Product, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype.

    >>> multiply(np.array([1., 2.]), 0.5)
    array([0.5, 1. ])
    """
    return np.multiply(x, y)


_DIVISOR = Real(-4, 4, away=(0.0,), gap=0.25)
_ANY_DIVISOR = Ties((0.0, 0.5, -2.0, 4.0))


def _divide_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(divide(g, y), x), unbroadcast(negative(divide(multiply(g, out), y)), y)


@_binary(_divide_vjp, to_float=True,
         cases=Binary(_FINITE, _ANY_DIVISOR, dtypes=(*FLOATS, "float16"), smooth=(_FINITE, _DIVISOR)))  # fmt: skip
def divide(x: Tensor, y: Tensor) -> Any:
    """True quotient, with broadcasting; x / 0 is infinite or NaN.

    Args:
        x, y: tensors that broadcast together; integers are divided as floatx.

    >>> divide(np.array([1., 2.]), 4)
    array([0.25, 0.5 ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(x, y, dtype=np.result_type(x))


_WHOLE_DIVISOR = Ints(-3, 3, away=(0,))


def _whole(d: Draw) -> Any:
    """Dividends and divisors whose quotients no rounding error can push over an integer."""
    dtype, shapes = d.dtype((*FLOATS, *INTS)), broadcast_shapes(d)
    return {"x": d.array(shapes[0], dtype, Ints(-7, 7)), "y": d.array(shapes[1], dtype, _WHOLE_DIVISOR)}


_DIVIDED = partial(Cases, _whole, errors=UNBROADCASTABLE)
_DIVIDENDS = (*FLOATS, *INTS, "uint8")


@primitive(infer=rules.broadcast("x", "y"), differentiable=False, host=True,
           cases=_DIVIDED(smooth=False, edges=pairwise_edges(_DIVIDENDS)))  # fmt: skip
def floor_divide(x: Tensor, y: Tensor) -> Any:
    """Quotient rounded towards minus infinity, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype, which the result keeps. An integer divided
            by zero gives 0; the least integer divided by -1 is itself.

    >>> floor_divide(np.array([7, -7]), 2)
    array([ 3, -4])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.floor_divide(x, y)


def _mod_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(g, x), unbroadcast(negative(multiply(g, floor_divide(x, y))), y)


def _within(d: Draw) -> Any:
    """Dividends between multiples of the divisor."""
    dtype, shapes = d.dtype(FLOATS), broadcast_shapes(d)
    y = d.array(shapes[1], dtype, Real(1.9, 2.1, edges=()))
    return {"x": d.array(shapes[0], dtype, Real(2.3, 3.6, edges=())), "y": y}


def _remainders(names: frozenset[str]) -> Any:
    """Of floats without the largest: their remainder by a small number has no digit that counts."""
    found = [pairwise_edges([n for n in _DIVIDENDS if n in kind], Edge(large=kind is INTS)) for kind in (FLOATS, INTS)]
    return [case for edges in found for case in edges(names)]


@_binary(_mod_vjp, cases=_DIVIDED(smooth=_within, edges=_remainders))
def mod(x: Tensor, y: Tensor) -> Any:
    """Remainder with the sign of the divisor, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype. An integer modulo zero is 0.

    >>> mod(np.array([7, -7]), 3)
    array([1, 2])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.mod(x, y)


def _power_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    # d/dy = out * log(x) only where x > 0, and 0 elsewhere, as the original does.
    from kcore.ops.exponential import log

    positive = greater(x, 0)
    log_x = log(where(positive, x, cast(1, x.dtype)))
    dy = where(positive, multiply(out, log_x), zeros_of(out))
    return unbroadcast(multiply(g, multiply(y, power(x, subtract(y, 1)))), x), unbroadcast(multiply(g, dy), y)


def _powers(d: Draw) -> Any:
    dtype, shapes = d.dtype((*FLOATS, *INTS)), broadcast_shapes(d)
    if dtype in INTS:
        return {"x": d.array(shapes[0], dtype, Ints(-3, 3)), "y": d.array(shapes[1], dtype, Ints(0, 3))}
    return _real_powers(d, dtype, shapes)


def _real_powers(d: Draw, dtype: str, shapes: Any) -> Any:
    return {"x": d.array(shapes[0], dtype, Real(0.2, 3)), "y": d.array(shapes[1], dtype, Real(-2, 3))}


@_binary(_power_vjp, cases=Cases(_powers, smooth=lambda d: _real_powers(d, d.dtype(FLOATS), broadcast_shapes(d)),
                                 edges=pairwise_edges(FLOATS), errors=UNBROADCASTABLE))  # fmt: skip
def power(x: Tensor, y: Tensor) -> Any:
    """x to the power y, with broadcasting.

    Args:
        x, y: tensors that broadcast together; they get one common dtype. Integers take non-negative exponents.

    >>> power(np.array([1., 2., 3.]), 2)
    array([1., 4., 9.])
    """
    with np.errstate(all="ignore"):
        return np.power(x, y)


def _extremes(d: Draw) -> Any:
    dtype, shapes = d.dtype(NUMBERS), broadcast_shapes(d)
    values = Ties() if dtype in INTS else TIES_AND_NAN
    return {"x": d.array(shapes[0], dtype, values), "y": d.array(shapes[1], dtype, values)}


_APART = (Real(-3, -0.1, edges=()), Real(0.1, 3, edges=()))


@_binary(lambda g, out, x, y: (unbroadcast(_gate(g, greater_equal(x, y)), x), unbroadcast(_gate(g, less(x, y)), y)),
         cases=Cases(_extremes, smooth=Binary(*_APART, dtypes=FLOATS), edges=pairwise_edges(NUMBERS)))  # fmt: skip
def maximum(x: Tensor, y: Tensor) -> Any:
    """Larger of two tensors, with broadcasting; NaN wins. At ties the gradient goes to x.

    Args:
        x, y: tensors that broadcast together; they get one common dtype.

    >>> maximum(np.array([-1., 2.]), 0)
    array([0., 2.])
    """
    return np.maximum(x, y)


@_binary(lambda g, out, x, y: (unbroadcast(_gate(g, less_equal(x, y)), x), unbroadcast(_gate(g, greater(x, y)), y)),
         cases=Cases(_extremes, smooth=Binary(*_APART, dtypes=FLOATS), edges=pairwise_edges(NUMBERS)))  # fmt: skip
def minimum(x: Tensor, y: Tensor) -> Any:
    """Smaller of two tensors, with broadcasting; NaN wins. At ties the gradient goes to x.

    Args:
        x, y: tensors that broadcast together; they get one common dtype.

    >>> minimum(np.array([-1., 2.]), 0)
    array([-1.,  0.])
    """
    return np.minimum(x, y)


def _negative_vjp(g: Any, out: Any, x: Any) -> Any:
    return negative(g)


@_unary(_negative_vjp, host=True, cases=Unary(_ANYTHING, dtypes=NUMBERS))
def negative(x: Tensor) -> Any:
    """-x.

    Args:
        x: numeric tensor of any shape.

    >>> negative(np.array([1, -2]))
    array([-1,  2])
    """
    return np.negative(x)


_OFF_ZERO = Real(-3, 3, away=(0.0,))


def _abs_vjp(g: Any, out: Any, x: Any) -> Any:
    return multiply(g, sign(x))


@_unary(_abs_vjp, host=True, cases=Unary(_ANYTHING, dtypes=NUMBERS, smooth=_OFF_ZERO))
def abs_(x: Tensor) -> Any:
    """Absolute value; its gradient at 0 is 0.

    Args:
        x: numeric tensor of any shape.

    >>> abs_(np.array([1, -2]))
    array([1, 2])
    """
    return np.abs(x)


@_unary(lambda g, out, x: zeros_of(x), host=True, cases=Unary(_ANYTHING, dtypes=NUMBERS, smooth=_OFF_ZERO))
def sign(x: Tensor) -> Any:
    """-1, 0 or 1 by the sign, in x's dtype; NaN stays NaN.

    Args:
        x: numeric tensor of any shape.

    >>> sign(np.array([-3., 0., 2.]))
    array([-1.,  0.,  1.])
    """
    return np.sign(x)


@_unary(lambda g, out, x: multiply(g, multiply(2, x)), host=True, cases=Unary(_ANYTHING, dtypes=NUMBERS))
def square(x: Tensor) -> Any:
    """The square, x * x.

    Args:
        x: numeric tensor of any shape.

    >>> square(np.array([3, -2]))
    array([9, 4])
    """
    return np.square(x)


def _sqrt(x: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


_POSITIVE = Real(0.1, 4)


@_unary(lambda g, out, x: divide(multiply(g, 0.5), out), to_float=True, reference=_sqrt,
        cases=Unary(Real(-1, 4), dtypes=(*FLOATS, "float16"), smooth=_POSITIVE))  # fmt: skip
def sqrt(x: Tensor) -> Any:
    """Square root; NaN below zero, where `K.sqrt` gives 0.

    Args:
        x: tensor of any shape; integers become floatx.

    >>> sqrt(np.array([4., 9.]))
    array([2., 3.])
    """


@_unary(lambda g, out, x: multiply(g, multiply(-0.5, divide(out, x))), to_float=True,
        cases=Unary(Real(-1, 4, away=(0.0,)), smooth=_POSITIVE))  # fmt: skip
def rsqrt(x: Tensor) -> Any:
    """Reciprocal of the square root, 1 / sqrt(x); infinite at 0.

    Args:
        x: tensor of any shape; integers become floatx.

    >>> rsqrt(np.array([4., 0.25]))
    array([0.5, 2. ])
    """
    with np.errstate(all="ignore"):
        return np.asarray(1 / np.sqrt(x), np.asarray(x).dtype)


__all__ = [
    "abs_", "add", "divide", "floor_divide", "maximum", "minimum", "mod", "multiply", "negative", "power",
    "rsqrt", "sign", "sqrt", "square", "subtract",
]  # fmt: skip
