"""What every test of every package shares: its own `keras.json`, and hypothesis settings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from kcore import config

# A time limit per example would fail at random on a loaded machine.
settings.register_profile("kcore", deadline=None)
settings.load_profile("kcore")


def pytest_configure() -> None:
    """Keep everything that runs outside a test (imports, collection) away from the user's own `~/.keras`."""
    os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="kcore-tests-")


@pytest.fixture(autouse=True)
def example_names(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> Iterator[None]:
    """Examples in docstrings may say `K` and `np`; they run on the NumPy backend, with fresh names and seeds."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    from kcore import backend as K

    doctest_namespace.update(K=K, np=np)
    with K.backend_scope("numpy"):
        K.clear_session()
        np.random.seed(0)  # noqa: NPY002 - the global state is Keras 2's contract
        yield


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A `KERAS_HOME` of this test's own (not created yet), and settings read afresh before and after."""
    home = tmp_path / "keras_home"
    monkeypatch.setenv("KERAS_HOME", str(home))
    config.reload()
    yield home
    config.reload()
