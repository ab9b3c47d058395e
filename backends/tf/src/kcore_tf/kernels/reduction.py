"""Reductions and running sums and products."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import KERNELS


def _reduction(function: Any, logical: Any = None) -> Any:
    def reduce(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        if not axis:
            return tf.identity(x)
        if logical is not None and x.dtype == tf.bool:
            return logical(x, list(axis), keepdims)
        return function(x, list(axis), keepdims)

    return reduce


def _test(function: Any) -> Any:
    reduce = _reduction(function)
    return lambda x, axis, keepdims: reduce(x if x.dtype == tf.bool else tf.cast(x, tf.bool), axis, keepdims)


def _position(function: Any) -> Any:
    """The first position of an extreme; NaN, which TensorFlow passes over, wins."""

    def find(x: Any, axis: int) -> Any:
        if not x.dtype.is_floating:
            return function(x, axis)
        lost = tf.math.is_nan(x)
        nan = tf.reduce_any(lost, axis)
        return tf.where(nan, tf.argmax(tf.cast(lost, tf.uint8), axis), function(x, axis))

    return find


KERNELS.update(
    sum=_reduction(tf.reduce_sum, tf.reduce_any), mean=_reduction(tf.reduce_mean),
    prod=_reduction(tf.reduce_prod, tf.reduce_all), max=_reduction(tf.reduce_max, tf.reduce_any),
    min=_reduction(tf.reduce_min, tf.reduce_all), any=_test(tf.reduce_any), all=_test(tf.reduce_all),
    argmax=_position(tf.argmax), argmin=_position(tf.argmin), cumsum=tf.cumsum, cumprod=tf.math.cumprod,
)  # fmt: skip
