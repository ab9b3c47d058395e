"""The same seed gives the same initial weights and the same losses on every backend, and the same bits on each."""

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
    home = tmp_path_factory.mktemp("keras")
    found = {}
    for name in BACKENDS:
        env = {**os.environ, "KERAS_BACKEND": name, "KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run([sys.executable, str(WORKER)], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_initial_weights_are_identical_on_all_backends(reports: dict[str, Any]) -> None:
    assert len({r["plain"]["initial"] for r in reports.values()}) == 1


def test_losses_of_fifty_steps_agree(reports: dict[str, Any]) -> None:
    first = next(iter(reports.values()))["plain"]["losses"]
    for name, report in reports.items():
        np.testing.assert_allclose(report["plain"]["losses"], first, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", BACKENDS)
def test_runs_repeat_bit_for_bit(reports: dict[str, Any], name: str) -> None:
    assert reports[name]["dropout"] == reports[name]["dropout_again"]


@pytest.mark.parametrize("name", BACKENDS)
def test_training_learns(reports: dict[str, Any], name: str) -> None:
    losses = reports[name]["plain"]["losses"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
