"""The report as JSON (docs/conformance.md describes its layout), and counter-examples as files."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kcore_conformance.replay import read
from kcore_conformance.result import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")


def write_counterexamples(report: Report, folder: Path) -> list[Path]:
    """Write each failure's counter-example as a file that `--replay` takes; returns the files."""
    written = []
    for outcome in report.outcomes:
        if outcome.replay:
            name = re.sub(r"[^\w.-]+", "-", f"{outcome.level}-{outcome.subject}-{outcome.prop}") + ".json"
            folder.mkdir(parents=True, exist_ok=True)
            data = {**read(outcome.replay)[0].as_dict(), "backend": report.backend, "message": outcome.message}
            (folder / name).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
            written.append(folder / name)
    return written
