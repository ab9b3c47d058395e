"""The helpers beside these tests are imported by their plain names, as programs of other Pythons import them."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

#: A program for another Python, with packages that are not here.
collect_ignore = ["make_keras1_files.py"]
