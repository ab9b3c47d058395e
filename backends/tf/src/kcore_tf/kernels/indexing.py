"""Gathering, scattering, one-hot and top-k. Negative indices count from the end."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import kernel


def _from_start(indices: Any, count: int) -> Any:
    """Indices as int32 or int64, counted from the start."""
    if indices.dtype not in (tf.int32, tf.int64):
        unsigned_small = indices.dtype in (tf.uint8, tf.uint16, tf.bool)
        indices = tf.cast(indices, tf.int32 if unsigned_small else tf.int64)
        if unsigned_small:
            return indices
    return tf.where(indices < 0, indices + count, indices)


@kernel
def gather(x: Any, indices: Any, axis: int) -> Any:
    return tf.gather(x, _from_start(indices, x.shape[axis]), axis=axis)


@kernel
def scatter_add(indices: Any, updates: Any, shape: tuple[int, ...], axis: int) -> Any:
    rank, count = indices.shape.rank, shape[axis]
    indices = _from_start(indices, count)
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
    return tuple(tf.math.top_k(x, k))
