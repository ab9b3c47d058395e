"""What kcore asks this package: what it is (without importing JAX), and the backend itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="jax",
        version=version("kcore-jax"),
        framework="jax",
        requires="jax>=0.4.35",
        api=1,
        description="JAX",
        alternatives=(),
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import JAX and return the backend."""
    from kcore_jax.backend import Backend

    return Backend()
