"""The same seed gives the same weights, shuffles and losses on every backend, and the same bits on each.

In the portable mode that holds with dropout and noise as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kcore import plugin

WORKER = Path(__file__).with_name("worker.py")
BACKENDS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() or name == "numpy")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each installed backend reports; the workers run one after another."""
    return {name: _report(name, tmp_path_factory.mktemp(name)) for name in BACKENDS}


def _report(name: str, home: Path, *arguments: str) -> Any:
    env = {**os.environ, "KCORE_BACKEND": name, "KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(WORKER), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def test_initial_weights_are_identical_on_all_backends(reports: dict[str, Any]) -> None:
    assert len({r["plain"]["initial"] for r in reports.values()}) == 1


def test_losses_of_fifty_steps_agree(reports: dict[str, Any]) -> None:
    first = next(iter(reports.values()))["plain"]["losses"]
    for name, report in reports.items():
        np.testing.assert_allclose(report["plain"]["losses"], first, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", BACKENDS)
def test_runs_repeat_bit_for_bit(reports: dict[str, Any], name: str) -> None:
    for run in ("dropout", "noisy"):
        assert reports[name][run] == reports[name][f"{run}_again"]


@pytest.mark.parametrize("name", BACKENDS)
def test_another_process_repeats_a_run_bit_for_bit(reports: dict[str, Any], name: str, tmp_path: Path) -> None:
    again = _report(name, tmp_path, "again")
    assert again == {run: reports[name][run] for run in again}


def test_portable_draws_are_the_same_on_all_backends(reports: dict[str, Any]) -> None:
    draws = {name: report["portable"]["draws"] for name, report in reports.items()}
    assert len({d["exact"] for d in draws.values()}) == 1
    normal = [np.asarray(a) for a in draws["numpy"]["normal"]]
    for name, d in draws.items():
        assert d["different"], name
        for a, b in zip(d["normal"], normal, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("run", ["dropout", "noisy"])
def test_portable_losses_agree_with_dropout_and_noise(reports: dict[str, Any], run: str) -> None:
    losses = {name: report["portable"][run]["losses"] for name, report in reports.items()}
    assert len(losses["numpy"]) == {"dropout": 12, "noisy": 6}[run]
    for name, found in losses.items():
        np.testing.assert_allclose(found, losses["numpy"], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", BACKENDS)
def test_training_learns(reports: dict[str, Any], name: str) -> None:
    losses = reports[name]["plain"]["losses"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
