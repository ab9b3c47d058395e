"""What kcore asks this package: what it is (without importing JAX), and the backend itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    try:
        own = version("kcore-jax")
    except PackageNotFoundError:  # used from a source tree
        own = "0"
    return BackendInfo(
        name="jax",
        version=own,
        framework="jax",
        requires="jax>=0.4.35",
        api=1,
        description="JAX: executables are jitted, state is donated",
        capabilities={"state": "value", "autodiff": "native", "compiles": True},
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import JAX and return the backend."""
    from kcore_jax.backend import JaxBackend  # noqa: PLC0415 - imports the framework

    return JaxBackend()
