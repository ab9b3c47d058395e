"""Pooling by windows. Padding never wins a maximum and does not count in a mean."""

from __future__ import annotations

from functools import partial
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


# Maxima: the first of a window takes the gradient. JAX agrees for the first derivative, but at ties not for the second;
# so the circle max_pool -> max_pool_grad <-> _at_maxima is written out.


@kernel
@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def max_pool(x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The largest of each window."""
    return _largest(x, _windows(x.shape, pool_size, strides, padding, data_format))


def _largest(x: Any, windows: Any) -> Any:
    return lax.reduce_window(x, _lowest(x), lax.max, *windows)


def _lowest(x: Any) -> Any:
    return np.asarray(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min, x.dtype)


@kernel
@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def max_pool_grad(g: Any, x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """Each window's g at its first maximum."""
    windows = _windows(x.shape, pool_size, strides, padding, data_format)
    return jax.vjp(lambda z: _largest(z, windows), x)[1](g)[0]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _at_maxima(h: Any, x: Any, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """For each window the h at its first maximum: the transpose of max_pool_grad."""
    place = jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape)

    def first(a: Any, b: Any) -> Any:
        ahead = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] <= b[1]))
        return tuple(jnp.where(ahead, p, q) for p, q in zip(a, b, strict=True))

    starts = (_lowest(x), np.int32(x.size), np.zeros((), h.dtype))
    windows = _windows(x.shape, pool_size, strides, padding, data_format)
    return lax.reduce_window((x, place, h), starts, first, *windows)[2]


def _keeping_x(function: Any) -> Any:
    return lambda *a: (function(*a), a[-5])


max_pool.defvjp(_keeping_x(max_pool), lambda *a: (max_pool_grad(a[-1], a[-2], *a[:4]),))
max_pool_grad.defvjp(_keeping_x(max_pool_grad), lambda *a: (_at_maxima(a[-1], a[-2], *a[:4]), jnp.zeros_like(a[-2])))
_at_maxima.defvjp(_keeping_x(_at_maxima), lambda *a: (max_pool_grad(a[-1], a[-2], *a[:4]), jnp.zeros_like(a[-2])))


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
def avg_pool_grad(g: Any, shape: Dims, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> Any:
    """The gradient of avg_pool."""
    forward = lambda z: avg_pool(z, pool_size, strides, padding, data_format)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(shape, g.dtype))(g)[0]
