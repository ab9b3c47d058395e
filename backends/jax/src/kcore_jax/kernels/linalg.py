"""Matrix products."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from kcore_jax.kernels.table import KERNELS, kernel

KERNELS["matmul"] = jnp.matmul


@kernel
def dot(x: Any, y: Any) -> Any:
    """K.dot: the last axis of x with the second-last of y."""
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return lax.dot_general(x, y, (((x.ndim - 1,), (max(y.ndim - 2, 0),)), ((), ())))
