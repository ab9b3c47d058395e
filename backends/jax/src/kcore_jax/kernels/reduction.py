"""Reductions over sorted tuples of axes, and running sums. At ties JAX shares gradients evenly, as declared."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from kcore.ops.reduction import largest, least
from kcore_jax import dtypes
from kcore_jax.kernels.table import KERNELS, kernel


def _extreme(function: Any, of_nothing: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    empty = any(x.shape[a] == 0 for a in axis)
    return function(x, axis=axis, keepdims=keepdims, **({"initial": of_nothing(x.dtype)} if empty else {}))


KERNELS.update({
    "mean": lambda x, axis, keepdims: jnp.mean(x, axis=axis, keepdims=keepdims),
    "prod": lambda x, axis, keepdims: jnp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype),
    "max": lambda x, axis, keepdims: _extreme(jnp.max, least, x, axis, keepdims),
    "min": lambda x, axis, keepdims: _extreme(jnp.min, largest, x, axis, keepdims),
    "any": lambda x, axis, keepdims: jnp.any(x, axis=axis, keepdims=keepdims),
    "all": lambda x, axis, keepdims: jnp.all(x, axis=axis, keepdims=keepdims),
    "argmax": lambda x, axis: lax.argmax(x, axis, dtypes.native("int64")),
    "argmin": lambda x, axis: lax.argmin(x, axis, dtypes.native("int64")),
    "cumsum": lambda x, axis: jnp.cumsum(x, axis=axis, dtype=x.dtype),
    "cumprod": lambda x, axis: jnp.cumprod(x, axis=axis, dtype=x.dtype),
})  # fmt: skip


@kernel
def sum_(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The sum in x's dtype; of bools whether any holds."""
    if x.dtype == jnp.bool_:
        return jnp.any(x, axis=axis, keepdims=keepdims)
    return jnp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)
