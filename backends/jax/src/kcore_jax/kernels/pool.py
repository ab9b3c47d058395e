"""Pooling by windows. Padding never wins a maximum and does not count in a mean."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kcore_jax.kernels.conv import same_padding, spatial_axes
from kcore_jax.kernels.table import kernel

Dims = tuple[int, ...]


def _windows(shape: Dims, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> tuple[Any, Any, Any]:
    """Window sizes, strides and (before, after) for every axis."""
    rank = len(shape)
    size, step, pads = [1] * rank, [1] * rank, [(0, 0)] * rank
    for axis, k, s in zip(spatial_axes(rank, data_format), pool_size, strides, strict=True):
        size[axis], step[axis] = k, s
        pads[axis] = same_padding(shape[axis], k, s) if padding == "same" else (0, 0)
    return size, step, pads


@kernel
def max_pool(x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The largest of each window; its first largest element takes the gradient."""
    lowest = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min
    return lax.reduce_window(x, np.asarray(lowest, x.dtype), lax.max,
                             *_windows(x.shape, pool_size, strides, padding, data_format))  # fmt: skip


@kernel
def avg_pool(x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The mean of each window's own elements."""
    windows = _windows(x.shape, pool_size, strides, padding, data_format)
    total = lax.reduce_window(x, np.zeros((), x.dtype), lax.add, *windows)
    if not any(map(any, windows[2])):
        return total / np.asarray(np.prod(pool_size), x.dtype)
    sizes = [1 if k == 1 else n for n, k in zip(x.shape, windows[0], strict=True)]
    return total / lax.reduce_window(jnp.ones(sizes, x.dtype), np.zeros((), x.dtype), lax.add, *windows)


@kernel
def max_pool_grad(g: Any, x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The gradient of max_pool."""
    return jax.vjp(lambda z: max_pool(z, pool_size, strides, padding, data_format), x)[1](g)[0]


@kernel
def avg_pool_grad(g: Any, shape: Dims, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The gradient of avg_pool."""
    forward = lambda z: avg_pool(z, pool_size, strides, padding, data_format)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(shape, g.dtype))(g)[0]
