"""Reports: a terminal summary and JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from kcore_conformance.result import LEVELS, Outcome, Report


def terminal(report: Report, *, failures: int = 20) -> str:
    """The levels as a table, then what failed and what deviates; the last line is the verdict."""
    lines = [
        f"Conformance of {report.backend} ({report.setting}), "
        + ", ".join(f"{k} {v}" for k, v in report.versions.items())
    ]
    for level in range(report.top + 1):
        mine = [o for o in report.outcomes if o.level == level]
        if not mine and report.partial:
            continue
        counts = Counter(o.status for o in mine)
        mark = "ok  " if mine and all(o.good for o in mine) else "FAIL"
        seconds = sum(o.seconds for o in mine)
        told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        name, examples = LEVELS[level].split(":")[0], sum(o.examples for o in mine)
        lines.append(f"  {level} {mark} {name:<13} {told:<40} {examples:>6} examples {seconds:>7.1f} s")
    bad = report.failures()
    lines.extend(_entry(o) for o in bad[:failures])
    if len(bad) > failures:
        lines.append(f"  ... and {len(bad) - failures} more")
    lines.extend(
        f"  deviates: {o.subject} {o.prop}: {o.message.splitlines()[0][:160]}"
        for o in report.outcomes
        if o.status == "deviates"
    )
    lines.append(verdict(report))
    return "\n".join(lines)


def _entry(outcome: Outcome) -> str:
    return f"  level {outcome.level}: {outcome.subject}, {outcome.prop}: {outcome.message}"


def verdict(report: Report) -> str:
    """One line: level reached, failures, examples, time."""
    reached = f"level {report.level}" if report.level >= 0 else "no level"
    return (
        f"{report.backend}: {reached} of {report.top} reached; {len(report.failures())} failures, "
        f"{sum(o.status == 'deviates' for o in report.outcomes)} deviations, {len(report.outcomes)} properties, "
        f"{report.examples} examples, {report.seconds:.0f} s"
    )


def write_json(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report.as_dict(), indent=1), encoding="utf-8")
