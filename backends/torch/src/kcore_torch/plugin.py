"""What kcore asks this package: what it is (without importing PyTorch), and the backend itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="torch",
        version=version("kcore-torch"),
        framework="torch",
        requires="torch>=2.6",
        api=1,
        description="PyTorch",
        alternatives=(),
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import PyTorch and return the backend."""
    from kcore_torch.backend import Backend

    return Backend()
