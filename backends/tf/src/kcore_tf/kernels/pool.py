"""Pooling over 1 to 3 spatial axes, channels_last inside. Three axes are pooled as two and then one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.conv import Ints, derivative, layout
from kcore_tf.kernels.table import kernel


def _max_pool2d(x: Any, size: Ints, strides: Ints, padding: str) -> Any:
    """Max pooling with a second derivative of its own: TensorFlow's may overwrite its operand before it is read."""
    window = {"ksize": [1, *size, 1], "strides": [1, *strides, 1], "padding": padding}

    @tf.custom_gradient
    def back(g: Any, x: Any, y: Any) -> Any:
        def grad(h: Any) -> Any:
            at = tf.nn.max_pool_with_argmax(x, size, strides, padding, include_batch_in_index=True).argmax
            return tf.gather(tf.reshape(h, [-1]), at), None, None

        return tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=g, **window), grad

    @tf.custom_gradient
    def pool(x: Any) -> Any:
        y = tf.raw_ops.MaxPool(input=x, **window)
        return y, lambda g: back(g, x, y)

    return pool(x)


def _pool(native: Any, x: Any, size: Ints, strides: Ints, padding: str) -> Any:
    if x.shape.rank == 3:
        return tf.squeeze(_pool(native, x[:, None], (1, *size), (1, *strides), padding), [1])
    if x.shape.rank == 4:
        return native(x, size, strides, padding.upper())
    batch, depth, *_, channels = x.shape
    planes = native(tf.reshape(x, [batch * depth, *x.shape[2:]]), size[1:], strides[1:], padding.upper())
    _, rows, columns, _ = planes.shape
    lines = tf.reshape(planes, [batch, depth, rows * columns, channels])
    lines = native(lines, (size[0], 1), (strides[0], 1), padding.upper())
    return tf.reshape(lines, [batch, lines.shape[1], rows, columns, channels])


@kernel
def max_pool(x: Any, pool_size: Ints, strides: Ints, padding: str, data_format: str) -> Any:
    run = layout(lambda y: _pool(_max_pool2d, y, pool_size, strides, padding), data_format, x.shape.rank)
    if not x.dtype.is_floating:
        return tf.cast(run(tf.cast(x, tf.float64)), x.dtype)
    if 0 in x.shape:  # TensorFlow's gradient of nothing ends the process (2.21 with oneDNN)
        return run(tf.stop_gradient(x)) + tf.reduce_sum(x)
    return run(x)


@kernel
def avg_pool(x: Any, pool_size: Ints, strides: Ints, padding: str, data_format: str) -> Any:
    return layout(lambda y: _pool(tf.nn.avg_pool2d, y, pool_size, strides, padding), data_format, x.shape.rank)(x)


@kernel
def max_pool_grad(g: Any, x: Any, *geometry: Any) -> Any:
    return derivative(lambda y: max_pool(y, *geometry), x, g)


@kernel
def avg_pool_grad(g: Any, shape: Ints, *geometry: Any) -> Any:
    return derivative(lambda y: avg_pool(y, *geometry), tf.zeros(list(shape), g.dtype), g)
