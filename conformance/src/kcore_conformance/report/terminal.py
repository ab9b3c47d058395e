"""The report on a terminal."""

from __future__ import annotations

from kcore_conformance.result import LevelSummary, Outcome, Report

_COLUMNS = ("passed", "failed", "error", "deviates", "skipped")


def terminal(report: Report, *, failures: int = 20) -> str:
    """The levels as a table, then what failed and what deviates; the last line is the verdict.

    Args:
        report: the run.
        failures: how many failures are told in full.
    """
    setting = f"{report.setting}, strict" if report.strict else report.setting
    lines = [f"Conformance of {report.backend} ({setting}): {_list(report.versions)}", ""]
    lines += _levels(report)
    bad = report.failures()
    if bad:
        lines += ["", f"Failures ({len(bad)})"]
        for outcome in bad[:failures]:
            lines += _failure(report, outcome)
        if len(bad) > failures:
            lines.append(f"  ... and {len(bad) - failures} more (--failures {len(bad)} shows all)")
    if report.deviating():
        lines += ["", f"Deviations ({len(report.deviating())})"]
        lines += [line for outcome in report.deviating() for line in _deviation(outcome)]
    return "\n".join([*lines, "", verdict(report)])


def _list(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _levels(report: Report) -> list[str]:
    shown = [c for c in _COLUMNS if c in ("passed", "failed") or any(c in s.counts for s in report.levels())]
    head = f"  {'level':<16}{'':<8}" + "".join(f"{c:>9}" for c in shown) + f"{'examples':>10}{'time':>10}"
    return [head, *(_level(summary, shown) for summary in report.levels())]


def _level(summary: LevelSummary, columns: list[str]) -> str:
    mark = "ok" if summary.reached else "FAIL"
    numbers = "".join(f"{summary.counts.get(c, 0) or '-':>9}" for c in columns)
    return f"  {f'{summary.level} {summary.name}':<16}{mark:<8}{numbers}{summary.examples:>10}{summary.seconds:>8.1f} s"


def _failure(report: Report, outcome: Outcome) -> list[str]:
    lines = [f"  level {outcome.level}: {outcome.subject}, {outcome.prop}: {outcome.message}"]
    command = report.command(outcome)
    return [*lines, f"    replay: {command}"] if command else lines


def _deviation(outcome: Outcome) -> list[str]:
    lines = []
    for note in outcome.deviations:
        where = f" ({', '.join(note.dtypes)})" if note.dtypes else ""
        link = f" {note.link}" if note.link else ""
        lines.append(f"  {note.kind}: {outcome.subject}, {outcome.prop}{where}: {note.reason}{link}")
    return lines


def verdict(report: Report) -> str:
    """One line: level reached, failures, examples, time."""
    reached = f"level {report.level}" if report.level >= 0 else "no level"
    text = (
        f"{report.backend}: {reached} of {report.top} reached; {len(report.failures())} failures, "
        f"{len(report.deviating())} deviations, {len(report.outcomes)} properties, "
        f"{report.examples} examples, {report.seconds:.0f} s"
    )
    if report.memory:
        text += f", {report.memory} MiB"
    if report.cut:
        text += f"; {report.cut} examples cut by the budget of {report.budget:.0f} s"
    return text
