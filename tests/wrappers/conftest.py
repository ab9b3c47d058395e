"""These tests run on the NumPy backend, with fresh names and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K


@pytest.fixture(autouse=True)
def on_numpy():
    with K.backend_scope("numpy"):
        K.clear_session()
        np.random.seed(0)  # noqa: NPY002
        yield
