"""kcore computes what Keras 2.3.1 computed: the golden cases, group by group, on every installed backend.

Each backend runs in a process of its own, so that frameworks do not meet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kcore import plugin

RUNNER = Path(__file__).with_name("runner.py")

#: Groups of cases that pass -> pattern of the cases to run. Others join as they pass.
GROUPS = {"backend": "", "configs": "", "layers": ""}


def installed():
    return [name for name, info in plugin.discover().items() if info.installed_framework()]


def data_is_there():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import runner; sys.exit(runner.folder() is None)"
    return subprocess.run([sys.executable, "-c", code, str(RUNNER.parent)], check=False).returncode == 0


def backends():
    return [pytest.param(name, marks=[] if name == "numpy" else pytest.mark.slow) for name in installed()]


@pytest.mark.skipif(not data_is_there(), reason="no golden data: set KCORE_GOLDEN to its folder")
@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("group", GROUPS)
def test_golden_cases_pass(group, backend, tmp_path):
    out = tmp_path / "results.json"
    command = [sys.executable, str(RUNNER), "--backend", backend, "--groups", group, "--match", GROUPS[group]]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command += ["--json", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert out.is_file(), run.stderr[-2000:]
    results = json.loads(out.read_text())
    assert results, "no case ran"
    assert [f"{r['name']}: {r['message']}" for r in results if r["ok"] is False] == []
