"""Gather, scatter, one-hot, top-k. Negative indices count from the end; those out of range meet the nearest edge."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from kcore_jax import dtypes
from kcore_jax.kernels.table import kernel


@kernel
def gather(x: Any, indices: Any, axis: int) -> Any:
    """Slices of x along the axis."""
    return x.at[(slice(None),) * axis + (indices,)].get(mode="clip")


@kernel
def scatter_add(indices: Any, updates: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros with the updates added at the indices."""
    return jnp.zeros(shape, updates.dtype).at[(slice(None),) * axis + (indices,)].add(updates, mode="clip")


@kernel
def one_hot(indices: Any, num_classes: int, dtype: str) -> Any:
    """1 at the index; all 0 for an index out of range."""
    return hits(indices, num_classes).astype(dtypes.native(dtype))


def hits(indices: Any, num_classes: int) -> Any:
    """Whether each class is the index, along a new last axis."""
    wide = indices.astype(jnp.promote_types(indices.dtype, jnp.int32))
    return wide[..., None] == jnp.arange(num_classes, dtype=wide.dtype)


@kernel
def top_k(x: Any, k: int) -> Any:
    """Values and int32 indices; the lower index first at ties."""
    zero = jnp.zeros((), x.dtype)  # XLA's order tells -0.0 from 0.0
    order = lax.stop_gradient(jnp.where(x == zero, zero, x))
    if jnp.issubdtype(x.dtype, jnp.floating):  # and NaN from negated NaN
        order = jnp.where(jnp.isnan(x), jnp.asarray(jnp.nan, x.dtype), order)
    indices = lax.top_k(order, k)[1].astype(jnp.int32)
    return jnp.take_along_axis(x, indices, -1, mode="promise_in_bounds"), indices
