"""The table of planted faults at the end of a test run: how many of each kind were caught."""

from __future__ import annotations

from collections import Counter
from typing import Any


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
