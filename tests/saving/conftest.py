"""These tests compute with NumPy, unless they say otherwise, and start with fresh names.

The helpers beside them are imported by their plain names, as programs of other Pythons import them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcore import backend as K

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

#: A program for another Python, with packages that are not here.
collect_ignore = ["make_keras1_files.py"]


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    with K.backend_scope("numpy"):
        K.clear_session()
        yield
