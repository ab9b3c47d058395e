"""These tests compute with NumPy alone and start with fresh names."""

from __future__ import annotations

import pytest

from kcore import backend as K


@pytest.fixture(autouse=True)
def fresh_session(keras_home):
    with K.backend_scope("numpy"):
        K.clear_session()
        yield
