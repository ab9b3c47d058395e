"""Elementwise kernels. Where JAX's derivative at an edge is not the declared one, a `custom_jvp` says it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kcore_jax.kernels.table import KERNELS, kernel

KERNELS.update({
    "add": jnp.add, "subtract": jnp.subtract, "multiply": jnp.multiply, "negative": jnp.negative,
    "sign": jnp.sign, "square": jnp.square, "sqrt": jnp.sqrt, "rsqrt": lax.rsqrt,
    "exp": jnp.exp, "log": jnp.log, "log1p": jnp.log1p, "expm1": jnp.expm1,
    "sin": jnp.sin, "cos": jnp.cos, "tanh": jnp.tanh, "sigmoid": lax.logistic, "erf": lax.erf,
    "isnan": jnp.isnan, "isfinite": jnp.isfinite, "where": jnp.where,
    "equal": jnp.equal, "not_equal": jnp.not_equal, "greater": jnp.greater, "greater_equal": jnp.greater_equal,
    "less": jnp.less, "less_equal": jnp.less_equal,
    "logical_and": jnp.logical_and, "logical_or": jnp.logical_or, "logical_not": jnp.logical_not,
})  # fmt: skip


def is_float(x: Any) -> bool:
    """Whether the tensor holds floating-point numbers."""
    return bool(jnp.issubdtype(x.dtype, jnp.floating))


# --- arithmetic with edges ------------------------------------------------------------------------


@kernel
@jax.custom_jvp
def divide(x: Any, y: Any) -> Any:
    """x / y; the derivative goes through the quotient, which does not overflow where y * y would."""
    return jnp.true_divide(x, y)


@divide.defjvp
def _divide_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    out = divide(x, y)
    return out, divide(dx - out * dy, y)


@kernel
@jax.custom_jvp
def power(x: Any, y: Any) -> Any:
    """x ** y; the derivative by y is 0 where x is not positive. Negative powers of integers: 0, but of 1 and -1."""
    if not jnp.issubdtype(x.dtype, jnp.signedinteger):
        return jnp.power(x, y)
    kept = (y >= 0) | (x == 1) | (x == -1)
    return jnp.where(kept, jnp.power(x, jnp.where(y < 0, y & 1, y)), jnp.zeros((), x.dtype))


@power.defjvp
def _power_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    out = power(x, y)
    positive = x > 0
    by_y = jnp.where(positive, out * jnp.log(jnp.where(positive, x, jnp.ones_like(x))), jnp.zeros_like(out))
    return out, dx * y * power(x, y - 1) + dy * by_y


@kernel
@jax.custom_jvp
def maximum(x: Any, y: Any) -> Any:
    """The larger; at ties the derivative is x's."""
    return jnp.maximum(x, y)


@maximum.defjvp
def _maximum_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return maximum(x, y), gate(x >= y, dx) + gate(x < y, dy)


@kernel
@jax.custom_jvp
def minimum(x: Any, y: Any) -> Any:
    """The smaller; at ties the derivative is x's."""
    return jnp.minimum(x, y)


@minimum.defjvp
def _minimum_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return minimum(x, y), gate(x <= y, dx) + gate(x > y, dy)


def gate(condition: Any, g: Any) -> Any:
    """g where the condition holds, 0 elsewhere."""
    return jnp.where(condition, g, jnp.zeros((), g.dtype))


@kernel
@jax.custom_jvp
def abs_(x: Any) -> Any:
    """|x|; its derivative at 0 is 0."""
    return jnp.abs(x)


@abs_.defjvp
def _abs_jvp(primals: Any, tangents: Any) -> Any:
    return abs_(*primals), tangents[0] * jnp.sign(*primals)


@kernel
@jax.custom_jvp
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    return softplus(*primals), tangents[0] * lax.logistic(*primals)


# --- integer division and rounding: no gradient -----------------------------------------------------


@kernel
def floor_divide(x: Any, y: Any) -> Any:
    """Rounded towards minus infinity; for integers 0 where y is 0, for floats what x / y is there."""
    x, y = lax.stop_gradient((x, y))
    zero = y == 0
    edge = jnp.true_divide(x, y) if is_float(x) else jnp.zeros_like(x)
    return jnp.where(zero, edge, jnp.floor_divide(x, jnp.where(zero, jnp.ones_like(y), y)))


@kernel
def mod(x: Any, y: Any) -> Any:
    """The remainder, of y's sign; for integers 0 where y is 0."""
    if is_float(x):
        return jnp.mod(x, y)
    zero = y == 0
    return jnp.where(zero, jnp.zeros_like(x), jnp.mod(x, jnp.where(zero, jnp.ones_like(y), y)))


@kernel
def floor(x: Any) -> Any:
    """Rounded down, in x's dtype."""
    return jnp.floor(x) if is_float(x) else x


@kernel
def ceil(x: Any) -> Any:
    """Rounded up, in x's dtype."""
    return jnp.ceil(x) if is_float(x) else x


@kernel
def round_(x: Any) -> Any:
    """Rounded, halves to even, in x's dtype."""
    return jnp.round(x) if is_float(x) else x
