"""These tests compute with NumPy alone and start with fresh names; helpers beside them have their plain names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kcore import backend as K

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def fresh_session(keras_home):
    with K.backend_scope("numpy"):
        K.clear_session()
        yield
