"""What the families of kernels share: the table that they fill, dtypes, and gradients that differ from MLX's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import mlx.core as mx

from kcore.ops import dtypes

F = TypeVar("F", bound=Callable[..., Any])
Dims = tuple[int, ...]

#: `KERNELS[op](*arguments in declared order)` on MLX arrays.
KERNELS: dict[str, Callable[..., Any]] = {}
DTYPES: dict[str, mx.Dtype] = {name: getattr(mx, "bool_" if name == "bool" else name) for name in dtypes.NAMES}


def kernel(function: F) -> F:
    """Enter the function under its name (a trailing underscore leaves Python's builtins alone)."""
    KERNELS[function.__name__.rstrip("_")] = function
    return function


def is_float(x: mx.array) -> bool:
    """Whether the array holds floating-point numbers."""
    return bool(mx.issubdtype(x.dtype, mx.floating))


def with_gradient(function: Callable[..., mx.array], pull: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays whose gradients are `pull(g, *arrays)`; these may be differentiated again."""
    ruled = mx.custom_function(function)
    ruled.vjp(lambda operands, g, out: pull(g, *(operands if isinstance(operands, (list, tuple)) else [operands])))
    return ruled
