"""Running the suite: a plan of units, run here or by worker processes, in turns that keep the time budget.

The first turn gives every unit its minimum of examples. The turns after it share what is left of the budget, by what
an example of each unit was seen to cost, until all examples are drawn or the time is spent.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import hypothesis

from kcore import plugin
from kcore.backend import active
from kcore_conformance import budget
from kcore_conformance.bench import Bench
from kcore_conformance.memory import peak
from kcore_conformance.plan import Unit, grouped
from kcore_conformance.result import Outcome, Report
from kcore_conformance.settings import Selection, Setting
from kcore_conformance.trial import SHRINKING, describe
from kcore_conformance.workers import Done, Grant, Pool, Start

#: Seconds that a worker may take for one property before it is ended.
TIMEOUT = 300.0

#: What a turn may spend of the time that is left: estimates are rough.
_PRUDENCE = 0.85


class Listener(Protocol):
    """Who is told how the run goes on."""

    def planned(self, units: Sequence[Unit]) -> None:
        """A turn over these units begins."""

    def finished(self, unit: Unit, outcome: Outcome | None) -> None:
        """A unit was run in this turn (None: the time was out), with this outcome of the turn."""


class _Outcomes:
    """A listener that hands outcomes to a function."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        self.tell = tell

    def planned(self, units: Sequence[Unit]) -> None:
        """Nothing to tell."""

    def finished(self, unit: Unit, outcome: Outcome | None) -> None:
        """Tell what was found."""
        if outcome is not None:
            self.tell(outcome)


@dataclass(frozen=True)
class Options:
    """How a run is done.

    Attributes:
        jobs: worker processes; 1 runs everything in this process.
        plugins: modules to register in each process before the backend is loaded.
        budget: seconds instead of the setting's own budget.
        strict: whether only deviations of kind "upstream" are accepted.
        timeout: seconds that a worker may take for one property.
    """

    jobs: int = 1
    plugins: tuple[str, ...] = ()
    budget: float | None = None
    strict: bool = False
    timeout: float = TIMEOUT


def run(
    backend_name: str,
    setting: Setting,
    selection: Selection | None = None,
    listener: Listener | Callable[[Outcome], None] | None = None,
    options: Options | None = None,
) -> Report:
    """Run the suite on a backend; never raises for what the backend does wrong.

    Args:
        backend_name: a registered or installed backend.
        setting: how much is tried.
        selection: which part of the suite; all by default.
        listener: who is told how the run goes on, or a function that is told each outcome.
        options: how it is done.
    """
    selection, options = selection or Selection(), options or Options()
    seconds = setting.seconds if options.budget is None else options.budget
    report = Report(
        backend_name, setting.name, versions=versions(backend_name), top=selection.top, strict=options.strict,
        partial=selection.ops is not None, jobs=options.jobs, plugins=options.plugins, budget=seconds,
    )  # fmt: skip
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        try:
            executor = _executor(backend_name, options)
            stack.enter_context(executor)
            executor.load()
        except Exception as error:  # noqa: BLE001 - a backend that cannot be loaded is a finding
            report.add([Outcome(0, "plug-in", "loads", "failed", message=describe(error))])
        else:
            told = _Outcomes(listener) if callable(listener) else listener
            report.add(_Run(executor, setting, selection, told, start + seconds).outcomes())
            report.memory = executor.memory
    report.seconds = time.perf_counter() - start
    return report


def _executor(backend_name: str, options: Options) -> Pool | _Here:
    if options.jobs == 1:
        return _Here(backend_name, options)
    # What is shrunk for long must not look as if it hung.
    shrinking = min(SHRINKING, options.timeout / 4)
    return Pool(options.jobs, Start(backend_name, options.plugins, options.strict, shrinking), options.timeout)


class _Here:
    """Runs units in this process, in order: what `Pool` does with workers, under the same names."""

    jobs = 1

    def __init__(self, backend_name: str, options: Options) -> None:
        self.name = backend_name
        self.options = options
        self.scope = contextlib.ExitStack()
        self.bench: Bench

    @property
    def memory(self) -> int:
        return peak()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.scope.close()

    def load(self) -> None:
        backend = self.scope.enter_context(active.backend_scope(self.name))
        self.bench = Bench(backend, strict=self.options.strict)

    def run(self, groups: list[list[Unit]], grant: Grant, turn: int) -> Iterator[Done]:
        for group in groups:
            for unit in group:
                count = grant(unit)
                yield Done(unit, count or 0, None if count is None else self.bench.run(unit, count, turn))
            self.bench.free()

    def plan(self, selection: Selection) -> list[Unit]:
        return self.bench.plan(selection)

    def stale(self) -> list[Outcome]:
        return self.bench.stale()


class _Run:
    """One run: its turns, and what is known of each unit so far."""

    def __init__(self, executor: Pool | _Here, setting: Setting, selection: Selection, listener: Listener | None,
                 deadline: float) -> None:  # fmt: skip
        self.executor = executor
        self.setting = setting
        self.listener = listener
        self.deadline = deadline
        self.full = selection.ops is None
        self.units = executor.plan(selection)
        self.results: dict[Unit, Outcome] = {}
        self.granted: dict[Unit, int] = {}
        self.costs: dict[Unit, float] = {}

    def outcomes(self) -> list[Outcome]:
        self._first()
        turn = 0
        while wants := self._wants():
            turn += 1
            left = self.deadline - time.perf_counter()
            granted = budget.spread(wants, self.costs, left * self.executor.jobs * _PRUDENCE)
            if left <= 0 or not any(granted.values()):
                break
            self._turn([u for u in self.units if granted.get(u)], self._in_time(granted), turn)
        found = [replace(self.results[u], cut=u.wanted(self.setting) - self.granted[u]) for u in self.units]
        return found + (self.executor.stale() if self.full else [])

    def _first(self) -> None:
        start, total = time.perf_counter(), len(self.units)
        seconds = self.deadline - start

        def grant(unit: Unit) -> int:
            elapsed, done = time.perf_counter() - start, len(self.results) / total
            return budget.first_turn(
                self.setting.minimum, unit.wanted(self.setting), elapsed=elapsed, done=done, seconds=seconds
            )

        self._turn(self.units, grant, 0)

    def _turn(self, units: list[Unit], grant: Grant, turn: int) -> None:
        if self.listener is not None:
            self.listener.planned(units)
        for done in self.executor.run(grouped(units), grant, turn):
            if done.outcome is not None:
                self._note(done.unit, done.count, done.outcome)
            if self.listener is not None:
                self.listener.finished(done.unit, done.outcome)

    def _note(self, unit: Unit, count: int, outcome: Outcome) -> None:
        before = self.results.get(unit)
        self.results[unit] = outcome if before is None else before.and_then(outcome)
        exhausted = outcome.good and outcome.examples < count
        self.granted[unit] = unit.wanted(self.setting) if exhausted else self.granted.get(unit, 0) + count
        self.costs[unit] = outcome.seconds / max(outcome.examples, 1)

    def _wants(self) -> dict[Unit, int]:
        """Examples that are still missing: none of what has failed."""
        missing = {u: u.wanted(self.setting) - self.granted[u] for u in self.units if self.results[u].good}
        return {u: n for u, n in missing.items() if n > 0}

    def _in_time(self, granted: dict[Unit, int]) -> Grant:
        return lambda unit: granted[unit] if time.perf_counter() < self.deadline else None


def versions(backend_name: str) -> dict[str, str]:
    """Versions of all that takes part in a run."""
    from kcore.version import __version__

    found: dict[str, Any] = {
        "kcore": __version__, "python": platform.python_version(), "numpy": importlib.metadata.version("numpy"),
        "hypothesis": hypothesis.__version__, "platform": f"{sys.platform} {platform.machine()}",
    }  # fmt: skip
    info = plugin.discover().get(backend_name)
    if info is not None:
        found[f"kcore backend {backend_name}"] = info.version
        found |= [installed] if (installed := info.installed_framework()) else []
    return found
