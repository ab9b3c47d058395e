"""What the suite's own tests share: the faulty plug-in, and the table of planted faults at the end of a run."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kcore import plugin

#: No tests: what they import from beside them, with their folder on the path.
collect_ignore_glob = ["faults*.py", "prove.py", "registered.py", "plugins/*"]

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests import from beside them

PLUGINS = str(Path(__file__).with_name("plugins"))


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a registered backend with faults; its module, which workers can import, is `kcore_faulty`."""
    monkeypatch.syspath_prepend(PLUGINS)
    plugin.register(importlib.import_module("kcore_faulty"))
    yield "faulty"
    plugin.unregister("faulty")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Gather what the tests recorded, also those that ran in other processes."""
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                if name == "fault":
                    planted[value[0]] += 1
                    caught[value[0]] += value[1]
    if not planted:
        return
    terminalreporter.section("planted faults")
    for kind in sorted(planted):
        terminalreporter.write_line(f"{kind:<44} {caught[kind]:>3} of {planted[kind]:>3} caught")
    rate = 100 * caught.total() / planted.total()
    terminalreporter.write_line(
        f"{caught.total()} of {planted.total()} faults of {len(planted)} kinds caught: {rate:.1f} %"
    )
