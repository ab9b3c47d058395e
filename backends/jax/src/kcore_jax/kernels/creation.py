"""Tensors from nothing, and random draws.

A key starts as two host words `(0, step)` and becomes a Threefry key when it is first folded. Threefry, because on
CPUs it is several times faster than the "rbg" generators, whose draws also differ between devices.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcore_jax import dtypes
from kcore_jax.kernels.table import KERNELS, kernel

Dims = tuple[int, ...]
_IMPL = "threefry2x32"

KERNELS.update({
    "full": lambda shape, value, dtype: jnp.full(shape, value, dtypes.native(dtype)),
    "arange": lambda start, stop, step, dtype: jnp.asarray(np.arange(start, stop, step).astype(dtypes.native(dtype))),
})  # fmt: skip


def key_words(step: int) -> np.ndarray:
    """The raw key of a call."""
    return np.array((0, step & 0xFFFFFFFF), np.uint32)


def fold(key: Any, data: Any) -> Any:
    """A typed key from a key (raw or typed) and an integer (Python's, or a scalar tensor)."""
    data = data.astype(jnp.uint32) if isinstance(data, jax.Array) else np.uint32(int(data) & 0xFFFFFFFF)
    return jax.random.fold_in(typed(key), data)


def typed(key: Any) -> Any:
    """The key as JAX's samplers want it."""
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.wrap_key_data(jnp.asarray(key), impl=_IMPL)


@kernel
def random_uniform(key: Any, shape: Dims, minval: float, maxval: float, dtype: str) -> Any:
    """Uniform draws from [minval, maxval)."""
    target = dtypes.native(dtype)
    if target.kind in "iu":
        return jax.random.randint(typed(key), shape, int(minval), int(maxval), target)
    return jax.random.uniform(typed(key), shape, target, minval, maxval)


@kernel
def random_normal(key: Any, shape: Dims, mean: float, stddev: float, dtype: str) -> Any:
    """Normal draws."""
    target = dtypes.native(dtype)
    return jax.random.normal(typed(key), shape, target) * jnp.asarray(stddev, target) + jnp.asarray(mean, target)


@kernel
def truncated_normal(key: Any, shape: Dims, mean: float, stddev: float, dtype: str) -> Any:
    """Normal draws within two standard deviations."""
    target = dtypes.native(dtype)
    draws = jax.random.truncated_normal(typed(key), -2.0, 2.0, shape, target)
    return draws * jnp.asarray(stddev, target) + jnp.asarray(mean, target)


@kernel
def random_binomial(key: Any, shape: Dims, p: float, dtype: str) -> Any:
    """1 with probability p, else 0."""
    return jax.random.bernoulli(typed(key), p, shape).astype(dtypes.native(dtype))
