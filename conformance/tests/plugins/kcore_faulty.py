"""A plug-in for the tests of the runner: the NumPy backend with one fault in each of a few kernels."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from kcore.backend.reference.backend import NumpyBackend
from kcore.hookspecs import hookimpl
from kcore.plugin import BACKEND_API, BackendInfo
from kcore_conformance.deviations import Deviation


def _tanh(x: Any) -> Any:
    """Wrong above 1."""
    return np.where(x > 1, np.asarray(0.5, x.dtype), np.tanh(x))


def _exp(x: Any) -> Any:
    """Ends the process when a negative number comes."""
    if np.any(np.asarray(x) < 0):
        os.kill(os.getpid(), signal.SIGSEGV)
    return np.exp(x)


def _floor(x: Any) -> Any:
    """Never comes back."""
    time.sleep(600)


def _sqrt(x: Any) -> Any:
    """Wrong in double precision, as it declares."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x) + np.asarray(x.dtype == np.float64, x.dtype)


class FaultyBackend(NumpyBackend):
    """Sound but for the kernels above."""

    name = "faulty"
    deviations = (
        Deviation("sqrt", "eager", "todo", "one too large", dtypes=("float64",), example=(np.zeros((), "float64"),)),
        Deviation("sqrt", "compiled", "todo", "one too large", dtypes=("float64",)),
        Deviation("sqrt", "gradient", "todo", "not true: it is right", example={"x": np.ones(1, "float32")}),
    )

    def __init__(self) -> None:
        super().__init__()
        self.kernels = {**self.kernels, "tanh": _tanh, "exp": _exp, "floor": _floor, "sqrt": _sqrt}


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """The plug-in's facts."""
    return BackendInfo(name="faulty", version="0", framework="numpy", requires="numpy", api=BACKEND_API)


@hookimpl
def kcore_load_backend() -> Any:
    """The backend."""
    return FaultyBackend()
