"""The results as a markdown table and as JSON. Pure functions on rows of `measure`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.import_time import ImportTime
from benchmarks.measure import Cell, Row
from benchmarks.models import WORKLOADS
from benchmarks.stats import Ratio, ratio

CONTENDERS = ("native", "kcore", "keras3")
TITLES = {"native": "native", "kcore": "kcore", "keras3": "Keras 3"}
MEASURE_TITLES = {
    "step": "train step",
    "train_on_batch": "train_on_batch",
    "fit": "fit, one epoch",
    "predict_one": "predict one",
}
STEP_TARGETS = {"mlp": 1.05, "convnet": 1.05, "tiny_mlp": 1.3, "lstm": 1.2}
FIT_TARGET = 1.15
PREDICT_ONE_TARGET = 3.0
IMPORT_TARGET_S = 0.3
HEADER = (
    "backend", "workload", "measure", "native ms", "kcore ms", "Keras 3 ms",
    "kcore/native", "kcore/Keras 3", "target",
)  # fmt: skip


def target(workload: str, measure: str) -> float | None:
    """The largest kcore/native ratio that the project wants; None where it sets none."""
    if measure == "step":
        return STEP_TARGETS[workload]
    return {"fit": FIT_TARGET, "predict_one": PREDICT_ONE_TARGET}.get(measure)


def milliseconds(cell: Cell) -> str:
    """A cell's median, three digits; or why there is none."""
    if not cell.samples:
        return cell.error or "not measured"
    value = statistics.median(cell.samples) * 1e3
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio_text(value: Ratio | None) -> str:
    """`1.03 (0.99-1.08)`: ratio of medians, middle half of the rounds."""
    return "-" if value is None else f"{value.value:.2f} ({value.low:.2f}-{value.high:.2f})"


def verdict(row: Row) -> str:
    """The target and whether this run met it; the train step must also be faster than Keras 3."""
    limit = target(row.workload, row.measure)
    if limit is None:
        return ""
    native, keras3 = ratios(row)
    if native is None:
        return f"<= {limit}"
    missed = ["native"] if native.value > limit else []
    if row.measure == "step" and keras3 is not None and keras3.value >= 1:
        missed.append("Keras 3")
    return f"<= {limit} " + (f"MISSED ({', '.join(missed)})" if missed else "met")


def ratios(row: Row) -> tuple[Ratio | None, Ratio | None]:
    """kcore against native and against Keras 3."""
    ours = row.cells["kcore"].samples
    return ratio(ours, row.cells["native"].samples), ratio(ours, row.cells["keras3"].samples)


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """An aligned markdown table."""
    table = [list(header), *[[cell.replace("|", "/") for cell in line] for line in lines]]
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]

    def text(line: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"

    rows = [text(line) for line in table]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([rows[0], rule, *rows[1:]])


def results_table(rows: Sequence[Row]) -> str:
    """One line a row: milliseconds of every contender, the two ratios, the target."""
    lines = []
    for row in rows:
        native, keras3 = ratios(row)
        lines.append([
            row.backend, WORKLOADS[row.workload].title, MEASURE_TITLES[row.measure],
            *(milliseconds(row.cells[name]) for name in CONTENDERS),
            ratio_text(native), ratio_text(keras3), verdict(row),
        ])  # fmt: skip
    return markdown(HEADER, lines)


def import_table(times: Sequence[ImportTime]) -> str:
    """Import times: of the whole process, and less a bare `import numpy`."""
    bare = next((t.median for t in times if t.module == "numpy"), None)
    lines = []
    for entry in times:
        if entry.median is None:
            lines.append([f"import {entry.module}", entry.error, "", ""])
            continue
        extra = "" if bare is None or entry.module == "numpy" else f"{(entry.median - bare) * 1e3:.0f}"
        wanted = f"< {IMPORT_TARGET_S * 1e3:.0f}" if entry.module == "kcore" else ""
        if wanted:
            wanted += " met" if entry.median < IMPORT_TARGET_S else " MISSED"
        lines.append([f"import {entry.module}", f"{entry.median * 1e3:.0f}", extra, wanted])
    return markdown(("import", "process ms", "more than numpy ms", "target"), lines)


def as_json(
    rows: Sequence[Row],
    times: Sequence[ImportTime],
    settings: dict[str, Any],
    versions: dict[str, dict[str, str]],
) -> dict[str, Any]:
    """Everything that was measured, samples included."""
    return {
        "settings": settings,
        "versions": versions,
        "rows": [row_json(row) for row in rows],
        "imports": [asdict(entry) | {"median": entry.median} for entry in times],
    }


def row_json(row: Row) -> dict[str, Any]:
    """A row with its samples in seconds, medians and ratios."""
    native, keras3 = ratios(row)
    return {
        "backend": row.backend,
        "workload": row.workload,
        "measure": row.measure,
        "target": target(row.workload, row.measure),
        "kcore_to_native": None if native is None else asdict(native),
        "kcore_to_keras3": None if keras3 is None else asdict(keras3),
        "contenders": {
            name: asdict(cell) | {"median": statistics.median(cell.samples) if cell.samples else None}
            for name, cell in row.cells.items()
        },
    }
