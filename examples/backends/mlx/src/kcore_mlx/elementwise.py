"""Elementwise kernels: MLX's functions, but for edges (NaN, ties, division by zero) and for double precision.

Edges are decided by `where`, so that MLX's own gradient is the declared one. MLX computes `exp`, `sin`, `cos` and `erf`
of float64 in float32, and much that is made of them; those here are exact. Functions of the array API are not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
import numpy as np

from kcore.ops import REGISTRY
from kcore_mlx.table import KERNELS, is_float, kernel, with_gradient

One = Callable[[mx.array], mx.array]

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
    if x.dtype == mx.float64:
        return mx.array(REGISTRY["erf"].reference(np.array(x)), mx.float64)
    s = x * x
    series = x * (2 / math.sqrt(math.pi)) * (1 - s * (1 / 3 - s * (1 / 10 - s * (1 / 42 - s / 216))))
    return mx.where(mx.abs(x) < 0.3, series, mx.erf(x))  # MLX's has three digits near 0


_exp64 = with_gradient(lambda x: mx.power(mx.array(math.e, mx.float64), x), lambda g, x: g * _exp64(x))
_sin64 = with_gradient(_sin, lambda g, x: g * _cos64(x))
_cos64 = with_gradient(_cos, lambda g, x: -g * _sin64(x))
erf = with_gradient(_erf, lambda g, x: g * (2 / math.sqrt(math.pi)) * exp(-x * x))

exp = _in_double(mx.exp, _exp64)
sigmoid = _in_double(mx.sigmoid, lambda x: (1 + mx.tanh(x / 2)) / 2)
_softplus64 = with_gradient(lambda x: relu(x) + mx.log1p(_exp64(-mx.abs(x))), lambda g, x: g * sigmoid(x))

KERNELS.update({
    "rsqrt": mx.rsqrt, "exp": exp, "sigmoid": sigmoid, "erf": erf, "sin": _in_double(mx.sin, _sin64),
    "cos": _in_double(mx.cos, _cos64),
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


def _divisible(y: mx.array) -> tuple[mx.array, mx.array]:
    """Where integers are 0, or -1, by which MLX's division may end the process; and the integers with 1 there."""
    trap = mx.logical_and(y <= 0, y + 1 >= 0)
    return trap, mx.where(trap, mx.ones_like(y), y)


@kernel
def floor_divide(x: mx.array, y: mx.array) -> mx.array:
    """Rounded towards minus infinity; NaN of infinite dividends; an integer by 0 is 0. No gradient."""
    x, y = mx.stop_gradient(x), mx.stop_gradient(y)
    if not is_float(x):
        trap, divisor = _divisible(y)
        return mx.where(trap, x * y, mx.floor_divide(x, divisor))
    exact = mx.round((x - mx.remainder(x, y)) / y)  # MLX's rounds x / y, perhaps over an integer
    below = mx.logical_and(x != 0, (x < 0) != (y < 0)).astype(x.dtype)
    return mx.where(y == 0, x / y, mx.where(mx.abs(x) < mx.abs(y), -below, exact))


@kernel
def mod(x: mx.array, y: mx.array) -> mx.array:
    """The remainder, of y's sign; an integer modulo 0 is 0."""
    if is_float(x):
        return mx.remainder(x, y)
    trap, divisor = _divisible(y)
    return mx.where(trap, mx.zeros_like(x), mx.remainder(x, divisor))
