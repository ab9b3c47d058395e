"""Kernels that move, reduce, find and multiply: shapes, indices, reductions, products, loops.

What is not here is what `kcore.backend.array_api` gives every namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from kcore.errors import GraphError
from kcore_mlx.table import DTYPES, KERNELS, Dims, is_float, kernel

KERNELS.update({
    "identity": lambda x: x, "copy": mx.array, "stop_gradient": mx.stop_gradient,
    "full": lambda shape, value, dtype: mx.full(shape, mx.array(value, DTYPES[dtype])),
    "cumsum": lambda x, axis: mx.cumsum(x, axis=axis), "cumprod": lambda x, axis: mx.cumprod(x, axis=axis),
    "argmax": lambda x, axis: mx.argmax(x, axis=axis).astype(mx.int64),
    "argmin": lambda x, axis: mx.argmin(x, axis=axis).astype(mx.int64),
    "pad": lambda x, padding, value: mx.pad(x, padding, constant_values=mx.array(value, x.dtype)),
})  # fmt: skip


@kernel
def cast(x: mx.array, dtype: str) -> mx.array:
    """In another dtype; through integers flows no gradient."""
    target = DTYPES[dtype]
    return x.astype(target) if mx.issubdtype(target, mx.floating) else mx.stop_gradient(x).astype(target)


# --- reductions ---------------------------------------------------------------------------------------------------


def _reduction(function: Callable[..., mx.array]) -> Callable[..., mx.array]:
    """In the operand's dtype, which MLX widens; never called with empty arrays, over which MLX's loops may not end."""
    return lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims).astype(x.dtype) if axis else x


KERNELS.update({name: _reduction(getattr(mx, name)) for name in ("sum", "prod", "mean", "max", "min", "any", "all")})


@kernel
def reduce_to(x: mx.array, shape: Dims) -> mx.array:
    """x summed to the shape that was broadcast to x's."""
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1))
    return mx.reshape(mx.sum(x, axis=axes, keepdims=True).astype(x.dtype), tuple(shape))


# --- indices ------------------------------------------------------------------------------------------------------


def _within(indices: mx.array, size: int) -> mx.array:
    """Negative indices from the end; those out of range meet the nearest edge."""
    indices = indices.astype(mx.int64)
    return mx.clip(mx.where(indices < 0, indices + size, indices), 0, size - 1)


@kernel
def gather(x: mx.array, indices: mx.array, axis: int) -> mx.array:
    """Slices of x along the axis."""
    return mx.take(x, _within(indices, x.shape[axis]), axis=axis)


@kernel
def scatter_add(indices: mx.array, updates: mx.array, shape: Dims, axis: int) -> mx.array:
    """Zeros with the updates added at the indices."""
    zeros = mx.zeros(shape, updates.dtype)
    if not zeros.size or not updates.size:
        return zeros
    places = (slice(None),) * axis + (_within(indices, shape[axis]),)
    return zeros.at[places].add(updates)


@kernel
def top_k(x: mx.array, k: int) -> tuple[mx.array, mx.array]:
    """Values and int32 indices, the largest first; the lower index first at ties."""
    size = x.shape[-1]
    ascending = mx.argsort(mx.stop_gradient(x[..., ::-1]), axis=-1)  # stable: backwards, ties come in order
    indices = size - 1 - ascending[..., ::-1][..., :k].astype(mx.int32)
    return mx.take_along_axis(x, indices, axis=-1), indices


# --- products -----------------------------------------------------------------------------------------------------


@kernel
def matmul(x: mx.array, y: mx.array) -> mx.array:
    """The matrix product; MLX has none of integers."""
    if is_float(x):
        return mx.matmul(x, y)
    return mx.sum(x[..., :, :, None] * y[..., None, :, :], axis=-2).astype(x.dtype)


# --- loops --------------------------------------------------------------------------------------------------------


@kernel
def scan(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    """`body(*carry, *slices, i) -> (*new carry, *ys)`; all slices are one op, whose gradient joins them once."""
    count = xs[0].shape[0] if xs else int(length)
    if not count:
        raise GraphError("A loop over zero steps has no result.")
    state, rows, slices = list(carry), [], [mx.unstack(x) for x in xs]
    for i in reversed(range(count)) if reverse else range(count):
        out = body(*state, *(x[i] for x in slices), mx.array(i, mx.int32))
        state = list(out[: len(state)])
        rows.append(out[len(state) :])
    if reverse:
        rows.reverse()
    return (*state, *(mx.stack(column) for column in zip(*rows, strict=True)))


@kernel
def while_loop(condition: Any, body: Any, carry: Any) -> Any:
    """Repeated while the condition holds; no gradient."""
    state = tuple(carry)
    while condition(*state)[0].item():
        state = tuple(body(*state))
    return tuple(mx.stop_gradient(x) for x in state)
