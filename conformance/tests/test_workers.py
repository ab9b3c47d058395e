"""Worker processes: the same report as a run in one process; one that dies or hangs costs its unit and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kcore_conformance import replay, runner
from kcore_conformance.result import Outcome, Report
from kcore_conformance.settings import SETTINGS, Selection

PLUGINS = ("kcore_faulty",)


def run(ops: str, top: int, jobs: int, **options: Any) -> Report:
    """A quick run without a budget."""
    options = {"budget": 1e6, "plugins": PLUGINS if jobs > 1 else (), **options}
    return runner.run("faulty", SETTINGS["quick"], Selection(top, ops), None, runner.Options(jobs=jobs, **options))


def timeless(report: Report) -> list[Outcome]:
    """Its outcomes without times."""
    return [replace(o, seconds=0.0) for o in report.outcomes]


def test_workers_report_what_one_process_reports(faulty: str) -> None:
    ops = "^tan|^sqrt$|^add$|^softmax$|updates|random"
    serial, parallel = run(ops, 5, 1), run(ops, 5, 2)
    assert timeless(parallel) == timeless(serial)
    assert {"passed", "failed", "deviates", "error"} <= {o.status for o in serial.outcomes}
    assert parallel.level == serial.level


def test_a_worker_that_dies_is_a_failure_with_the_example_that_killed_it(faulty: str) -> None:
    report = run("^exp$|^abs$", 2, 2)
    found = {o.prop: o for o in report.outcomes if o.subject == "exp"}
    assert found["eager"].status == "failed"
    assert "SIGSEGV" in found["eager"].message
    assert "Segmentation fault" in found["eager"].message
    (example,) = replay.read(found["eager"].replay)
    assert example.unit.name == "2:exp:eager"
    assert example.arguments is not None
    assert (example.arguments["x"] < 0).any()
    assert found["declared"].status == "passed"
    assert all(o.status == "passed" for o in report.outcomes if o.subject == "abs")


def test_a_worker_that_hangs_is_ended(faulty: str) -> None:
    report = run("^floor$|^abs$", 2, 2, timeout=5.0)
    found = {o.prop: o for o in report.outcomes if o.subject == "floor"}
    assert found["eager"].message.startswith("no answer within 5 s")
    assert replay.read(found["eager"].replay)[0].arguments is not None
    assert all(o.status == "passed" for o in report.outcomes if o.subject == "abs")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backend_that_cannot_be_loaded_is_one_finding(jobs: int) -> None:
    report = runner.run("no_such", SETTINGS["quick"], Selection(2), None, runner.Options(jobs=jobs))
    (outcome,) = report.outcomes
    assert (outcome.status, outcome.prop, report.level) == ("failed", "loads", -1)
    assert "no_such" in outcome.message
