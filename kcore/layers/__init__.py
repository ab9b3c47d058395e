"""All layers by name. A family is imported when one of its names is first touched (see `registry`)."""

from __future__ import annotations

from typing import Any

from kcore import lazy
from kcore.layers.registry import WHERE
from kcore.layers.registry import deserialize as deserialize
from kcore.layers.registry import serialize as serialize

__all__ = sorted([*WHERE, "deserialize", "serialize"])  # noqa: PLE0605 - the table says which


def __getattr__(name: str) -> Any:
    return lazy.attribute(__name__, name, WHERE)


def __dir__() -> list[str]:
    return lazy.names(__name__, WHERE)
