"""Running the suite: levels in order, each op's properties over drawn examples, then the fixed checks."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from kcore import plugin
from kcore.backend import active
from kcore.ops import REGISTRY
from kcore.ops.spec import Op
from kcore_conformance.compare import Mismatch
from kcore_conformance.deviations import Deviation, declared_by
from kcore_conformance.draws import HypothesisDraw
from kcore_conformance.properties import PROPERTIES, Property
from kcore_conformance.registry import Check, checks_of
from kcore_conformance.result import Outcome, Report
from kcore_conformance.settings import Selection, Setting

Progress = Callable[[Outcome], None]


def run(backend_name: str, setting: Setting, selection: Selection, progress: Progress | None = None) -> Report:
    """Run the suite on a backend; never raises for what the backend does wrong."""
    report = Report(backend_name, setting.name, versions=_versions(), top=selection.top,
                    partial=selection.ops is not None)  # fmt: skip
    start = time.perf_counter()
    try:
        with active.backend_scope(backend_name) as backend:
            suite = _Suite(backend, setting, selection, start)
            for outcome in suite.outcomes():
                report.add([outcome])
                if progress is not None:
                    progress(outcome)
    except Exception as error:  # noqa: BLE001 - a backend that cannot be loaded is a finding
        report.add([Outcome(0, "plug-in", "loads", "failed", message=_describe(error))])
    report.versions |= _backend_versions(backend_name)
    report.seconds = time.perf_counter() - start
    return report


class _Suite:
    def __init__(self, backend: Any, setting: Setting, selection: Selection, start: float) -> None:
        self.backend = backend
        self.setting = setting
        self.selection = selection
        self.deadline = start + setting.seconds
        self.deviations = list(declared_by(backend))

    def outcomes(self) -> Iterator[Outcome]:
        for level in range(self.selection.top + 1):
            for check in checks_of(level):
                if self.selection.wants(check.topic):
                    yield self._check(check)
            for op, prop in self._properties(level):
                yield self._property(level, op, prop)

    def _properties(self, level: int) -> Iterator[tuple[Op, Property]]:
        for op in sorted(REGISTRY.values(), key=lambda op: op.name):
            if op.cases is None or not self.selection.wants(op.name):
                continue
            for prop in PROPERTIES:
                if (prop.level or (2 if op.is_primitive else 3)) == level and prop.applies(op):
                    yield op, prop

    def _deviation(self, subject: str, aspect: str) -> Deviation | None:
        return next((d for d in self.deviations if d.op == subject and d.aspect == aspect), None)

    def _check(self, check: Check) -> Outcome:
        start = time.perf_counter()
        outcome = Outcome(check.level, check.topic, check.name, "passed", examples=1)
        try:
            check.run(self.backend)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is the finding
            outcome.status, outcome.message = "failed", _describe(error)
        return self._judged(outcome, start)

    def _property(self, level: int, op: Op, prop: Property) -> Outcome:
        start = time.perf_counter()
        outcome = Outcome(level, op.name, prop.name, "passed")
        share = 0.3 if start > self.deadline else 1.0
        count = max(1, round(self.setting.examples * prop.share * share)) if prop.share else 0
        try:
            outcome.examples = _over_examples(op, prop, self.backend, count)
        except _Found as found:
            outcome.status, outcome.examples = "failed", found.examples
            outcome.message, outcome.replay = found.message, found.replay
        return self._judged(outcome, start)

    def _judged(self, outcome: Outcome, start: float) -> Outcome:
        outcome.seconds = time.perf_counter() - start
        deviation = self._deviation(outcome.subject, outcome.prop)
        if deviation is not None and outcome.status == "failed":
            outcome.status = "deviates"
            outcome.message = f"[{deviation.kind}] {deviation.reason} | {outcome.message}"
        elif deviation is not None:
            outcome.status = "error"
            outcome.message = f"The declared deviation ({deviation.reason}) no longer fails: remove it."
        return outcome


class _Found(Exception):  # noqa: N818 - a finding, not an error
    """A counter-example, shrunk."""

    def __init__(self, message: str, replay: str, examples: int) -> None:
        super().__init__(message)
        self.message, self.replay, self.examples = message, replay, examples


def _over_examples(op: Op, prop: Property, backend: Any, count: int) -> int:
    """Run the property over drawn examples; returns their number, raises _Found with the smallest failure."""
    tried = 0
    dtypes = backend.capabilities.dtypes
    last: dict[str, Any] = {}

    @hypothesis.settings(
        max_examples=max(count, 1), deadline=None, database=None, derandomize=True, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(st.data())
    def test(data: Any) -> None:
        try_one(prop.cases(op)(HypothesisDraw(data.draw, dtypes)))

    def try_one(arguments: dict[str, Any]) -> None:
        nonlocal tried
        tried += 1
        last["arguments"] = arguments
        prop.run(backend, op, arguments)

    try:
        for arguments in prop.listed(op, dtypes):
            try_one(arguments)
        if count:
            test()
    except hypothesis.errors.Unsatisfiable:
        return tried
    except Exception as error:
        raise _Found(
            f"{_describe(error)}\n    with {show(last.get('arguments'))}", f"{op.name}:{prop.name}", tried
        ) from error
    return tried


def show(arguments: Any) -> str:
    """Arguments as one could type them."""
    if not isinstance(arguments, dict):
        return "no example"
    return ", ".join(f"{k}={v!r}".replace("\n", "") for k, v in arguments.items())


def _describe(error: BaseException) -> str:
    if isinstance(error, Mismatch):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    first = str(error).strip().split("\n")[0][:300]
    return f"{type(error).__name__}: {first}{where}"


def _versions() -> dict[str, str]:
    from kcore.version import __version__

    return {"kcore": __version__, "python": platform.python_version(), "numpy": importlib.metadata.version("numpy"),
            "hypothesis": hypothesis.__version__, "platform": sys.platform}  # fmt: skip


def _backend_versions(name: str) -> dict[str, str]:
    info = plugin.discover().get(name)
    if info is None:
        return {}
    installed = info.installed_framework()
    return {f"kcore backend {name}": info.version, **({installed[0]: installed[1]} if installed else {})}
