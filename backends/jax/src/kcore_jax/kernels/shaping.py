"""Shape kernels and those of the graph's own structure (identity, cast, shape, printing)."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kcore_jax import dtypes
from kcore_jax.kernels.table import KERNELS, kernel

Dims = tuple[int, ...]

KERNELS.update({
    "identity": lambda x: x, "copy": jnp.copy, "stop_gradient": lax.stop_gradient, "zeros_like": jnp.zeros_like,
    "cast": lambda x, dtype: x.astype(dtypes.native(dtype)),
    "shape": lambda x: np.asarray(x.shape, "int32"),
    "reshape": jnp.reshape,
    "transpose": lax.transpose,
    "expand_dims": lambda x, axis: lax.expand_dims(x, (axis,)),
    "squeeze": lax.squeeze,
    "broadcast_to": jnp.broadcast_to,
    "concatenate": lax.concatenate,
    "stack": lambda xs, axis: lax.concatenate([lax.expand_dims(x, (axis,)) for x in xs], axis),
    "tile": jnp.tile,
    "repeat_elements": lambda x, rep, axis: jnp.repeat(x, rep, axis=axis),
    "reverse": lax.rev,
    "pad": lambda x, padding, value: lax.pad(x, jnp.asarray(value, x.dtype), [(a, b, 0) for a, b in padding]),
})  # fmt: skip


@kernel
def reduce_to(x: Any, shape: Dims) -> Any:
    """x summed to the shape that was broadcast to x's."""
    lead = x.ndim - len(shape)
    x = jnp.sum(x, axis=tuple(range(lead)), dtype=x.dtype) if lead else x
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1)
    return jnp.sum(x, axis=axes, keepdims=True, dtype=x.dtype) if axes else x


@kernel
def strided_slice(x: Any, index: tuple[Any, ...]) -> Any:
    """x[index] for static ints, slices and None: one slice, so that its gradient is a pad and not a scatter."""
    starts, limits, steps, flipped, dropped, added = [], [], [], [], [], []
    axis = kept = 0
    for item in index:
        if item is None:
            added.append(kept)
            kept += 1
            continue
        n = x.shape[axis]
        if isinstance(item, slice):
            picked = range(*item.indices(n))
            flipped += [axis] if picked.step < 0 else []
            picked = picked[::-1] if picked.step < 0 else picked
            kept += 1
        else:
            if not -n <= item < n:
                raise IndexError(f"Index {item} is out of range for an axis of size {n} (shape {x.shape}).")
            picked = range(item % n, item % n + 1)
            dropped.append(axis)
        starts.append(picked.start if picked else 0)
        limits.append(picked[-1] + 1 if picked else 0)
        steps.append(picked.step)
        axis += 1
    x = lax.slice(x, starts, limits, steps)
    x = lax.rev(x, flipped) if flipped else x
    x = lax.squeeze(x, dropped) if dropped else x
    return lax.expand_dims(x, added) if added else x


@kernel
def scatter_slice(x: Any, index: tuple[Any, ...], shape: Dims) -> Any:
    """Zeros with x at the index: the transpose of strided_slice."""
    return jax.linear_transpose(lambda z: strided_slice(z, index), jax.ShapeDtypeStruct(shape, x.dtype))(x)[0]


@kernel
def print_tensor(x: Any, message: str) -> Any:
    """x, printed on the host whenever it is computed."""
    jax.debug.callback(partial(print, message), x)
    return x
