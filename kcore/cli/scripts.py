"""`kcore script.py ...` and `kcore -m module ...`: run what thinks that it imports Keras."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

from kcore import aliases


def run_script(path: str, arguments: Sequence[str]) -> int:
    """Run a script as `python path arguments...` would, with Keras imports answered by kcore."""
    aliases.install()
    sys.argv = [path, *arguments]
    # `python script.py` puts the script's folder first; `python -m` has put the current one there.
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.abspath(path))
    runpy.run_path(path, run_name="__main__")
    return 0


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module as `python -m name arguments...` would, with Keras imports answered by kcore."""
    aliases.install()
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0
