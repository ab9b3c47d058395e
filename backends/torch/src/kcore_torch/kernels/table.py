"""The tables that the families of kernels fill, and what they share: dtypes and the current device.

`kernels[op](*arguments in declared order)`; `inplace[op]` overwrites state. Results share memory with operands only
where the core expects views (reshape, transpose, slices, ...).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])

kernels: dict[str, Callable[..., Any]] = {}
inplace: dict[str, Callable[..., Any]] = {}

#: Native dtypes by kcore's names, and back.
DTYPES = {name: getattr(torch, name) for name in (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "bfloat16", "float32", "float64",
)}  # fmt: skip
NAMES = {native: name for name, native in DTYPES.items()}

_cpu = torch.device("cpu")


def _default_device() -> torch.device:
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    # Apple's GPUs have no float64: a backend of kcore needs all its dtypes on one device.
    return torch.device(found.type, 0) if found is not None and found.type != "mps" else _cpu


#: The device where new tensors go is the last entry; `device_scope` pushes.
devices: list[torch.device] = [_default_device()]


def kernel(function: F) -> F:
    """Enter a function into the table under its own name, without a trailing underscore."""
    kernels[function.__name__.rstrip("_")] = function
    return function


def override(supports: Callable[..., bool]) -> Callable[[F], F]:
    """Enter a kernel of a composite that serves only the arguments for which `supports` holds."""

    def enter(function: F) -> F:
        function.supports = supports  # type: ignore[attr-defined]
        return kernel(function)

    return enter


def needs_grad(*tensors: torch.Tensor) -> bool:
    """Whether a gradient will be asked of an operation on these."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def scalar(value: Any) -> float:
    """The number in a 0-d tensor. Off the CPU, reading waits for the device: done once per change of the tensor."""
    if not isinstance(value, torch.Tensor):
        return float(value)
    if value.device == _cpu:
        return value.item()
    known: tuple[int, float] | None = getattr(value, "_kcore_scalar", None)
    if known is None or known[0] != value._version:
        known = value._kcore_scalar = (value._version, value.item())  # type: ignore[attr-defined]
    return known[1]


def vjp(fn: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """The gradient of `fn` at x, applied to g; differentiable once more inside a region."""
    outer = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x if outer and x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(fn(x), x, g, create_graph=outer)[0]
