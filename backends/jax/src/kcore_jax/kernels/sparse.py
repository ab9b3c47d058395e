"""Sparse tensors: BCOO, padded to a power of two of entries, so that a new number of them is seldom a new compilation.

Padding is what BCOO itself has for it: a position outside the shape, with value 0.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from kcore_jax.kernels.table import kernel


def padded(indices: np.ndarray, values: np.ndarray, shape: tuple[int, ...]) -> BCOO:
    """A BCOO tensor of these entries; their number is rounded up to a power of two."""
    spare = (1 << max(len(values) - 1, 0).bit_length()) - len(values)
    indices = np.concatenate([indices, np.broadcast_to(np.asarray(shape), (spare, len(shape)))]).astype(np.int32)
    return BCOO((jnp.asarray(np.pad(values, (0, spare))), jnp.asarray(indices)), shape=shape)


@kernel
def to_dense(x: BCOO) -> Any:
    return x.todense()


@kernel
def sparse_values(x: BCOO) -> Any:
    return x.data


@kernel
def with_values(x: BCOO, values: Any) -> BCOO:
    return BCOO((values, x.indices), shape=x.shape)


@kernel
def sparse_dot(x: BCOO, y: Any, adjoint: bool) -> Any:
    return (x.T if adjoint else x) @ y


@kernel
def sparse_concatenate(xs: list[BCOO], axis: int) -> BCOO:
    # Shifted padding would lie inside the result.
    shape = np.asarray([x.shape for x in xs])
    total = (*shape[0, :axis], shape[:, axis].sum(), *shape[0, axis + 1 :])
    outside = jnp.asarray(total, "int32")
    parts, start = [], 0
    for x in xs:
        shift = np.zeros(x.ndim, "int32")
        shift[axis] = start
        inside = (x.indices < jnp.asarray(x.shape)).all(1, keepdims=True)
        parts.append(jnp.where(inside, x.indices + shift, outside))
        start += x.shape[axis]
    data = jnp.concatenate([x.data for x in xs])
    return BCOO((data, jnp.concatenate(parts)), shape=tuple(int(n) for n in total))


@kernel
def sparse_mask(x: Any, mask: Any) -> BCOO:
    # The number of entries must not depend on values: all positions are listed, those that do not count as padding.
    places = np.stack(np.indices(x.shape), axis=-1).reshape(-1, x.ndim).astype(np.int32)
    kept = mask.reshape(-1)
    indices = jnp.where(kept[:, None], places, np.asarray(x.shape, np.int32))
    return BCOO((jnp.where(kept, x.reshape(-1), 0).astype(x.dtype), indices), shape=x.shape)
