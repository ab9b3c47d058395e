"""Names of dtypes and what JAX makes of them.

JAX's 64-bit mode is the user's (`jax.config.update("jax_enable_x64", True)` or `JAX_ENABLE_X64=1`); nothing here turns
it on. Without it JAX has no 64-bit types, so a request for one is answered with the 32-bit type of the same kind, here
and nowhere else: graphs keep the declared dtype, kernels and storage use the narrow one.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kcore.errors import DTypeError
from kcore.ops import dtypes

NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
_TYPES: dict[str, np.dtype[Any]] = {name: jnp.dtype(name) for name in dtypes.NAMES}
_NAMES: dict[Any, str] = {dtype: name for name, dtype in _TYPES.items()}


def native(name: str) -> np.dtype[Any]:
    """The dtype that JAX computes in when `name` is asked for."""
    if not jax.config.jax_enable_x64:
        name = NARROW.get(name, name)
    return _TYPES[name]


def name_of(dtype: Any) -> str:
    """The name of a native tensor's dtype."""
    name = _NAMES.get(dtype)
    return name if name is not None else dtypes.name_of(dtype)


def available() -> frozenset[str]:
    """The dtypes that JAX has as it is configured now."""
    return frozenset(dtypes.NAMES) - (frozenset() if jax.config.jax_enable_x64 else NARROW.keys())


def narrowed(array: np.ndarray, target: np.dtype[Any]) -> np.ndarray:
    """The host array in the target dtype. Integers that do not survive the lack of 64 bits are an error."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and target.itemsize == 4 and array.size:
        limits = np.iinfo(target) if target.kind in "iu" else None
        if limits is not None and (array.min() < limits.min or array.max() > limits.max):
            raise DTypeError(
                f"The {array.dtype} values {array.min()}..{array.max()} do not fit {target}, the widest integer that "
                "JAX has without its 64-bit mode. Turn that on before the first computation: "
                'jax.config.update("jax_enable_x64", True), or JAX_ENABLE_X64=1 in the environment.'
            )
    return array.astype(target, copy=False)
