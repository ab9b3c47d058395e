"""Checks: fixed tests of a backend as a whole, written as functions `check(backend)` that raise when it is wrong.

A check is registered with its level and topic; what it is called is the property that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Run = Callable[[Any], None]


@dataclass(frozen=True)
class Check:
    """One registered check."""

    level: int
    topic: str
    name: str
    run: Run


CHECKS: list[Check] = []


def check(level: int, topic: str) -> Callable[[Run], Run]:
    """Register a function as a check of `topic` on `level`."""

    def register(run: Run) -> Run:
        CHECKS.append(Check(level, topic, run.__name__, run))
        return run

    return register


def all_checks() -> list[Check]:
    """Every check, in the order in which they were written."""
    import kcore_conformance.checks  # noqa: F401 - registers them

    return list(CHECKS)


def top_level() -> int:
    """The highest level that has checks: what a run goes up to when nothing else is asked for."""
    return max(c.level for c in all_checks())
