"""The report as one HTML page: everything inline, nothing fetched, every text escaped.

`page.css` and `page.js` beside this file go into the page as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from html import escape
from importlib import resources
from pathlib import Path

from kcore_conformance.progress import clock
from kcore_conformance.report.badge import badge
from kcore_conformance.result import LevelSummary, Outcome, Report

_STATUSES = ("passed", "failed", "error", "deviates", "skipped")
_SIGNS = {"passed": "✓", "failed": "✗", "error": "!", "deviates": "≈", "skipped": "-"}


def write_html(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The page as text."""
    title = f"kcore conformance: {report.backend}"
    body = "\n".join([
        _header(report), _summary(report), _levels(report), _failures(report), _deviations(report), _matrix(report),
        _checks(report), _versions(report),
    ])  # fmt: skip
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n"
        f"<body>\n{body}\n<script>\n{_asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


# --- head -------------------------------------------------------------------------------------------------------------


def _header(report: Report) -> str:
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    strict = ", strict" if report.strict else ""
    part = ", part of the ops" if report.partial else ""
    return (
        f"<header><div><h1>{escape(report.backend)}</h1>"
        f"<p>Conformance with kcore, setting <b>{escape(report.setting)}</b>{strict}{part}, {when}</p></div>"
        f"<div>{badge(report)}</div></header>"
    )


def _summary(report: Report) -> str:
    good = "good" if report.passed() else "bad"
    level = str(report.level) if report.level >= 0 else "none"
    cards = [
        _card("level reached", level, f"of {report.top}", good),
        _card("failures", str(len(report.failures())), "", "bad" if report.failures() else "good"),
        _card("deviations", str(len(report.deviating())), "declared", "warn" if report.deviating() else ""),
        _card("properties", str(len(report.outcomes)), ""),
        _card("examples", f"{report.examples:,}", f"{report.cut:,} cut by the budget" if report.cut else ""),
        _card("time", clock(report.seconds), f"{report.jobs} processes" if report.jobs > 1 else "one process"),
    ]
    if report.memory:
        cards.append(_card("memory", f"{report.memory:,}", "MiB, largest process"))
    return f'<section class="cards">{"".join(cards)}</section>'


def _card(name: str, value: str, note: str, kind: str = "") -> str:
    return (
        f'<div class="card {kind}"><span>{escape(name)}</span><strong>{escape(value)}</strong>'
        f"<small>{escape(note)}</small></div>"
    )


def _levels(report: Report) -> str:
    rows = "".join(_level(summary) for summary in report.levels())
    return (
        '<section><h2>Levels</h2><div class="scroll"><table class="levels"><thead><tr><th>Level</th><th>Promise</th>'
        "<th>Outcomes</th><th>Properties</th><th>Examples</th><th>Time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _level(summary: LevelSummary) -> str:
    total = sum(summary.counts.values())
    bar = "".join(
        f'<i class="{status}" style="flex:{count}" title="{count} {status}"></i>'
        for status in _STATUSES
        if (count := summary.counts.get(status, 0))
    )
    told = ", ".join(f"{n} {escape(status)}" for status, n in summary.counts.items()) or "nothing was run"
    mark = _pill("passed" if summary.reached else "failed", f"{summary.level} {summary.name}")
    return (
        f"<tr><td>{mark}</td><td>{escape(summary.promise)}</td>"
        f'<td><div class="bar">{bar}</div><small>{told}</small></td>'
        f'<td class="n">{total}</td><td class="n">{summary.examples:,}</td>'
        f'<td class="n">{summary.seconds:.1f} s</td></tr>'
    )


def _pill(status: str, text: str) -> str:
    return f'<span class="pill {status}">{_SIGNS[status]} {escape(text)}</span>'


# --- findings ---------------------------------------------------------------------------------------------------------


def _failures(report: Report) -> str:
    bad = report.failures()
    if not bad:
        return ""
    cards = "".join(_finding(report, outcome) for outcome in bad)
    return f'<section id="failures"><h2>Failures <em>{len(bad)}</em></h2>{cards}</section>'


def _finding(report: Report, outcome: Outcome) -> str:
    head, _, example = outcome.message.partition("\n")
    command = report.command(outcome)
    mark, subject, prop = _pill(outcome.status, outcome.status), escape(outcome.subject), escape(outcome.prop)
    return (
        f'<article class="finding {outcome.status}" id="{_anchor(outcome)}">'
        f"<h3>{mark} {subject} <b>{prop}</b> <small>level {outcome.level}</small></h3><p>{escape(head)}</p>"
        + (f"<pre>{escape(example.strip())}</pre>" if example else "")
        + (f'<div class="replay"><code>{escape(command)}</code><button>copy</button></div>' if command else "")
        + "</article>"
    )


def _anchor(outcome: Outcome) -> str:
    return escape(f"{outcome.level}:{outcome.subject}:{outcome.prop}".replace(" ", "-"))


def _deviations(report: Report) -> str:
    rows = "".join(_deviation(outcome) for outcome in report.outcomes if outcome.deviations)
    if not rows:
        return ""
    return (
        '<section><h2>Declared deviations</h2><div class="scroll"><table><thead><tr><th>Subject</th><th>Property</th>'
        "<th>Kind</th><th>Dtypes</th><th>Reason</th><th>State</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _deviation(outcome: Outcome) -> str:
    return "".join(
        f"<tr><td>{escape(outcome.subject)}</td><td>{escape(outcome.prop)}</td><td>{escape(note.kind)}</td>"
        f"<td>{escape(', '.join(note.dtypes) or 'all')}</td><td>{escape(note.reason)}{_link(note.link)}</td>"
        f"<td>{_pill(outcome.status, outcome.status)}</td></tr>"
        for note in outcome.deviations
    )


def _link(link: str) -> str:
    if not link:
        return ""
    if link.startswith(("https://", "http://")):
        return f' <a href="{escape(link)}">{escape(link)}</a>'
    return f" ({escape(link)})"


# --- tables -----------------------------------------------------------------------------------------------------------


def _matrix(report: Report) -> str:
    """Ops by properties."""
    mine = [o for o in report.outcomes if o.kind == "op"]
    if not mine:
        return ""
    columns = _order(o.prop for o in mine)
    cells = {(o.subject, o.prop): o for o in mine}
    head = "".join(f'<th class="p">{escape(c)}</th>' for c in columns)
    rows = "".join(
        _row(subject, [cells.get((subject, c)) for c in columns]) for subject in sorted({o.subject for o in mine})
    )
    return (
        f'<section id="ops"><h2>Ops <em>{len({o.subject for o in mine})}</em></h2>{_filters()}'
        '<div class="scroll"><table class="matrix"><thead><tr><th>Op</th><th>Level</th>'
        f"{head}<th>Examples</th><th>Time</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _filters() -> str:
    options = "".join(f'<option value="{s}">{s}</option>' for s in _STATUSES)
    return (
        '<form class="filters"><input type="search" placeholder="op or topic" aria-label="filter by name">'
        f'<select aria-label="filter by status"><option value="">any status</option>{options}</select>'
        "<output></output></form>"
    )


def _order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _row(subject: str, outcomes: list[Outcome | None]) -> str:
    have = [o for o in outcomes if o is not None]
    states = " ".join(sorted({o.status for o in have}))
    cells = "".join(_cell(o) for o in outcomes)
    return (
        f'<tr data-name="{escape(subject)}" data-status="{states}"><th>{escape(subject)}</th>'
        f'<td class="n">{min(o.level for o in have)}</td>{cells}<td class="n">{sum(o.examples for o in have)}</td>'
        f'<td class="n">{sum(o.seconds for o in have):.2f} s</td></tr>'
    )


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return '<td class="none"></td>'
    told = f"{outcome.status}: {outcome.examples} examples, {outcome.seconds:.3f} s"
    told += f", {outcome.cut} cut" if outcome.cut else ""
    told += f"\n{outcome.message}" if outcome.message else ""
    sign = _SIGNS[outcome.status]
    content = sign if outcome.good else f'<a href="#{_anchor(outcome)}">{sign}</a>'
    return f'<td class="{outcome.status}" title="{escape(told)}">{content}<small>{outcome.examples}</small></td>'


def _checks(report: Report) -> str:
    """Checks of the backend as a whole, by level and topic."""
    mine = [o for o in report.outcomes if o.kind == "check"]
    if not mine:
        return ""
    rows = "".join(
        f'<tr data-name="{escape(o.subject)} {escape(o.prop)}" data-status="{o.status}"><td class="n">{o.level}</td>'
        f"<td>{escape(o.subject)}</td><th>{escape(o.prop.replace('_', ' '))}</th>"
        f'<td>{_pill(o.status, o.status)}</td><td class="n">{o.seconds:.2f} s</td></tr>'
        for o in mine
    )
    return (
        f'<section id="checks"><h2>Checks <em>{len(mine)}</em></h2><div class="scroll"><table><thead><tr>'
        "<th>Level</th><th>Topic</th><th>Check</th><th>Outcome</th><th>Time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _versions(report: Report) -> str:
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in report.versions.items())
    return f'<section><h2>Versions</h2><dl class="versions">{facts}</dl></section>'
