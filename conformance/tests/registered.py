"""A backend under a name of its own, registered while a test or a planted fault needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kcore import plugin
from kcore.hookspecs import hookimpl


class _Plugin:
    def __init__(self, name: str, backend: Any) -> None:
        self.name, self.backend = name, backend

    @hookimpl
    def kcore_backend_info(self) -> plugin.BackendInfo:
        return plugin.BackendInfo(
            name=self.name, version="0", framework="numpy", requires="numpy", api=plugin.BACKEND_API
        )

    @hookimpl
    def kcore_load_backend(self) -> Any:
        return self.backend


@contextmanager
def registered(name: str, backend: Any) -> Iterator[Any]:
    """The backend, which bears the name and can be loaded by it inside."""
    backend.name = name
    plugin.register(_Plugin(name, backend))
    try:
        yield backend
    finally:
        plugin.unregister(name)
