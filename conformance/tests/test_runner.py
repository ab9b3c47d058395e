"""Turns, the time budget, levels, the command line, the progress display, the pytest plugin."""

from __future__ import annotations

import doctest
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import hypothesis.strategies as st
import pytest
from hypothesis import given

from kcore.backend.reference.backend import NumpyBackend
from kcore_conformance import budget, cli, deviations, memory, plain, progress, runner
from kcore_conformance.bench import _MUCH, Bench
from kcore_conformance.plan import Unit
from kcore_conformance.progress import Bar, Lines
from kcore_conformance.registry import all_checks, top_level
from kcore_conformance.report import verdict
from kcore_conformance.result import LEVELS, Outcome
from kcore_conformance.settings import SETTINGS, Selection, Setting

COUNTS = st.dictionaries(st.integers(0, 30), st.tuples(st.integers(1, 50), st.floats(1e-4, 10)), min_size=1)


@given(COUNTS, st.floats(0, 200))
def test_a_spread_budget_is_kept_and_fair(units: dict[int, tuple[int, float]], seconds: float) -> None:
    wants, costs = {k: n for k, (n, _) in units.items()}, {k: c for k, (_, c) in units.items()}
    granted = budget.spread(wants, costs, seconds)
    spent = {k: n * costs[k] for k, n in granted.items()}
    assert granted.keys() == wants.keys()
    assert all(0 <= granted[k] <= wants[k] for k in wants)
    assert sum(spent.values()) <= seconds * (1 + 1e-9)
    # Whoever was cut has spent as much as anybody, but for less than one of its own examples.
    for k in (k for k in wants if granted[k] < wants[k]):
        assert spent[k] + costs[k] >= max(spent.values()) * (1 - 1e-9)
    if sum(n * costs[k] for k, n in wants.items()) <= seconds * (1 - 1e-9):
        assert granted == wants


class Seen:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.turns: list[int] = []
        self.units: list[str] = []

    def planned(self, units: Sequence[Unit]) -> None:
        self.turns.append(len(units))

    def finished(self, unit: Unit, outcome: Outcome | None) -> None:
        self.units.append(unit.name)


def test_without_time_every_property_is_still_tried() -> None:
    setting = Setting("tight", 40, 5, 0.0)
    report = runner.run("numpy", setting, Selection(5, "^tanh$|^add$|^softmax$"))
    drawn = [o for o in report.outcomes if o.cut]
    assert len({o.subject for o in drawn}) == 3
    assert all(o.examples >= 1 for o in report.outcomes)
    assert report.cut == sum(o.cut for o in drawn) > 100
    assert f"{report.cut} examples cut by the budget of 0 s" in verdict(report)


def test_with_time_all_examples_are_drawn_over_several_turns() -> None:
    seen, setting = Seen(), Setting("roomy", 40, 5, 1e6)
    report = runner.run("numpy", setting, Selection(2, "^tanh$"), seen)
    assert report.cut == 0
    assert len(seen.turns) >= 2
    assert {o.prop: o.examples for o in report.outcomes}["eager"] >= 40


def test_a_function_may_listen() -> None:
    told: list[Outcome] = []
    report = runner.run("numpy", SETTINGS["quick"], Selection(2, "^tanh$"), told.append)
    assert [o.prop for o in told] == [o.prop for o in report.outcomes]


def test_a_later_turn_draws_other_examples(faulty: str) -> None:
    whole = runner.run(faulty, Setting("two turns", 60, 1, 1e6), Selection(2, "^tanh$"))
    assert {o.prop for o in whole.failures()} >= {"eager", "compiled"}


def test_a_bench_that_has_grown_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    released, resident = [], [100]
    backend = NumpyBackend()
    backend.release_caches = lambda: released.append(resident[0])
    monkeypatch.setattr(memory, "now", lambda: resident[0])
    bench = Bench(backend)
    for resident[0] in (150, 99 + _MUCH, 100 + _MUCH, 150 + _MUCH, 120 + 2 * _MUCH):
        bench.free()
    assert released == [100 + _MUCH, 120 + 2 * _MUCH]


def test_memory_is_told_in_mebibytes() -> None:
    assert 10 < memory.now() <= memory.peak() * 1.1 < 2**20


@pytest.mark.parametrize("module", [budget, deviations, plain, progress], ids=lambda m: m.__name__)
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_top_level_is_the_highest_that_has_checks() -> None:
    assert Selection().top == top_level() == max(c.level for c in all_checks())
    assert set(range(top_level() + 1)) <= set(LEVELS)


@pytest.mark.parametrize("arguments", [["--ops", "("], ["--ops", "no_such_op"], ["--level", "9"], ["--jobs", "0"],
                                       ["--quick", "--thorough"], ["--ops", "training", "--level", "2"]])  # fmt: skip
def test_wrong_usage_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--backend", "numpy", *arguments])
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_command_line_writes_all_reports(faulty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / name for name in ("json", "html", "badge", "counterexamples")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    arguments = ["--backend", faulty, "--quick", "--ops", "^tanh$", "--level", "2", "--jobs", "1", "--verbose"]
    assert cli.main([*arguments, *options]) == 1
    assert all(path.exists() for path in files.values())
    told = capsys.readouterr()
    assert "2:tanh:declared: passed, " in told.err
    assert "2:tanh:eager: failed, " in told.err
    assert "faulty: level 1 of 2 reached" in told.out


def test_the_bar_counts_and_the_lines_tell() -> None:
    units = [Unit(2, "op", "add", p, 1.0) for p in ("eager", "compiled")]
    stream = io.StringIO()
    bar = Bar(stream)
    bar.planned(units)
    bar.finished(units[0], units[0].outcome())
    bar.finished(units[1], units[1].outcome("failed"))
    last = stream.getvalue().split("\r")[-1]
    assert "2/2" in last
    assert "1 failed" in last
    assert "level 2 add compiled" in last
    stream = io.StringIO()
    lines = Lines(stream)
    lines.planned(units)
    lines.finished(units[0], units[0].outcome("failed", message="wrong"))
    lines.finished(units[1], None)
    assert "2:add:eager: failed, 0 examples, 0.00 s: wrong" in stream.getvalue()
    assert "no time left" in stream.getvalue()


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path[:] = {sys.path!r}; import pytest; sys.exit(pytest.main())"
    command = [sys.executable, "-c", program, "-rA", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_the_pytest_plugin_adds_an_item_for_each_property(faulty: str, tmp_path: Path) -> None:
    options = ("--kcore-backend", "faulty", "--kcore-plugin", "kcore_faulty", "--kcore-ops", "^tanh$|^sqrt$|^abs$")
    child = _pytest(tmp_path, *options, "--kcore-level", "2")
    assert child.returncode == 1, child.stdout + child.stderr
    assert "PASSED conformance[faulty:2:abs:eager]" in child.stdout
    assert "XFAIL conformance[faulty:2:sqrt:eager]" in child.stdout
    assert "FAILED conformance[faulty:2:tanh:eager]" in child.stdout
    assert "level 2: tanh, eager: result: relative error" in child.stdout
    assert "replay: kcore-conformance --backend faulty --plugin kcore_faulty --replay kc1." in child.stdout
    assert "Traceback" not in child.stdout
    only = _pytest(tmp_path, *options, "-k", "abs and eager")
    assert "1 passed" in only.stdout


def test_the_pytest_plugin_refuses_unknown_backends(tmp_path: Path) -> None:
    child = _pytest(tmp_path, "--kcore-backend", "no_such")
    assert child.returncode == 4
    assert "'no_such' cannot be tested" in child.stderr
