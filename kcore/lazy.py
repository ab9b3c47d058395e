"""Public names that are imported when they are first touched (PEP 562), so that a package costs nothing to import.

A package keeps a table, name -> module that defines it, and its `__getattr__` and `__dir__` ask here. Submodules need
no row. Nothing here knows what the names mean.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any


def attribute(package: str, name: str, where: Mapping[str, str]) -> Any:
    """The value of a name in the table, which the package keeps from now on, or a submodule. Raises AttributeError."""
    if name in where:
        value = getattr(importlib.import_module(where[name]), name)
        vars(sys.modules[package])[name] = value
        return value
    # `find_spec` first: an ImportError from inside an existing submodule must not look like a missing name.
    if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is not None:
        return importlib.import_module(f"{package}.{name}")
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def names(package: str, where: Mapping[str, str]) -> list[str]:
    """What `dir` shows of the package: the names in the table too."""
    return sorted({*vars(sys.modules[package]), *where})


def by_name(rooms: Mapping[str, str]) -> dict[str, str]:
    """A table, module -> names separated by blanks, turned around.

    >>> by_name({"kcore.random": "set_random_seed"})
    {'set_random_seed': 'kcore.random'}
    """
    return {name: room for room, words in rooms.items() for name in words.split()}
