"""All layers by name. A family is imported when one of its names is first touched (see `registry`)."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from kcore.layers.registry import WHERE
from kcore.layers.registry import deserialize as deserialize
from kcore.layers.registry import serialize as serialize

__all__ = sorted([*WHERE, "deserialize", "serialize"])  # noqa: PLE0605 - the table says which


def __getattr__(name: str) -> Any:
    if name in WHERE:
        value = getattr(importlib.import_module(WHERE[name]), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *WHERE})
