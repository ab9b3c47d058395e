"""Convolution of 1 to 3 spatial axes. Everything runs channels_last, the layout that every device has kernels for.

The two gradient primitives are the framework's own derivatives of `conv`: in a function its unused forward pass is
pruned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kcore.ops.windows import window_output
from kcore_tf.kernels.shaping import scatter_slice
from kcore_tf.kernels.table import kernel

Ints = Sequence[int]


def layout(function: Callable[..., Any], data_format: str, rank: int) -> Callable[[Any], Any]:
    """The function of a channels_last tensor, for tensors of `data_format` and rank."""
    if data_format == "channels_last":
        return function
    to_last, to_first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    return lambda x: tf.transpose(function(tf.transpose(x, to_last)), to_first)


def derivative(function: Callable[[Any], Any], at: Any, g: Any) -> Any:
    """The vector-Jacobian product of the function at a value; may itself be differentiated."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        y = function(at)
    return tape.gradient(y, at, g, unconnected_gradients=tf.UnconnectedGradients.ZERO)


@kernel
def conv(x: Any, kernel: Any, strides: Ints, padding: str, dilation: Ints, data_format: str, groups: int = 1) -> Any:
    run = layout(lambda images: _conv(images, kernel, strides, padding, dilation, groups), data_format, x.shape.rank)
    if not x.dtype.is_floating:
        x, kernel, dtype = tf.cast(x, tf.float64), tf.cast(kernel, tf.float64), x.dtype
        return tf.cast(run(x), dtype)
    return run(x)


@kernel
def conv_transpose(x: Any, kernel: Any, output_shape: Ints, strides: Ints, padding: str, dilation: Ints,
                   data_format: str, groups: int = 1) -> Any:  # fmt: skip
    at = tf.zeros(list(output_shape), x.dtype)
    return derivative(lambda y: conv(y, kernel, strides, padding, dilation, data_format, groups), at, x)


@kernel
def conv_kernel_grad(x: Any, g: Any, kernel_shape: Ints, strides: Ints, padding: str, dilation: Ints, data_format: str,
                     groups: int = 1) -> Any:  # fmt: skip
    at = tf.zeros(list(kernel_shape), x.dtype)
    return derivative(lambda w: conv(x, w, strides, padding, dilation, data_format, groups), at, g)


def _conv(x: Any, kernel: Any, strides: Ints, padding: str, dilation: Ints, groups: int) -> Any:
    """A channels_last convolution; one spatial axis is run as two."""
    if x.shape.rank == 3:
        flat = _conv(x[:, None], kernel[None], (1, *strides), padding, (1, *dilation), groups)
        return tf.squeeze(flat, [1])
    if groups == 1:
        return _plain(x, kernel, strides, padding, dilation)
    if groups == x.shape[-1] and x.shape.rank == 4:
        return _depthwise(x, kernel, strides, padding, dilation)
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([_plain(a, b, strides, padding, dilation) for a, b in parts], -1)


def _plain(x: Any, kernel: Any, strides: Ints, padding: str, dilation: Ints) -> Any:
    rank = len(strides)
    if 0 in x.shape:  # TensorFlow's own kernel answers with the images' shape
        sizes = zip(x.shape[1:-1], kernel.shape[:rank], strides, dilation, strict=True)
        return tf.zeros([x.shape[0], *(window_output(*s, padding) for s in sizes), kernel.shape[-1]], x.dtype)
    if any(d > 1 for d in dilation) and not _dilates(rank, x.dtype):
        # A kernel with zeros between its elements does the same.
        shape = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:rank], dilation, strict=True)]
        index = [*(slice(None, None, d) for d in dilation), slice(None), slice(None)]
        kernel, dilation = scatter_slice(kernel, index, [*shape, *kernel.shape[rank:]]), (1,) * rank
    run = tf.nn.conv2d if rank == 2 else tf.nn.conv3d
    return run(x, kernel, [1, *strides, 1], padding.upper(), dilations=[1, *dilation, 1])


@functools.cache
def _dilates(rank: int, dtype: Any) -> bool:
    """Whether dilated convolutions and their gradients work here: on CPUs that depends on the build and the dtype."""
    raw, sizes = tf.raw_ops, {"input_sizes": [1, *[5] * rank, 2]}
    plain, back = (raw.Conv2D, raw.Conv2DBackpropInput) if rank == 2 else (raw.Conv3D, raw.Conv3DBackpropInputV2)
    options = {"strides": [1] * (rank + 2), "padding": "VALID", "dilations": [1, *[2] * rank, 1]}
    with tf.init_scope():  # at once, also while a function is traced
        x, kernel = tf.ones([1, *[5] * rank, 2], dtype), tf.ones([*[2] * rank, 2, 3], dtype)
        try:
            back(filter=kernel, out_backprop=plain(input=x, filter=kernel, **options), **sizes, **options)
        except (tf.errors.OpError, ValueError):
            return False
    return True


def _depthwise(x: Any, kernel: Any, strides: Ints, padding: str, dilation: Ints) -> Any:
    rows, columns, _, out = kernel.shape
    kernel = tf.reshape(kernel, [rows, columns, x.shape[-1], out // x.shape[-1]])
    if strides[0] == strides[1] and (strides[0] == 1 or tuple(dilation) == (1, 1)):
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding.upper(), dilations=list(dilation))
    # The native kernel has neither unequal strides nor strides with dilation: take every stride-th window.
    x = tf.pad(x, [(0, 0), *pads(x.shape[1:-1], kernel.shape[:2], strides, dilation, padding), (0, 0)])
    y = tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "VALID", dilations=list(dilation))
    return y[:, :: strides[0], :: strides[1]]


def pads(sizes: Ints, window: Ints, strides: Ints, dilation: Ints, padding: str) -> list[tuple[int, int]]:
    """(before, after) along each spatial axis."""
    result = []
    for n, k, s, d in zip(sizes, window, strides, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) if padding == "same" else 0
        result.append((total // 2, total - total // 2))
    return result
