"""A failure's token runs the same counter-example again: here, in another process, on another backend."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from kcore.backend import active
from kcore_conformance import cli, replay, runner
from kcore_conformance.plan import find, plan
from kcore_conformance.report import write_counterexamples, write_json
from kcore_conformance.rerun import rerun
from kcore_conformance.result import Outcome, Report
from kcore_conformance.settings import SETTINGS, Selection


@pytest.fixture
def failing(faulty: str) -> Report:
    """A run over the op whose kernel is wrong above 1."""
    return runner.run(faulty, SETTINGS["default"], Selection(2, "^tanh$"))


def failure(report: Report) -> Outcome:
    """Its eager failure."""
    return next(o for o in report.failures() if o.prop == "eager")


def test_the_counter_example_is_shrunk(failing: Report) -> None:
    (example,) = replay.read(failure(failing).replay)
    assert example.arguments is not None
    x = example.arguments["x"]
    assert x.size == 1
    assert 1 < x.item() <= 2


def test_a_token_fails_again_and_says_what_was_expected(failing: Report, faulty: str) -> None:
    (example,) = replay.read(failure(failing).replay)
    with active.backend_scope(faulty) as backend:
        holds, text = rerun(example, backend)
    assert not holds
    assert example.arguments is not None
    want = np.tanh(example.arguments["x"])
    assert failure(failing).message.split("\n")[0] in text
    assert "expected np.array" in text
    assert repr(float(want.ravel()[0]))[:6] in text
    assert "0.5" in text.split("got")[1]


def test_a_token_holds_on_a_sound_backend(failing: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--backend", "numpy", "--replay", failure(failing).replay]) == 0
    assert capsys.readouterr().out.strip().endswith("holds")


def test_the_printed_command_reproduces_it_in_a_new_process(failing: Report) -> None:
    program = f"import sys; sys.path[:] = {sys.path!r}; from kcore_conformance.cli import main; sys.exit(main())"
    arguments = ["--backend", "faulty", "--plugin", "kcore_faulty", "--replay", failure(failing).replay]
    command = [sys.executable, "-c", program, *arguments]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 1, child.stderr
    assert f"fails: {failure(failing).message.splitlines()[0]}" in child.stdout


def test_files_replay_as_tokens_do(failing: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = write_counterexamples(failing, tmp_path / "found")
    assert {p.name for p in written} == {f"2-tanh-{o.prop.replace(' ', '-')}.json" for o in failing.failures()}
    one = next(p for p in written if "eager" in p.name)
    assert replay.read(str(one))[0].token() == failure(failing).replay
    write_json(failing, tmp_path / "report.json")
    assert cli.main(["--backend", "faulty", "--replay", str(tmp_path / "report.json")]) == 1
    assert f"{len(written)} examples: {len(written)} fail" in capsys.readouterr().out


def test_checks_and_whole_properties_replay_by_name(faulty: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--backend", faulty, "--replay", "4:updates:many_calls_accumulate"]) == 0
    assert cli.main(["--backend", faulty, "--replay", "2:tanh:eager"]) == 1
    assert "fails: " in capsys.readouterr().out


def test_names_of_units_are_unique_and_found() -> None:
    with active.backend_scope("numpy"):
        units = plan(Selection())
    assert len({u.name for u in units}) == len(units)
    assert all(find(u.name) == u for u in units[::50])


def _packed(data: object) -> str:
    return replay.PREFIX + base64.urlsafe_b64encode(zlib.compress(json.dumps(data).encode())).decode().rstrip("=")


@pytest.mark.parametrize(("text", "told"), [
    ("nonsense", "no token"), ("2:tanh:no_such_property", "has no"), ("2:tanh:eager#x", "behind #"),
    (replay.PREFIX + "AAAA", "damaged"), (replay.PREFIX + "é", "damaged"), (_packed([1]), "JSON object"),
    (_packed({"unit": "2:tanh:eager", "arguments": {"x": {"pickle": "gASV"}}}), "no valid 'pickle'"),
    (_packed({"unit": "2:tanh:eager", "arguments": [1]}), "values by name"),
    (_packed({"unit": "2:tanh:eager"})[:-6], "damaged|cut off"),
])  # fmt: skip
def test_damaged_and_foreign_tokens_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replay.read(text)


def test_wrong_tokens_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--backend", "numpy", "--replay", "nonsense"]) == 2
    assert "no token" in capsys.readouterr().err
