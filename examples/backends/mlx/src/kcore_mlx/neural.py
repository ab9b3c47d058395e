"""Composites that MLX has fused, and random draws."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from kcore_mlx.table import DTYPES, KERNELS, Dims, kernel


def _single(**arguments: Any) -> bool:
    return arguments["x"].dtype != "float64"  # see kcore_mlx.elementwise: MLX's exp of float64 is float32's


@kernel
def softmax(x: mx.array, axis: int) -> mx.array:
    """exp(x) / sum(exp(x)), its sums in float32 at least."""
    return mx.softmax(x, axis=axis, precise=True)


@kernel
def log_softmax(x: mx.array, axis: int) -> mx.array:
    """log(softmax(x)); the largest is taken off first, beside which the logarithm of large numbers would vanish."""
    if not x.size:
        return x
    shifted = x - mx.stop_gradient(mx.max(x, axis=axis, keepdims=True))
    return shifted - mx.logsumexp(shifted, axis=axis, keepdims=True)


@kernel
def logsumexp(x: mx.array, axis: Dims, keepdims: bool) -> mx.array:
    """log(sum(exp(x))); of nothing, which MLX refuses, minus infinity."""
    if not x.size:
        shape = [1 if i in axis else n for i, n in enumerate(x.shape) if keepdims or i not in axis]
        return mx.full(shape, -math.inf, x.dtype)
    return mx.logsumexp(x, axis=axis, keepdims=keepdims) if axis else x


@kernel
def sigmoid_crossentropy(target: mx.array, logits: mx.array) -> mx.array:
    """-target log(p) - (1 - target) log(1 - p) for p = sigmoid(logits); smooth at 0 too."""
    return KERNELS["softplus"](logits) - target * logits


softmax.supports = log_softmax.supports = logsumexp.supports = _single


# --- random -------------------------------------------------------------------------------------------------------


def step_key(step: int) -> mx.array:
    """The two words of a Threefry key."""
    return mx.array([0, step & 0xFFFFFFFF], mx.uint32)


def fold_key(key: mx.array, data: Any) -> mx.array:
    """A key derived from a key and an integer: the key's hash after the integer was added to its first word."""
    data = data.astype(mx.uint32) if isinstance(data, mx.array) else mx.array(int(data) & 0xFFFFFFFF, mx.uint32)
    return mx.random.split(key + mx.stack([mx.reshape(data, ()), mx.array(0, mx.uint32)]))[0]


@kernel
def random_uniform(key: mx.array, shape: Dims, minval: float, maxval: float, dtype: str) -> mx.array:
    """Uniform draws from [minval, maxval)."""
    target = DTYPES[dtype]
    if not mx.issubdtype(target, mx.floating):
        return mx.random.randint(int(minval), int(maxval), shape, target, key)
    if target != mx.float64:
        return mx.random.uniform(minval, maxval, shape, target, key)
    coarse, fine = (mx.random.uniform(shape=shape, key=k).astype(target) for k in mx.random.split(key))
    return minval + (maxval - minval) * (coarse + fine * 2.0**-24)


@kernel
def random_normal(key: mx.array, shape: Dims, mean: float, stddev: float, dtype: str) -> mx.array:
    """Normal draws."""
    return mx.random.normal(shape, DTYPES[dtype], mean, stddev, key)


@kernel
def truncated_normal(key: mx.array, shape: Dims, mean: float, stddev: float, dtype: str) -> mx.array:
    """Normal draws within two standard deviations."""
    return mean + stddev * mx.random.truncated_normal(-2.0, 2.0, shape, key=key).astype(DTYPES[dtype])


@kernel
def random_binomial(key: mx.array, shape: Dims, p: float, dtype: str) -> mx.array:
    """1 with probability p, else 0."""
    return mx.random.bernoulli(p, shape, key).astype(DTYPES[dtype])
