"""What kcore asks this package: what it is (without importing TensorFlow), and the backend itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo


@hookimpl
def kcore_backend_info() -> BackendInfo:
    """Describe the backend."""
    return BackendInfo(
        name="tensorflow",
        version=version("kcore-tensorflow"),
        framework="tensorflow-cpu",
        requires="tensorflow-cpu>=2.16",
        api=1,
        description="TensorFlow",
        alternatives=("tensorflow", "tensorflow-intel", "tensorflow-macos", "tf-nightly"),
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import TensorFlow and return the backend."""
    from kcore_tf.backend import Backend

    return Backend()
