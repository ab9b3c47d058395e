"""Which backend computes now: the configured one, or that of the innermost `backend_scope`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kcore import config, plugin
from kcore.backend.protocol import Backend

_default: Backend | None = None
_stack: list[Backend] = []


def load(name: str) -> Backend:
    """The backend of that name, loaded once per process."""
    return plugin.load(name)  # type: ignore[no-any-return]


def loaded() -> list[Backend]:
    """The backends that this process has loaded."""
    return plugin.loaded()


def backend() -> Backend:
    """The backend that computes now; the first call loads it."""
    global _default
    if _stack:
        return _stack[-1]
    if _default is None:
        _default = plugin.load_default()
    return _default


def backend_name() -> str:
    """Name of the backend that would compute now, without loading it."""
    if _stack:
        return _stack[-1].name
    return _default.name if _default is not None else config.default_backend_name()


def set_backend(name: str) -> None:
    """Make `name` the process's default backend."""
    global _default
    _default = load(name)


@contextmanager
def backend_scope(name: str) -> Iterator[Backend]:
    """Compute on another backend inside the with-block."""
    _stack.append(load(name))
    try:
        yield _stack[-1]
    finally:
        _stack.pop()
