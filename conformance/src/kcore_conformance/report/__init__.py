"""Reports of a run: a terminal summary, JSON, one self-contained HTML page, an SVG badge.

What a report says is in `result.Report`; the rooms here only lay it out.
"""

from kcore_conformance.report.badge import badge, write_badge
from kcore_conformance.report.data import write_counterexamples, write_json
from kcore_conformance.report.html import page, write_html
from kcore_conformance.report.terminal import terminal, verdict

__all__ = [
    "badge", "page", "terminal", "verdict", "write_badge", "write_counterexamples", "write_html", "write_json",
]  # fmt: skip
