"""Activations, losses, normalisation and dropout in JAX's own or fused form."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kcore_jax.kernels.creation import typed
from kcore_jax.kernels.elementwise import softplus
from kcore_jax.kernels.table import KERNELS, kernel

KERNELS.update({
    "softmax": lambda x, axis: jax.nn.softmax(x, axis),
    "log_softmax": lambda x, axis: jax.nn.log_softmax(x, axis),
    "logsumexp": lambda x, axis, keepdims: jax.nn.logsumexp(x, axis=axis, keepdims=keepdims),
    "elu": lambda x, alpha: jax.nn.elu(x, jnp.asarray(alpha, x.dtype)),
    "selu": jax.nn.selu, "softsign": jax.nn.soft_sign,
})  # fmt: skip


@kernel
def relu(x: Any, alpha: float, max_value: float | None, threshold: float) -> Any:
    """max_value from max_value up, x from the threshold up, alpha * (x - threshold) below it."""
    if not alpha and max_value is None and not threshold:
        return jax.nn.relu(x)
    above = x > jnp.asarray(threshold, x.dtype)
    below = x * alpha - alpha * threshold if alpha else jnp.zeros((), x.dtype)
    y = jnp.where(above, x, below)
    return y if max_value is None else jnp.where(y > max_value, jnp.asarray(max_value, x.dtype), y)


@kernel
def hard_sigmoid(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1)."""
    return clip(0.2 * x + 0.5, 0.0, 1.0)


@kernel
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x within the bounds; the gradient passes on them."""
    low = jnp.asarray(min_value, x.dtype)
    high = jnp.maximum(low, jnp.asarray(max_value, x.dtype))
    return jnp.where(x < low, low, jnp.where(x > high, high, x))


@kernel
def var(x: Any, axis: Any, keepdims: bool) -> Any:
    """The biased variance."""
    return jnp.mean(jnp.square(x - jnp.mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


# --- losses ---------------------------------------------------------------------------------------


@kernel
def softmax_crossentropy(target: Any, logits: Any, axis: int) -> Any:
    """-sum(target * log_softmax(logits)) over the axis."""
    return -jnp.sum(target * jax.nn.log_softmax(logits, axis), axis=axis)


@kernel
def sparse_softmax_crossentropy(target: Any, logits: Any) -> Any:
    """-log_softmax(logits) at the integer target. A comparison fuses with the rest; a gather's gradient scatters."""
    classes = jnp.arange(logits.shape[-1], dtype=target.dtype)
    log_p = jax.nn.log_softmax(logits, -1)
    return -jnp.sum(jnp.where(target[..., None] == classes, log_p, jnp.zeros((), log_p.dtype)), axis=-1)


@kernel
def sigmoid_crossentropy(target: Any, logits: Any) -> Any:
    """-target * log(p) - (1 - target) * log(1 - p) with p = sigmoid(logits); its gradient is p - target."""
    return softplus(logits) - logits * target


# --- normalisation and dropout ----------------------------------------------------------------------


@kernel
def batch_norm(x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    """(y, mean, variance), the statistics over all axes but one."""
    axis %= x.ndim
    others = tuple(i for i in range(x.ndim) if i != axis)
    mean = jnp.mean(x, axis=others, keepdims=True)
    centred = x - mean
    variance = jnp.mean(jnp.square(centred), axis=others, keepdims=True)
    scale = lax.rsqrt(variance + epsilon)
    if gamma is not None:
        scale *= jnp.reshape(gamma, scale.shape)
    y = centred * scale
    if beta is not None:
        y += jnp.reshape(beta, scale.shape)
    return y, jnp.reshape(mean, (-1,)), jnp.reshape(variance, (-1,))


@kernel
def dropout(key: Any, x: Any, level: float, noise_shape: Any) -> Any:
    """x with a fraction `level` zeroed and the rest scaled by 1 / (1 - level)."""
    shape = x.shape if noise_shape is None else tuple(m if n is None else n for n, m in zip(noise_shape, x.shape, strict=True))
    keep = jax.random.bernoulli(typed(key), 1.0 - level, shape)
    return jnp.where(keep, x / (1.0 - level), jnp.zeros((), x.dtype))
