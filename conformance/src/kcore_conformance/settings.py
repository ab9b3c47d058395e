"""How much a run tries: number of examples, levels, the time it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """One size of run.

    Attributes:
        name: quick, default or thorough.
        examples: examples per op for the cheap properties; dear ones get their share of it.
        seconds: time after which remaining examples (never whole properties) are cut short.
    """

    name: str
    examples: int
    seconds: float


SETTINGS = {
    "quick": Setting("quick", 4, 90.0),
    "default": Setting("default", 20, 780.0),
    "thorough": Setting("thorough", 150, 7200.0),
}


@dataclass(frozen=True)
class Selection:
    """Which part of the suite runs.

    Attributes:
        top: the highest level.
        ops: pattern that op names and check topics must match, None for all.
    """

    top: int = 7
    ops: str | None = None

    def wants(self, name: str) -> bool:
        """Whether an op or topic is selected."""
        return self.ops is None or re.search(self.ops, name) is not None
