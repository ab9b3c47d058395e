"""Where a function's ops run: the devices that nodes and variables carry from `device_scope`, and what follows.

A function whose ops all go to one device runs there as it is. One with several has a home, where everything without a
device goes, and each of its kernels moves its operands first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from kcore.errors import BackendError
from kcore.graph import ir
from kcore.graph.ir import Symbolic

_NAME = re.compile(r"/?(?:job:localhost/replica:0/task:0/)?(?:device:)?([a-z]+)(?::(\d+))?")
_SAME_KIND = {"cuda": "gpu", "rocm": "gpu"}


def neutral_name(name: str) -> str:
    """The one spelling of a device's name.

    >>> [neutral_name(n) for n in ("gpu:1", "/device:GPU:1", "cuda:1", "cpu")]
    ['/gpu:1', '/gpu:1', '/gpu:1', '/cpu:0']

    Raises:
        BackendError: the text is no device name.
    """
    match = _NAME.fullmatch(name.lower()) if isinstance(name, str) else None
    if match is None:
        raise BackendError(f"Expected the name of a device, such as '/gpu:1' or '/cpu:0'; got {name!r}.")
    return f"/{_SAME_KIND.get(match[1], match[1])}:{int(match[2] or 0)}"


def check_device(backend: Any, name: str) -> None:
    """Raise BackendError, which lists the devices there are, when the backend has none of that name."""
    found = backend.devices()
    if name not in found:
        raise BackendError(f"The {backend.name} backend has no device {name!r}; it has {', '.join(found)}.")


def default_device(backend: Any) -> str:
    """Where the backend puts what nobody placed: its first accelerator, else its CPU."""
    found: list[str] = backend.devices()
    return next((name for name in found if not name.startswith("/cpu")), found[0])


@dataclass(frozen=True)
class Placement:
    """Where one executable runs.

    Attributes:
        backend: the backend it is for.
        home: the device of everything that carries none; None where nothing carries one.
        mixed: whether other devices occur as well.
    """

    backend: Any
    home: str | None = None
    mixed: bool = False

    def scope(self) -> AbstractContextManager[Any]:
        """The scope that the executable runs in: its home, whatever scope the caller is in."""
        if self.home is not None:
            return self.backend.device_scope(self.home)  # type: ignore[no-any-return]
        return self.backend.device_scope(default_device(self.backend)) if ir.current_device() else nullcontext()

    def moved(self, value: Any, device: str | None = None) -> Any:
        """A native value (or list of them) on a device, the home when none is given; anything else as it is."""
        if isinstance(value, (list, tuple)):
            return type(value)(self.moved(v, device) for v in value)
        place = getattr(self.backend, "place", None)
        if place is None or not self.backend.is_native(value):
            return value
        return place(value, device or self.home or default_device(self.backend))

    def kernel(self, kernel: Callable[..., Any], device: str | None) -> Callable[..., Any]:
        """The kernel, on a device, to which it brings its operands."""

        def placed(*arguments: Any) -> Any:
            with self.backend.device_scope(device or self.home):
                return kernel(*[self.moved(a, device) for a in arguments])

        return placed


def placement_of(backend: Any, values: Iterable[Symbolic], trained: Iterable[Symbolic]) -> Placement:
    """How the values of one lowered function are placed.

    The home is the one device that occurs, if all weights are there: those that the function trains, or, where it
    trains none, those that it reads. Otherwise it is the backend's default.

    Args:
        backend: that runs them.
        values: all values of the function.
        trained: those by which it takes gradients.

    Raises:
        BackendError: a device that the backend does not have, or several on a backend that cannot move tensors.
    """
    values = list(values)
    devices = {d for d in map(_device, values) if d is not None}
    if not devices:
        return Placement(backend)
    for name in sorted(devices):
        check_device(backend, name)
    variables = [v for v in values if getattr(v, "trainable", None) is not None]
    weights = [v for v in trained if v in variables] or [v for v in variables if v.trainable]  # type: ignore[attr-defined]
    only = next(iter(devices)) if len(devices) == 1 else None
    home = only if only and all(_device(v) == only for v in weights) else default_device(backend)
    mixed = devices != {home}
    if mixed and not hasattr(backend, "place"):
        raise BackendError(f"The {backend.name} backend cannot run one function on several devices: {sorted(devices)}.")
    return Placement(backend, home, mixed)


def _device(value: Symbolic) -> str | None:
    node = getattr(value, "node", None)
    if node is not None and node.op.name == "constant":
        return None
    return getattr(value if node is None else node, "device", None)
