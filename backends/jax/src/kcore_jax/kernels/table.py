"""The table of kernels and the decorator that fills it. The families are the other modules of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: `KERNELS[op](*arguments in declared order)` on JAX arrays and tracers.
KERNELS: dict[str, Callable[..., Any]] = {}


def kernel(function: F) -> F:
    """Enter the function under its name (a trailing underscore leaves Python's builtins alone)."""
    KERNELS[function.__name__.rstrip("_")] = function
    return function
