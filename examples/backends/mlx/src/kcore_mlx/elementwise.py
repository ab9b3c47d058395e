"""Elementwise kernels: MLX's functions, but for edges (NaN, ties, division by zero) and for double precision.

Edges are decided by `where`, so that MLX's own gradient is the declared one. MLX computes `exp`, `sin`, `cos` and `erf`
of float64 in float32, and much that is made of them; those here are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import numpy as np

from kcore.ops import REGISTRY
from kcore_mlx.table import KERNELS, is_float, kernel, with_gradient

One = Callable[[mx.array], mx.array]

KERNELS.update({
    "add": mx.add, "subtract": mx.subtract, "multiply": mx.multiply, "negative": mx.negative, "square": mx.square,
    "abs": mx.abs, "sqrt": mx.sqrt, "rsqrt": mx.rsqrt, "log": mx.log, "log1p": mx.log1p, "expm1": mx.expm1,
    "tanh": mx.tanh, "isnan": mx.isnan, "isfinite": mx.isfinite, "where": mx.where, "round": mx.round,
    "floor": mx.floor, "ceil": mx.ceil, "equal": mx.equal, "not_equal": mx.not_equal, "greater": mx.greater,
    "greater_equal": mx.greater_equal, "less": mx.less, "less_equal": mx.less_equal, "logical_and": mx.logical_and,
    "logical_or": mx.logical_or, "logical_not": mx.logical_not, "divide": mx.divide,
})  # fmt: skip


# --- double precision ---------------------------------------------------------------------------------------------


def _in_double(native: One, double: One) -> One:
    return lambda x: double(x) if x.dtype == mx.float64 else native(x)


def _sin(x: mx.array) -> mx.array:
    t = mx.tan(x / 2)
    return 2 * t / (1 + t * t)


def _cos(x: mx.array) -> mx.array:
    t = mx.tan(x / 2)
    return (1 - t * t) / (1 + t * t)


def _erf(x: mx.array) -> mx.array:
    return mx.array(REGISTRY["erf"].reference(np.array(x)), mx.float64)


_exp64 = with_gradient(lambda x: mx.power(mx.array(math.e, mx.float64), x), lambda g, x: g * _exp64(x))
_sin64 = with_gradient(_sin, lambda g, x: g * _cos64(x))
_cos64 = with_gradient(_cos, lambda g, x: -g * _sin64(x))
_erf64 = with_gradient(_erf, lambda g, x: g * (2 / math.sqrt(math.pi)) * _exp64(-x * x))

sigmoid = _in_double(mx.sigmoid, lambda x: (1 + mx.tanh(x / 2)) / 2)
_softplus64 = with_gradient(lambda x: relu(x) + mx.log1p(_exp64(-mx.abs(x))), lambda g, x: g * sigmoid(x))

KERNELS.update({
    "exp": _in_double(mx.exp, _exp64), "sigmoid": sigmoid, "sin": _in_double(mx.sin, _sin64),
    "cos": _in_double(mx.cos, _cos64), "erf": _in_double(mx.erf, _erf64),
    "softplus": _in_double(lambda x: mx.logaddexp(x, mx.zeros_like(x)), _softplus64),
})  # fmt: skip


# --- ties and edges -----------------------------------------------------------------------------------------------


def relu(x: mx.array) -> mx.array:
    """The positive part; its derivative at 0 is 0."""
    return mx.maximum(x, mx.zeros_like(x))


@kernel
def maximum(x: mx.array, y: mx.array) -> mx.array:
    """The larger; at ties the gradient is x's."""
    return mx.where(x >= y, x, mx.maximum(x, y)) if is_float(x) else mx.maximum(x, y)


@kernel
def minimum(x: mx.array, y: mx.array) -> mx.array:
    """The smaller; at ties the gradient is x's."""
    return mx.where(x <= y, x, mx.minimum(x, y)) if is_float(x) else mx.minimum(x, y)


@kernel
def sign(x: mx.array) -> mx.array:
    """-1, 0, 1; NaN of NaN."""
    return mx.where(mx.isnan(x), x, mx.sign(x)) if is_float(x) else mx.sign(x)


@kernel
def power(x: mx.array, y: mx.array) -> mx.array:
    """x ** y; the derivative by y is 0 where x is not positive."""
    if not is_float(x):
        return mx.power(x, y)
    positive, one = x > 0, mx.ones_like(x)
    above = mx.power(mx.where(positive, x, one), y)
    return mx.where(positive, above, mx.power(mx.where(positive, one, x), mx.stop_gradient(y)))


@kernel
def floor_divide(x: mx.array, y: mx.array) -> mx.array:
    """Rounded towards minus infinity; for integers 0 where y is 0, for floats what x / y is there. No gradient."""
    x, y = mx.stop_gradient(x), mx.stop_gradient(y)
    zero = y == 0
    quotient = mx.floor_divide(x, mx.where(zero, mx.ones_like(y), y))
    return mx.where(zero, x / y if is_float(x) else mx.zeros_like(x), quotient)


@kernel
def mod(x: mx.array, y: mx.array) -> mx.array:
    """The remainder, of y's sign; for integers 0 where y is 0."""
    if is_float(x):
        return mx.remainder(x, y)
    zero = y == 0
    return mx.where(zero, mx.zeros_like(x), mx.remainder(x, mx.where(zero, mx.ones_like(y), y)))
