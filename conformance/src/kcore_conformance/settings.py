"""How much a run tries: number of examples, levels, the time it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kcore_conformance.registry import top_level


@dataclass(frozen=True)
class Setting:
    """One size of run.

    Attributes:
        name: quick, default or thorough.
        examples: examples per op for the cheap properties; dear ones get their share of it.
        minimum: examples that every op and property gets before the time budget is looked at.
        seconds: the time budget; examples beyond the minimum (never whole properties) are cut to keep it.
    """

    name: str
    examples: int
    minimum: int
    seconds: float

    def wanted(self, share: float) -> int:
        """The number of drawn examples of a property with this share; one without a share has listed examples only."""
        return max(1, round(self.examples * share)) if share else 0


SETTINGS = {
    "quick": Setting("quick", 4, 4, 100.0),
    "default": Setting("default", 20, 4, 780.0),
    "thorough": Setting("thorough", 150, 10, 7200.0),
}


@dataclass(frozen=True)
class Selection:
    """Which part of the suite runs.

    Attributes:
        top: the highest level; by default the highest that has checks.
        ops: pattern that op names and check topics must match, None for all.
    """

    top: int = field(default_factory=top_level)
    ops: str | None = None

    def wants(self, name: str) -> bool:
        """Whether an op or topic is selected."""
        return self.ops is None or re.search(self.ops, name) is not None
