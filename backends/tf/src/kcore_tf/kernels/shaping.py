"""Shape primitives: shapes come as tuples of ints, axes as non-negative ints."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kcore_tf.kernels.table import KERNELS, kernel, through

KERNELS.update(
    reshape=lambda x, shape: tf.reshape(x, list(shape)), expand_dims=tf.expand_dims,
    squeeze=lambda x, axis: tf.squeeze(x, list(axis)) if axis else x,
    concatenate=tf.concat, stack=tf.stack,
    reverse=lambda x, axis: tf.reverse(x, list(axis)) if axis else x,
)  # fmt: skip


@kernel
def transpose(x: Any, perm: tuple[int, ...]) -> Any:
    if len(perm) < 2:
        return x
    if x.dtype == tf.bool:  # of bools, TensorFlow's oneDNN logs an error on most CPUs; it sees through casts
        return tf.transpose(tf.where(x, 1.0, 0.0), list(perm)) > 0.5
    return tf.transpose(x, list(perm))


@kernel
def reduce_to(x: Any, shape: tuple[int, ...]) -> Any:
    lead = x.shape.rank - len(shape)
    axes = [i for i, n in enumerate(shape, lead) if n == 1 and x.shape[i] != 1]
    x = tf.reduce_sum(x, axes, keepdims=True) if axes else x
    return tf.reduce_sum(x, list(range(lead))) if lead else x


@kernel
def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    if len(shape) < 5:
        return tf.broadcast_to(x, list(shape))
    # Broadcasts of many axes are not there; repeating is.
    sizes = [1] * (len(shape) - x.shape.rank) + list(x.shape)
    return _tile(tf.reshape(x, sizes), [n if m == 1 else 1 for m, n in zip(sizes, shape, strict=True)])


_tile = through(tf.tile, {tf.uint16: tf.int32})


@kernel
def tile(x: Any, n: tuple[int, ...]) -> Any:
    return _tile(x, list(n)) if n else x


@kernel
def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    sizes = list(x.shape)
    wide = broadcast_to(tf.expand_dims(x, axis + 1), (*sizes[: axis + 1], rep, *sizes[axis + 1 :]))
    return tf.reshape(wide, [*sizes[:axis], sizes[axis] * rep, *sizes[axis + 1 :]])


@kernel
def pad(x: Any, padding: Any, value: float) -> Any:
    if not padding:
        return x
    return tf.pad(x, padding, constant_values=tf.constant(np.asarray(value).astype(x.dtype.as_numpy_dtype)))


@kernel
def strided_slice(x: Any, index: tuple[Any, ...]) -> Any:
    return x[tuple(index)] if index else x


@kernel
def scatter_slice(x: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The gradient op of slicing, with the masks that slicing itself would make."""
    if not index:
        return tf.reshape(x, list(shape))
    begin, end, strides, masks = [], [], [], dict.fromkeys(("begin", "end", "new_axis", "shrink_axis"), 0)
    for i, item in enumerate(index):
        start, stop, step = 0, 1, 1
        if item is None:
            masks["new_axis"] |= 1 << i
        elif isinstance(item, slice):
            start, stop, step = item.start, item.stop, 1 if item.step is None else item.step
            masks["begin"] |= (start is None) << i
            masks["end"] |= (stop is None) << i
        else:
            start, stop = item, item + 1
            masks["shrink_axis"] |= 1 << i
        begin.append(start or 0)
        end.append(stop or 0)
        strides.append(step)
    return tf.raw_ops.StridedSliceGrad(
        shape=tf.constant(list(shape), tf.int32), begin=begin, end=end, strides=strides, dy=x,
        **{f"{name}_mask": bits for name, bits in masks.items()},
    )  # fmt: skip

