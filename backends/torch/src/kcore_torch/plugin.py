"""What kcore asks this package: what it is (without importing PyTorch), and the backend itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


def _version() -> str:
    try:
        return version("kcore-torch")
    except PackageNotFoundError:  # run from a source tree
        return "0+source"


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="torch",
        version=_version(),
        framework="torch",
        requires="torch>=2.6",
        api=1,
        description="PyTorch",
        capabilities={"state": "ref", "autodiff": "native"},
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import PyTorch and return the backend."""
    from kcore_torch.backend import TorchBackend

    return TorchBackend()
