"""The badge: "kcore conformance | level 7", as SVG."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from kcore_conformance.result import Report

#: Colours by level, from "does not load" to "all of it"; a run that stops at a lower level by wish gets its colour.
_COLOURS = ("#b42318", "#c4320a", "#c4320a", "#b54708", "#a15c07", "#4d7c0f", "#15803d", "#067647")
_NONE = "#b42318"

#: Widths of characters in Verdana 11, in pixels, for those that differ much from the usual 7.
_NARROW = {"i": 3.1, "l": 3.1, "I": 4.7, "t": 4.4, "f": 4.0, "j": 3.9, " ": 3.9, ",": 4.0, "r": 4.8, "m": 10.7}


def badge(report: Report) -> str:
    """The badge as an SVG document."""
    left, right = "kcore conformance", _says(report)
    a, b = _width(left) + 12, _width(right) + 12
    title = f"{report.backend}: {left}, {right}"
    colour = _COLOURS[min(report.level, len(_COLOURS) - 1)] if report.level >= 0 else _NONE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{a + b}" height="20" role="img" aria-label={quoteattr(title)}>'
        f"<title>{escape(title)}</title>"
        f'<clipPath id="r"><rect width="{a + b}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{a}" height="20" fill="#3f4651"/>'
        f'<rect x="{a}" width="{b}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{a / 2}" y="14" textLength="{a - 12}">{escape(left)}</text>'
        f'<text x="{a + b / 2}" y="14" textLength="{b - 12}">{escape(right)}</text></g></svg>\n'
    )


def _says(report: Report) -> str:
    text = f"level {report.level}" if report.level >= 0 else "no level"
    if report.failures():
        text += f", {len(report.failures())} failing"
    count = len(report.deviating())
    return f"{text}, {count} deviation{'s' * (count != 1)}" if count else text


def _width(text: str) -> int:
    return round(sum(_NARROW.get(c, 7.0) for c in text))


def write_badge(report: Report, path: Path) -> None:
    """Write the badge."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(badge(report), encoding="utf-8")
