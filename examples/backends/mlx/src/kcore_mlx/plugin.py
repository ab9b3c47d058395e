"""What kcore asks this package: what it is (without importing MLX), and the backend itself."""

from __future__ import annotations

from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="mlx", version="0.1.0", framework="mlx", requires="mlx[cpu]>=0.32", api=1,
        description="MLX: lazy arrays, its own gradients; Apple's GPUs, and CPUs",
        capabilities={"state": "value", "autodiff": "native"},
    )  # fmt: skip


@hookimpl
def kcore_load_backend() -> Any:
    """Import MLX and return the backend."""
    from kcore_mlx.backend import MlxBackend

    return MlxBackend()
