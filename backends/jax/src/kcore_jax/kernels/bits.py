"""Operations on the bits of int32 tensors, and Threefry (the portable random mode), which JAX has itself."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.random import threefry2x32_p

from kcore_jax.kernels.table import KERNELS, kernel

KERNELS.update({
    "bitwise_and": jnp.bitwise_and, "bitwise_xor": jnp.bitwise_xor,
    "shift_left": lambda x, count: lax.shift_left(x, jnp.full_like(x, count)),
    "shift_right": lambda x, count: lax.shift_right_logical(x, jnp.full_like(x, count)),
})  # fmt: skip


@kernel
def threefry2x32(k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """Two words for each counter."""
    words = (lax.bitcast_convert_type(w, jnp.uint32) for w in jnp.broadcast_arrays(k0, k1, x0, x1))
    return tuple(lax.bitcast_convert_type(w, jnp.int32) for w in threefry2x32_p.bind(*words))
