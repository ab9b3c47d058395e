"""What kcore asks this package: what it is (without importing TensorFlow), and the backend itself."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from kcore.hookspecs import hookimpl
from kcore.plugin import BackendInfo

_CHATTER = re.compile(
    rb"(?m)^(?:[IW]\d{4} |WARNING: All log messages before absl|To enable the following instructions: ).*\n?"
)


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
        framework="tensorflow",
        requires="tensorflow-cpu>=2.16",
        api=1,
        description="TensorFlow",
        alternatives=("tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly"),
        capabilities={"state": "ref", "autodiff": "native"},
    )


@hookimpl
def kcore_load_backend() -> Any:
    """Import TensorFlow and return the backend."""
    drawn = np.random.get_state()  # noqa: NPY002
    with _quiet(), _keras_apart():
        importlib.import_module("tensorflow")
    from kcore_tf.backend import Backend

    # TensorFlow's own modules draw from NumPy's generator; a seed set before the first computation must still hold.
    np.random.set_state(drawn)  # noqa: NPY002
    return Backend()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep TensorFlow's chatter while it is imported from standard error, unless the user has set a log level.

    Its native code writes before any log level is read, so the file descriptor itself is turned away; what is not
    chatter is written afterwards.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # no standard error
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            log.seek(0)
            os.write(2, _CHATTER.sub(b"", log.read()))


@contextmanager
def _keras_apart() -> Iterator[None]:
    """Import TensorFlow without the Keras that it would import last, where it was not wanted yet.

    That takes half of the time, reads `KERAS_BACKEND` and `keras.json` as its own, imports the framework that it finds
    there, and fails on a name that it does not know. `tensorflow.keras` still works for whoever asks for it.
    """
    if "keras" in sys.modules or "tensorflow" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]
    spec = importlib.util.find_spec("keras")
    if spec is not None and spec.origin:  # what TensorFlow itself puts there
        sys.modules["tensorflow"].__path__.insert(0, os.path.join(os.path.dirname(spec.origin), "_tf_keras"))
