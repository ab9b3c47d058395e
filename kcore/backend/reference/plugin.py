"""Hooks of the NumPy backend, registered by the core itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo
from kcore.version import __version__


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """What the plugin list shows."""
    return BackendInfo(name="numpy", version=__version__, framework="numpy", requires="numpy>=1.26", api=1,
                       description=f"Reference backend (NumPy {np.__version__}), in the core")  # fmt: skip


@hookimpl
def kcore_load_backend() -> Any:
    """The backend object."""
    from kcore.backend.reference.backend import NumpyBackend

    return NumpyBackend()
