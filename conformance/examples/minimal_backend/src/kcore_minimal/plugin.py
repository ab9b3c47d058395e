"""The hooks by which kcore finds the backend, and the backend itself."""

from __future__ import annotations

from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend; the framework is not imported yet."""
    return BackendInfo(
        name="minimal", version="0.1.0", framework="numpy", requires="numpy>=2", api=1,
        description="NumPy through nothing but the array API standard",
    )  # fmt: skip


@hookimpl
def kcore_load_backend() -> Any:
    """Import the framework and make the backend."""
    import numpy as np

    from kcore.backend.array_api import ArrayAPIBackend

    class MinimalBackend(ArrayAPIBackend):
        """A backend over NumPy's array-API functions."""

        name = "minimal"

    return MinimalBackend(np)
