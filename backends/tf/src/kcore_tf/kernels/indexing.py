"""Gathering, scattering, one-hot and top-k. Negative indices count from the end; others meet the nearest end."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import kernel


def _within(indices: Any, count: int) -> Any:
    """Indices as int32 or int64, counted from the start. Those out of range meet the nearest end."""
    if indices.dtype not in (tf.int32, tf.int64):
        unsigned_small = indices.dtype in (tf.uint8, tf.uint16, tf.bool)
        indices = tf.cast(indices, tf.int32 if unsigned_small else tf.int64)
        if unsigned_small:
            return tf.minimum(indices, count - 1)
    return tf.clip_by_value(tf.where(indices < 0, indices + count, indices), 0, count - 1)


@kernel
def gather(x: Any, indices: Any, axis: int) -> Any:
    return tf.gather(x, _within(indices, x.shape[axis]), axis=axis)


@kernel
def scatter_add(indices: Any, updates: Any, shape: tuple[int, ...], axis: int) -> Any:
    rank, count = indices.shape.rank, shape[axis]
    indices = _within(indices, count)
    if axis == 0:
        return tf.math.unsorted_segment_sum(updates, indices, count)
    total = updates.shape.rank
    lead = [*range(axis, axis + rank), *range(axis), *range(axis + rank, total)]
    summed = tf.math.unsorted_segment_sum(tf.transpose(updates, lead), indices, count)
    return tf.transpose(summed, [*range(1, axis + 1), 0, *range(axis + 1, len(shape))])


@kernel
def one_hot(indices: Any, num_classes: int, dtype: str) -> Any:
    if indices.dtype.is_integer:
        known = indices.dtype in (tf.int32, tf.int64, tf.uint8)
        hot, cold = (tf.constant(on, dtype) for on in ((True, False) if dtype == "bool" else (1, 0)))
        return tf.one_hot(indices if known else tf.cast(indices, tf.int64), num_classes, hot, cold)
    classes = tf.cast(tf.range(num_classes), tf.float64)
    return tf.cast(tf.equal(tf.cast(indices, tf.float64)[..., None], classes), dtype)


@kernel
def top_k(x: Any, k: int) -> Any:
    if not x.dtype.is_floating:
        return tuple(tf.math.top_k(x, k))
    return tf.cond(tf.reduce_any(tf.math.is_nan(x)), lambda: _top_k_with_nan(x, k), lambda: tuple(tf.math.top_k(x, k)))


def _top_k_with_nan(x: Any, k: int) -> Any:
    """By integers of the same order, above which there is room for NaN."""
    whole = {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size]
    bits = tf.bitcast(tf.where(tf.equal(x, 0), tf.zeros_like(x), x), whole)
    rank = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, whole.max), bits)
    indices = tf.math.top_k(tf.where(tf.math.is_nan(x), tf.constant(whole.max, whole), rank), k)[1]
    return tf.gather(x, indices, batch_dims=x.shape.rank - 1), indices
