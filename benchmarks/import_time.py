"""How long `import kcore` takes in a fresh process, beside a bare `import numpy` and an empty process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.workers import ROOT, environment

MODULES = ("numpy", "kcore")


@dataclass
class ImportTime:
    """Seconds of whole processes that import one module; or why there are none."""

    module: str
    samples: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def median(self) -> float | None:
        """The median, None without samples."""
        return statistics.median(self.samples) if self.samples else None


def import_once(module: str, env: dict[str, str]) -> float:
    """Seconds that a fresh process takes to import a module and end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True, cwd=ROOT, env=env)
    return time.perf_counter() - start


def import_times(repeats: int, backend: str, threads: int, modules: Sequence[str] = MODULES) -> list[ImportTime]:
    """Interleaved import times, after one untimed import of each (byte code, file cache)."""
    entries = [ImportTime(module) for module in modules]
    with tempfile.TemporaryDirectory(prefix="kcore-bench-") as home:
        env = environment(backend, threads, home)
        for entry in entries:
            try:
                import_once(entry.module, env)
            except subprocess.CalledProcessError as error:
                last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
                missing = f"No module named '{entry.module}'"
                entry.error = "not installed" if any(missing in line for line in last) else "".join(last)[:200]
        for _ in range(repeats):
            for entry in entries:
                if not entry.error:
                    entry.samples.append(import_once(entry.module, env))
    return entries
