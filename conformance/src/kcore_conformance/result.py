"""What a run finds: one `Outcome` per op and property (or per check), gathered in a `Report`."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
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

#: Version of the JSON report's layout (docs/conformance.md); raised when a reader of the old one would misread it.
SCHEMA = 1


@dataclass(frozen=True)
class DeviationNote:
    """A declared deviation as reports tell it."""

    kind: str
    reason: str
    link: str = ""
    dtypes: tuple[str, ...] = ()


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
        cut: how many examples the time budget took away.
        deviations: the declared deviations that concern it.
        kind: "op" (a property of an op) or "check".
    """

    level: int
    subject: str
    prop: str
    status: Status
    examples: int = 0
    seconds: float = 0.0
    message: str = ""
    replay: str = ""
    cut: int = 0
    deviations: tuple[DeviationNote, ...] = ()
    kind: Literal["op", "check"] = "check"

    @property
    def good(self) -> bool:
        """Whether the outcome does not stand in the level's way."""
        return self.status in ("passed", "deviates", "skipped")

    def and_then(self, more: Outcome) -> Outcome:
        """This outcome with what a further round over other examples found."""
        worst = self if more.good else more
        return replace(
            worst, examples=self.examples + more.examples, seconds=self.seconds + more.seconds,
            deviations=self.deviations,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """The outcome that `dataclasses.asdict` made this of."""
        notes = (DeviationNote(**{**d, "dtypes": tuple(d["dtypes"])}) for d in data["deviations"])
        return cls(**{**data, "deviations": tuple(notes)})


@dataclass(frozen=True)
class LevelSummary:
    """The outcomes of one level in numbers."""

    level: int
    name: str
    promise: str
    reached: bool
    counts: dict[str, int]
    examples: int
    seconds: float


@dataclass
class Report:
    """All outcomes of one run.

    Attributes:
        backend: the backend's name.
        setting: the setting's name.
        outcomes: in the order of the plan.
        versions: of everything that took part.
        seconds: wall time of the run.
        top: the highest level that was asked for.
        partial: whether only some ops were asked for, so that a level may be empty.
        strict: whether only deviations of kind "upstream" were accepted.
        jobs: worker processes; 1 for none.
        plugins: modules that had to be registered first.
        budget: the time budget in seconds.
        memory: largest resident memory of a process in MiB, 0 where the platform does not tell.
    """

    backend: str
    setting: str
    outcomes: list[Outcome] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    top: int = 6
    partial: bool = False
    strict: bool = False
    jobs: int = 1
    plugins: tuple[str, ...] = ()
    budget: float = 0.0
    memory: int = 0

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

    @property
    def cut(self) -> int:
        """How many examples the time budget took away in all."""
        return sum(o.cut for o in self.outcomes)

    def failures(self) -> list[Outcome]:
        """Outcomes that stand in a level's way."""
        return [o for o in self.outcomes if not o.good]

    def deviating(self) -> list[Outcome]:
        """Outcomes with a declared deviation that still fails as declared."""
        return [o for o in self.outcomes if o.status == "deviates"]

    def command(self, outcome: Outcome) -> str:
        """The command that replays a failure, "" where there is nothing to replay."""
        if not outcome.replay:
            return ""
        plugins = [word for module in self.plugins for word in ("--plugin", module)]
        return shlex.join(["kcore-conformance", "--backend", self.backend, *plugins, "--replay", outcome.replay])

    def passed(self) -> bool:
        """Whether the top level was reached and nothing failed."""
        return self.level >= self.top and not self.failures()

    def levels(self) -> list[LevelSummary]:
        """The levels in numbers; in a partial run only those that have outcomes."""
        found = []
        for level in range(self.top + 1):
            mine = [o for o in self.outcomes if o.level == level]
            if mine or not self.partial:
                name, _, promise = LEVELS[level].partition(": ")
                counts: dict[str, int] = dict(sorted(Counter(o.status for o in mine).items()))
                good = bool(mine) and all(o.good for o in mine)
                examples, seconds = sum(o.examples for o in mine), sum(o.seconds for o in mine)
                found.append(LevelSummary(level, name, promise, good, counts, examples, seconds))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; docs/conformance.md describes it."""
        return {
            "schema": SCHEMA, "backend": self.backend, "setting": self.setting, "level": self.level, "top": self.top,
            "passed": self.passed(), "partial": self.partial, "strict": self.strict, "jobs": self.jobs,
            "plugins": list(self.plugins),
            "budget": self.budget, "seconds": round(self.seconds, 1), "memory": self.memory,
            "examples": self.examples, "cut": self.cut, "versions": self.versions,
            "levels": [{**asdict(s), "seconds": round(s.seconds, 3)} for s in self.levels()],
            "outcomes": [{**asdict(o), "seconds": round(o.seconds, 4)} for o in self.outcomes],
        }  # fmt: skip
