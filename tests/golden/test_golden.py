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

#: One process each: several groups share one, so that a framework is imported less often.
GROUPS = {
    "backend": ["backend"],
    "layers": ["layers"],
    "training": ["training", "optimizers", "optimizer_state", "models"],
    "functions": [
        "activations", "losses", "metrics", "regularizers", "constraints", "initializers", "configs", "preprocessing",
    ],
}  # fmt: skip

#: Backends that compile every case.
SHARE = {"jax": "4", "tensorflow": "4"}

#: Cases that are expected to fail, and why. Strict: one that passes must leave the table.
KNOWN = {
    "training/callbacks/checkpoint_best": "ill-conditioned: training diverges (rate 0.6, momentum 0.9). Keras 2.3.1 "
    "repeats its own numbers exactly, but with inputs moved by one unit in the last place it is 1.4e-4 to 1.0e-3 off "
    "them (10 of 12 trials above the tolerance of 2e-4); even the exact answer, in float64, is 2.9e-4 off",
    "training/callbacks/early_restore_not_stopped": "ill-conditioned in the same way: with inputs moved by one unit in "
    "the last place Keras 2.3.1 itself is 6.6e-4 to 6.3e-3 off its own numbers (12 of 12 trials); we are 6e-4 to 2e-3",
}


def installed():
    return [name for name, info in plugin.discover().items() if info.installed_framework()]


def data_is_there():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import runner; sys.exit(runner.folder() is None)"
    return subprocess.run([sys.executable, "-c", code, str(RUNNER.parent)], check=False).returncode == 0


def share(backend):
    """One case in so many. Where every case is compiled, a part stands for all, unless KCORE_GOLDEN_ALL is set."""
    return "1" if os.environ.get("KCORE_GOLDEN_ALL") else SHARE.get(backend, "1")


@pytest.mark.skipif(not data_is_there(), reason="no golden data: set KCORE_GOLDEN to its folder")
@pytest.mark.parametrize("backend", installed())
@pytest.mark.parametrize("groups", GROUPS)
def test_golden_cases_pass(groups, backend, tmp_path):
    out = tmp_path / "results.json"
    command = [sys.executable, str(RUNNER), "--backend", backend, "--share", share(backend)]
    command += ["--groups", *GROUPS[groups]]
    run = subprocess.run(
        [*command, "--json", str(out)], capture_output=True, text=True, check=False,
        env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    assert out.is_file(), run.stderr[-2000:]
    results = json.loads(out.read_text())
    assert results, "no case ran"
    failed = {r["name"]: r["message"] for r in results if r["ok"] is False}
    assert {name: message for name, message in failed.items() if name not in KNOWN} == {}
    passed = [r["name"] for r in results if r["ok"] is not False]
    assert [name for name in passed if name in KNOWN] == [], "these pass now: take them out of KNOWN"
