"""Tensors from nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kcore_tf.kernels.table import kernel


@kernel
def full(shape: tuple[int, ...], value: float, dtype: str) -> Any:
    return tf.fill(list(shape), tf.constant(np.asarray(value).astype(tf.as_dtype(dtype).as_numpy_dtype)))


@kernel
def arange(start: float, stop: float, step: float, dtype: str) -> Any:
    return tf.constant(np.arange(start, stop, step).astype(tf.as_dtype(dtype).as_numpy_dtype))
