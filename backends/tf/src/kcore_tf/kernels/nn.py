"""Overrides of neural composites by TensorFlow's fused kernels, where their values and gradients are the same."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.conv import layout
from kcore_tf.kernels.table import KERNELS, kernel, scalar, size

KERNELS.update(softmax=tf.nn.softmax, log_softmax=tf.nn.log_softmax)


@kernel
def relu(x: Any, alpha: float, max_value: float | None, threshold: float) -> Any:
    if alpha:
        return tf.nn.leaky_relu(x, alpha)
    kept = tf.nn.relu(x) if threshold == 0 else tf.where(x > threshold, x, tf.zeros_like(x))
    if max_value is None:
        return kept
    kept = tf.maximum(kept, scalar(0.0, x.dtype)) if threshold < 0 else kept  # its slope at 0 is 1, relu's is 0
    return tf.minimum(kept, scalar(max_value, x.dtype))


# The leaky kernel keeps its slope in float32.
relu.supports = lambda x, alpha, max_value, threshold: (
    not alpha or (max_value is None and threshold == 0 and x.dtype != "float64")
)


@kernel
def elu(x: Any, alpha: float) -> Any:
    return tf.nn.elu(x) if alpha == 1 else tf.where(x > 0, x, alpha * tf.nn.elu(x))


@kernel
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    return tf.clip_by_value(x, min_value, max_value)


clip.supports = lambda x, min_value, max_value: min_value is not None and max_value is not None


@kernel
def bias_add(x: Any, bias: Any, data_format: str) -> Any:
    first = data_format == "channels_first" and x.shape.rank > 2
    return tf.nn.bias_add(x, bias, "NC" + "DHW"[5 - x.shape.rank :] if first else None)


def _fits(x: Any, bias: Any, data_format: str) -> bool:
    at = 1 if data_format == "channels_first" and x.rank > 2 else -1
    return x.rank > 1 and bias.rank == 1 and bias.shape[0] is not None and bias.shape[0] == x.shape[at]


bias_add.supports = _fits


@kernel
def sparse_softmax_crossentropy(target: Any, logits: Any) -> Any:
    known = tf.logical_and(target >= 0, target < tf.cast(logits.shape[-1], target.dtype))
    target = tf.where(known, target, tf.zeros_like(target))
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
    return tf.where(known, loss, tf.zeros_like(loss))


sparse_softmax_crossentropy.supports = lambda target, logits: (
    target.dtype in ("int32", "int64") and target.shape == logits.shape[:-1] and logits.shape[-1] is not None
)


# --- batch normalisation ----------------------------------------------------------------------------------------------


@kernel
def batch_norm(x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    rank, channels = x.shape.rank, x.shape[axis]
    moments: list[Any] = []

    def run(images: Any) -> Any:
        flat = images if rank == 4 else tf.reshape(images, [-1, 1, 1, channels])
        y, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
            x=flat, scale=tf.ones([channels]) if gamma is None else gamma, mean=[], variance=[],
            offset=tf.zeros([channels]) if beta is None else beta, epsilon=epsilon, is_training=True,
        )  # fmt: skip
        count = size(x.shape) // max(channels, 1)
        moments.extend(_moments(flat, mean, unbiased * (max(count - 1, 0) / max(count, 1))))
        return tf.reshape(y, images.shape)

    last = rank - 1 == axis
    if not last and axis != 1:
        perm = [*(i for i in range(rank) if i != axis), axis]
        y = tf.transpose(run(tf.transpose(x, perm)), [perm.index(i) for i in range(rank)])
    else:
        y = layout(run, "channels_last" if last else "channels_first", rank)(x)
    return (y, *moments)


batch_norm.supports = lambda x, gamma, beta, axis, epsilon: (
    x.dtype == "float32" and epsilon >= 1.001e-5 and x.shape[axis] is not None
)


@tf.custom_gradient
def _moments(x: Any, mean: Any, variance: Any) -> Any:
    """The moments with their gradients: the fused kernel has none for them."""

    def grad(g_mean: Any, g_variance: Any) -> Any:
        unused = [z is not None and not z.any() for z in map(tf.get_static_value, (g_mean, g_variance))]
        if all(unused):
            return None, None, None
        centred = x - tf.reduce_mean(x, [0, 1, 2])
        return (g_mean + 2 * g_variance * centred) / size(x.shape[:-1]), None, None

    return (mean, variance), grad
