"""What a run finds: one `Outcome` per op and property (or per check), gathered in a `Report`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["passed", "failed", "deviates", "error", "skipped"]

#: What each level promises; level n is reached when it and all below hold.
LEVELS: dict[int, str] = {
    0: "discovery: the plug-in is found, says what it is, and loads",
    1: "tensors: conversion, dtypes, state, devices",
    2: "primitives: every primitive against the NumPy reference",
    3: "composites: every other op of K, native or by its body",
    4: "functions: K.function, updates, learning phase, control flow, random numbers",
    5: "autodiff: gradients against the core's own rules, second order, regions",
    6: "training: layers, models and optimizers end as on the reference backend",
    7: "files: a model saved here loads elsewhere, and the other way",
}


@dataclass
class Outcome:
    """The result of one property of one subject.

    Attributes:
        level: the level that it counts for.
        subject: an op's name, or the topic of a check.
        prop: the property's name.
        status: passed, failed, deviates (a declared deviation that still fails), error (it no longer does), skipped.
        examples: how many examples were tried.
        seconds: how long it took.
        message: what went wrong, with the shrunk counter-example.
        replay: a token for `--replay` that runs the counter-example again.
    """

    level: int
    subject: str
    prop: str
    status: Status
    examples: int = 0
    seconds: float = 0.0
    message: str = ""
    replay: str = ""

    @property
    def good(self) -> bool:
        """Whether the outcome does not stand in the level's way."""
        return self.status in ("passed", "deviates", "skipped")


@dataclass
class Report:
    """All outcomes of one run."""

    backend: str
    setting: str
    outcomes: list[Outcome] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    top: int = 7
    #: Whether only some ops were asked for, so that a level may be empty.
    partial: bool = False

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Append outcomes."""
        self.outcomes.extend(outcomes)

    @property
    def level(self) -> int:
        """The highest level reached, -1 when not even discovery works."""
        reached = -1
        for level in range(self.top + 1):
            mine = [o for o in self.outcomes if o.level == level]
            if not all(o.good for o in mine) or (not mine and not self.partial):
                break
            reached = level
        return reached

    @property
    def examples(self) -> int:
        """How many examples were tried in all."""
        return sum(o.examples for o in self.outcomes)

    def failures(self) -> list[Outcome]:
        """Outcomes that stand in a level's way."""
        return [o for o in self.outcomes if not o.good]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "backend": self.backend, "setting": self.setting, "level": self.level, "seconds": round(self.seconds, 1),
            "examples": self.examples, "versions": self.versions, "levels": LEVELS,
            "outcomes": [asdict(o) for o in self.outcomes],
        }  # fmt: skip
