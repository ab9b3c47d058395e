"""What kcore asks this package: what it is (without importing JAX), and the backend itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


def _version() -> str:
    try:
        return version("kcore-jax")
    except PackageNotFoundError:  # run from a source tree
        return "0+source"


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="jax",
        version=_version(),
        framework="jax",
        requires="jax>=0.4.35",
        api=1,
        description="JAX: executables are jitted, state is donated",
        capabilities={"state": "value", "autodiff": "native", "compiles": True},
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import JAX and return the backend."""
    from kcore_jax.backend import JaxBackend

    return JaxBackend()
