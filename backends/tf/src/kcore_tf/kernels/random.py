"""Random draws from keys: pairs of int64. The same key gives the same numbers eagerly and in functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kcore.ops import dtypes
from kcore_tf.kernels.table import kernel

# Keys are folded by a linear hash with odd 64-bit factors: a product and a sum where a random op would cost more.
# The ops themselves scramble the key, and small steps, sites and counters cannot collide in 128 bits.
_KEY = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], "uint64").view("int64")
_DATA = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F], "uint64").view("int64")


def step_key(step: int) -> np.ndarray:
    """The key of one call."""
    return np.array([step, 0x5851F42D4C957F2D], "int64")


def fold_key(key: Any, data: Any) -> Any:
    """A key from a key and an integer (or integer tensor)."""
    if isinstance(data, (int, np.integer)):
        with np.errstate(over="ignore"):
            return key * _KEY + _DATA * np.int64(data)
    return key * _KEY + tf.cast(data, tf.int64) * _DATA


def _float(dtype: str) -> Any:
    return tf.as_dtype(dtype if dtypes.is_float(dtype) else "float32")


@kernel
def random_uniform(key: Any, shape: Any, minval: float, maxval: float, dtype: str) -> Any:
    if dtypes.is_integer(dtype):
        low, high = (tf.constant(int(bound), tf.int64) for bound in (minval, maxval))
        draws = tf.raw_ops.StatelessRandomUniformInt(shape=list(shape), seed=key, minval=low, maxval=high)
        return tf.cast(draws, dtype)
    draws = uniform(key, shape, _float(dtype))
    scaled = draws if (minval, maxval) == (0, 1) else draws * (maxval - minval) + minval
    return tf.cast(scaled, dtype)


def uniform(key: Any, shape: Any, dtype: Any) -> Any:
    """Draws from [0, 1)."""
    return tf.raw_ops.StatelessRandomUniform(shape=list(shape), seed=key, dtype=dtype)


@kernel
def random_normal(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    draws = tf.raw_ops.StatelessRandomNormal(shape=list(shape), seed=key, dtype=_float(dtype))
    return tf.cast(draws * stddev + mean, dtype)


@kernel
def truncated_normal(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    draws = tf.raw_ops.StatelessTruncatedNormal(shape=list(shape), seed=key, dtype=_float(dtype))
    return tf.cast(draws * stddev + mean, dtype)


@kernel
def random_binomial(key: Any, shape: Any, p: float, dtype: str) -> Any:
    return tf.cast(uniform(key, shape, tf.float32) < p, dtype)
