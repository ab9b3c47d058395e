"""A process that is killed while it saves leaves the old file or the new one, whole.

`KCORE_KILLS=100` (make kills) kills that many, at other moments each time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("KCORE_KILLS", "0"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and fork are of POSIX")
@pytest.mark.parametrize("kind", ["save", "checkpoint"])
def test_a_killed_save_leaves_a_whole_model(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    seed = random.randrange(10**6) if COUNT else 0
    script = str(Path(__file__).with_name("kills.py"))
    done = subprocess.run(
        [sys.executable, script, kind, str(folder), "--count", str(COUNT or 12), "--seed", str(seed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
        timeout=600 + 20 * COUNT,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    found = json.loads(done.stdout)
    print(found)  # noqa: T201 - the numbers of `make kills`
    assert found["killed while it wrote"] > found["killed"] / 4, "the kills came at the wrong moments"
