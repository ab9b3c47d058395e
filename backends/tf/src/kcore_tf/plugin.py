"""What kcore asks this package: what it is (without importing TensorFlow), and the backend itself."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


def _version() -> str:
    try:
        return version("kcore-tensorflow")
    except PackageNotFoundError:  # run from a checkout
        return "0.1.0"


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="tensorflow",
        version=_version(),
        framework="tensorflow-cpu",
        requires="tensorflow-cpu>=2.16",
        api=1,
        description="TensorFlow",
        alternatives=("tensorflow", "tensorflow-intel", "tensorflow-macos", "tf-nightly"),
        capabilities={"state": "ref", "autodiff": "native"},
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import TensorFlow and return the backend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from kcore_tf.backend import Backend  # noqa: PLC0415 - imports the framework

    return Backend()
