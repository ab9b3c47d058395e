"""Elementwise primitives, casts and phase-free structure ops."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from kcore.errors import ShapeError
from kcore_tf.kernels.shaping import reduce_to
from kcore_tf.kernels.table import KERNELS, UNSIGNED, kernel, through

_UNSIGNED = (tf.bool, *UNSIGNED)


def _boolean(function: Any, logical: Any) -> Any:
    """The function for numbers, a logical one for bools."""
    return lambda x, y: logical(x, y) if x.dtype == tf.bool else function(x, y)


def _floats(function: Any, otherwise: Any) -> Any:
    """The function for floating-point operands, another one for the rest."""
    return lambda x: function(x) if x.dtype.is_floating else otherwise(x)


KERNELS.update(
    add=_boolean(tf.add, tf.logical_or), subtract=tf.subtract, multiply=_boolean(tf.multiply, tf.logical_and),
    divide=tf.realdiv, maximum=_boolean(tf.maximum, tf.logical_or), minimum=_boolean(tf.minimum, tf.logical_and),
    negative=through(tf.negative, UNSIGNED), abs=lambda x: tf.identity(x) if x.dtype in _UNSIGNED else tf.abs(x),
    sign=through(tf.sign, UNSIGNED), square=tf.square,
    sqrt=tf.sqrt, rsqrt=tf.math.rsqrt, exp=tf.exp, log=tf.math.log, log1p=tf.math.log1p, expm1=tf.math.expm1,
    sin=tf.sin, cos=tf.cos, tanh=tf.tanh, sigmoid=tf.sigmoid, softplus=tf.math.softplus,
    # The kernel for float64 gives NaN at infinity.
    erf=lambda x: tf.math.erf(tf.clip_by_value(x, -9.0, 9.0) if x.dtype == tf.float64 else x),
    floor=_floats(tf.floor, tf.identity), ceil=_floats(tf.math.ceil, tf.identity), round=_floats(tf.round, tf.identity),
    isnan=_floats(tf.math.is_nan, lambda x: tf.zeros_like(x, tf.bool)),
    isfinite=_floats(tf.math.is_finite, lambda x: tf.ones_like(x, tf.bool)),
    equal=tf.equal, not_equal=tf.not_equal, where=tf.where, stop_gradient=tf.stop_gradient, zeros_like=tf.zeros_like,
    identity=tf.convert_to_tensor, copy=tf.identity,
)  # fmt: skip


@kernel
def power(x: Any, y: Any) -> Any:
    if x.dtype.is_floating or x.dtype in _UNSIGNED:
        return _power(x, y)
    # Negative powers, which TensorFlow refuses: 0, but of 1 and -1, for which only the parity counts.
    result = tf.pow(x, tf.where(y < 0, y % 2, y))
    kept = tf.logical_or(y >= 0, tf.logical_or(tf.equal(x, 1), tf.equal(x, -1)))
    return tf.where(kept, result, tf.zeros_like(result))


_power = through(tf.pow, UNSIGNED)


def _comparison(function: Any) -> Any:
    def compare(x: Any, y: Any) -> Any:
        return function(tf.cast(x, tf.uint8), tf.cast(y, tf.uint8)) if x.dtype == tf.bool else function(x, y)

    return compare


KERNELS.update(
    greater=_comparison(tf.greater), greater_equal=_comparison(tf.greater_equal), less=_comparison(tf.less),
    less_equal=_comparison(tf.less_equal),
)  # fmt: skip


def _integer(function: Any, x: Any, y: Any) -> Any:
    """Integer division or modulus with 0 where the divisor is 0 (TensorFlow raises there)."""
    zero = tf.equal(y, 0)
    result = function(x, tf.where(zero, tf.ones_like(y), y))
    return tf.where(zero, tf.zeros_like(result), result)


def _float_floor_divide(x: Any, y: Any) -> Any:
    # As NumPy does: by the exact remainder. The floor of a rounded quotient can be one too high.
    rest = tf.truncatemod(x, y)
    wrong_side = tf.logical_and(tf.not_equal(rest, 0), tf.not_equal(rest < 0, y < 0))
    exact = (x - rest) / y - tf.cast(wrong_side, x.dtype)
    return tf.stop_gradient(tf.where(tf.equal(y, 0), x / y, tf.round(exact)))


_float_floor_divide = through(_float_floor_divide, {tf.float16: tf.float32, tf.bfloat16: tf.float32})


@kernel
def floor_divide(x: Any, y: Any) -> Any:
    return _float_floor_divide(x, y) if x.dtype.is_floating else _integer(tf.math.floordiv, x, y)


@kernel
def mod(x: Any, y: Any) -> Any:
    return _float_mod(x, y) if x.dtype.is_floating else _integer(tf.math.floormod, x, y)


@tf.custom_gradient
def _float_mod(x: Any, y: Any) -> Any:
    def grad(g: Any) -> Any:
        return reduce_to(g, x.shape), reduce_to(-g * floor_divide(x, y), y.shape)

    return tf.math.floormod(x, y), grad


def _bools(function: Any) -> Any:
    return lambda *xs: function(*(x if x.dtype == tf.bool else tf.cast(x, tf.bool) for x in xs))


KERNELS.update(
    logical_and=_bools(tf.logical_and), logical_or=_bools(tf.logical_or), logical_not=_bools(tf.logical_not),
)  # fmt: skip


@kernel
def cast(x: Any, dtype: str) -> Any:
    target = tf.as_dtype(dtype)
    if not (x.dtype.is_floating and target.is_integer):
        return tf.cast(x, target)
    x = tf.cast(x, tf.float32) if x.dtype.size == 2 else x  # in which the limits of integers are numbers
    above = float(target.max // 2 + 1) * 2
    whole = tf.where(x >= above, tf.constant(target.max, target), tf.cast(x, target))
    whole = tf.where(x <= float(target.min), tf.constant(target.min, target), whole)
    return tf.where(tf.math.is_nan(x), tf.zeros_like(whole), whole)


@kernel
def shape(x: Any) -> Any:
    if not x.shape.is_fully_defined():
        raise ShapeError(f"The shape {x.shape} is asked for, but not known while the function is traced: it depends on "
                         "values (as the results of branches with different shapes do).")  # fmt: skip
    return np.asarray(x.shape, "int32")


@kernel
def print_tensor(x: Any, message: str) -> Any:
    # In NumPy's words, as everywhere, and where Python prints.
    value = tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x
    with tf.control_dependencies([tf.numpy_function(partial(_show, message), [value], tf.bool)]):
        return tf.identity(x)


def _show(message: str, value: Any) -> Any:
    print(message, value)  # noqa: T201 - that is the op
    return np.True_
