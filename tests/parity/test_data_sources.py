"""Every source of data trains alike, with every backend, and every wrong call is refused in the same words."""

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

WORKER = Path(__file__).with_name("data_worker.py")
BACKENDS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() or name == "numpy")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each installed backend reports; the workers run one after another."""
    found = {}
    for name in BACKENDS:
        home = str(tmp_path_factory.mktemp(name))
        env = {**os.environ, "KCORE_BACKEND": name, "KERAS_HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run([sys.executable, str(WORKER)], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_errors_do_not_depend_on_the_backend(reports: dict[str, Any]) -> None:
    expected = reports["numpy"]["errors"]
    assert "nothing" not in expected.values()
    for name, report in reports.items():
        assert report["errors"] == expected, name


@pytest.mark.parametrize("kind", ["arrays", "loaders"])
def test_all_sources_train_alike(reports: dict[str, Any], kind: str) -> None:
    expected = next(iter(reports["numpy"][kind].values()))
    for name, report in reports.items():
        for source, numbers in report[kind].items():
            np.testing.assert_allclose(numbers, expected, rtol=1e-4, atol=1e-6, err_msg=f"{source} on {name}")


def test_states_are_kept_alike(reports: dict[str, Any]) -> None:
    for name, report in reports.items():
        np.testing.assert_allclose(report["stateful"], reports["numpy"]["stateful"], rtol=1e-4, atol=1e-6, err_msg=name)
