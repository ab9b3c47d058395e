"""Activations, losses, normalisation and dropout in JAX's own or fused form."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kcore_jax.kernels.creation import typed
from kcore_jax.kernels.elementwise import abs_, gate
from kcore_jax.kernels.indexing import hits
from kcore_jax.kernels.table import KERNELS, kernel

KERNELS.update({
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "logsumexp": lambda x, axis, keepdims: jax.nn.logsumexp(x, axis=axis, keepdims=keepdims),
    "elu": lambda x, alpha: jax.nn.elu(x, jnp.asarray(alpha, x.dtype)),
    "selu": jax.nn.selu, "softsign": lambda x: x / (1 + abs_(x)),
})  # fmt: skip


@kernel
def relu(x: Any, alpha: float, max_value: float | None, threshold: float) -> Any:
    """max_value from max_value up, x from the threshold up, alpha * (x - threshold) below it."""
    if not alpha and max_value is None and not threshold:
        return jax.nn.relu(x)
    y = x if max_value is None else jnp.where(x > max_value, jnp.asarray(max_value, x.dtype), x)
    if max_value is not None and threshold < 0:
        y = jnp.where(y < 0, jnp.zeros((), x.dtype), y)
    below = alpha * (x - threshold) if alpha else jnp.zeros((), x.dtype)
    # NaN stays one where a plain maximum would keep it.
    return jnp.where(x > threshold if threshold else ~(x <= 0), y, below).astype(x.dtype)


@kernel
@jax.custom_jvp
def hard_sigmoid(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1); the gradient passes at the bounds, which a fused product and sum may miss by an ulp."""
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


@hard_sigmoid.defjvp
def _hard_sigmoid_jvp(primals: Any, tangents: Any) -> Any:
    return hard_sigmoid(*primals), gate(jnp.abs(primals[0]) <= 2.5, 0.2 * tangents[0])


@kernel
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x within the bounds; the gradient passes on them."""
    for bound, outside in ((min_value, jnp.less), (max_value, jnp.greater)):
        if bound is not None:
            limit = jnp.asarray(bound, x.dtype)
            x = jnp.where(outside(x, limit), limit, x)
    return x


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
    return -jnp.sum(gate(hits(target, logits.shape[-1]), jax.nn.log_softmax(logits, -1)), axis=-1)


@kernel
@jax.custom_jvp
def sigmoid_crossentropy(target: Any, logits: Any) -> Any:
    """-target * log(p) - (1 - target) * log(1 - p) with p = sigmoid(logits)."""
    return jnp.maximum(logits, 0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@sigmoid_crossentropy.defjvp
def _sigmoid_crossentropy_jvp(primals: Any, tangents: Any) -> Any:
    (target, logits), (d_target, d_logits) = primals, tangents
    return sigmoid_crossentropy(*primals), d_logits * (lax.logistic(logits) - target) - d_target * logits


# --- normalisation and dropout ----------------------------------------------------------------------


@kernel
def batch_norm(x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    """(y, mean, variance), the statistics over all axes but one."""
    dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
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
    return y.astype(dtype), mean.reshape(-1).astype(dtype), variance.reshape(-1).astype(dtype)


@kernel
def dropout(key: Any, x: Any, level: float, noise_shape: Any) -> Any:
    """x with a fraction `level` zeroed and the rest scaled by 1 / (1 - level)."""
    if not level:
        return x
    shape = tuple(m if n is None else n for n, m in zip(noise_shape or x.shape, x.shape, strict=True))
    keep = jax.random.bits(typed(key), shape, jnp.uint32) < np.uint32((1.0 - level) * (2**32 - 1))
    return jnp.where(keep, x / (1.0 - level), jnp.zeros((), x.dtype))
