"""`kcore inspect FILE`: what a model or weight file holds, and what in it is unsafe; nothing is built or run.

Exit status: 0 sound, 1 damaged, 2 usage (no such file), 3 something in it is unsafe or unknown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from kcore.errors import FileFormatError, KcoreError, MissingFileError, UnsafeFileError
from kcore.saving.description import Description, Finding, StoredArray

SOUND: Final = 0
DAMAGED: Final = 1
USAGE: Final = 2
UNSAFE: Final = 3

#: What a status is called in `--json`.
_WORDS: Final = {SOUND: "sound", DAMAGED: "damaged", USAGE: "missing", UNSAFE: "unsafe"}
_INDENT: Final = "  "


@dataclass(frozen=True)
class Report:
    """What was found out about one file.

    Attributes:
        file, size: name and bytes of the file.
        status: what the program ends with.
        error: why the file could not be described; then there is no description.
        findings: those of the format and those of the configurations.
    """

    file: str
    size: int = 0
    status: int = SOUND
    error: str = ""
    description: Description | None = None
    findings: Sequence[Finding] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `kcore inspect`."""
    parser.add_argument("file", metavar="FILE", help="a model, its weights, or an architecture, in any known format")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--weights", action="store_true", help="list every array with shape, dtype and size")


def run(options: argparse.Namespace) -> int:
    """Print the report of a file."""
    report = examine(options.file)
    if options.json:
        print(json.dumps(_as_data(report), indent=2, default=str))
    elif report.error:
        print(f"kcore: {report.error}", file=sys.stderr)
    else:
        for line in _lines(report, every_array=options.weights):
            print(_printable(line).rstrip())
    return report.status


def examine(path: str) -> Report:
    """What there is to say about a file; errors are part of the report."""
    from kcore.saving import describe, overview

    size = os.path.getsize(path) if os.path.isfile(path) else 0
    try:
        description = describe(path)
        findings = [*description.findings, *overview.findings(description.config, description.training)]
        list(overview.rows(description.config))
    except UnsafeFileError as error:
        return Report(path, size, UNSAFE, str(error))
    except MissingFileError as error:
        return Report(path, size, USAGE, str(error))
    except RecursionError:
        return Report(path, size, DAMAGED, f"{path!r} is damaged: its configuration is nested too deeply.")
    except (FileFormatError, KcoreError) as error:
        return Report(path, size, DAMAGED, str(error))
    return Report(path, size, UNSAFE if findings else SOUND, "", description, findings)


# --- for programs -----------------------------------------------------------------------------------------------------


def _as_data(report: Report) -> dict[str, Any]:
    from kcore.saving import overview

    data: dict[str, Any] = {"file": report.file, "bytes": report.size, "status": _WORDS[report.status]}
    if report.error or report.description is None:
        return {**data, "error": report.error}
    told = report.description
    return {
        **data,
        "format": told.format,
        "versions": dict(told.versions),
        "model": _model_name(told.config),
        "layers": [asdict(row) for row in overview.rows(told.config)],
        "inputs": overview.ends(told.config, "input"),
        "outputs": overview.ends(told.config, "output"),
        "parameters": sum(array.size for array in told.weights),
        "weights": [{**asdict(array), "bytes": array.bytes} for array in told.weights],
        "training": told.training,
        "optimizer": [{**asdict(array), "bytes": array.bytes} for array in told.optimizer],
        "findings": [asdict(finding) for finding in report.findings],
        "config": told.config,
    }


# --- for people -------------------------------------------------------------------------------------------------------


def _lines(report: Report, *, every_array: bool) -> Iterable[str]:
    told = report.description
    assert told is not None
    yield f"{os.path.basename(report.file)}: {told.format}, {_size(report.size)}"
    if told.versions:
        writers = [f"{name.removesuffix('_version')} {version}" for name, version in told.versions.items()]
        yield f"Written by: {', '.join(writers)}"
    yield ""
    yield from _architecture(told) if told.config is not None else _layers_of_weights(told)
    yield from _totals(told)
    if told.training is not None:
        yield from _training(told.training)
    if every_array:
        yield ""
        yield from _array_table([*told.weights, *told.optimizer])
    yield ""
    if not report.findings:
        yield "Nothing unsafe or unknown was found."
        return
    yield "Unsafe or unknown:"
    for finding in report.findings:
        yield f"{_INDENT}{finding.where}: {finding.what}"


def _model_name(config: Any) -> dict[str, str] | None:
    if not isinstance(config, Mapping):
        return None
    inside = config.get("config")
    name = inside.get("name") if isinstance(inside, Mapping) else None
    return {"class_name": str(config.get("class_name", "?")), "name": str(name or "?")}


def _architecture(told: Description) -> Iterable[str]:
    from kcore.saving import overview

    model = _model_name(told.config) or {"class_name": "?", "name": "?"}
    counts = _parameters(told.weights)
    rows = list(overview.rows(told.config))
    branches = not _is_chain([row.inputs for row in rows if row.depth == 0], [r.name for r in rows if r.depth == 0])
    table = [["Layer (type)", "Input shape", "Params", "Settings", *(["Connected to"] if branches else [])]]
    for row in rows:
        own = counts.get(row.name) if row.depth == 0 else None
        settings = ", ".join(f"{key}={_short(value)}" for key, value in row.settings.items())
        table.append([
            f"{_INDENT * row.depth}{row.name} ({row.kind})",
            "" if row.shape is None else _short(row.shape),
            f"{own:,}" if own else "",
            settings,
            *([", ".join(row.inputs)] if branches else []),
        ])  # fmt: skip
    yield f'Model "{model["name"]}" ({model["class_name"]})'
    yield from _columns(table)
    yield ""
    for which in ("input", "output"):
        yield f"{which.capitalize()}s: {', '.join(overview.ends(told.config, which)) or 'not said'}"


def _is_chain(inputs: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether each layer takes the outputs of the one before it, or the configuration does not say."""
    before = [[], *([name] for name in names[:-1])]
    return all(list(own) in ([], expected) for own, expected in zip(inputs, before, strict=True))


def _layers_of_weights(told: Description) -> Iterable[str]:
    arrays = Counter(array.owner for array in told.weights)
    table = [["Layer", "Arrays", "Params"]]
    table += [[name, str(arrays[name]), f"{count:,}"] for name, count in _parameters(told.weights).items()]
    yield "Weights alone, without an architecture"
    yield from _columns(table)
    yield ""


def _totals(told: Description) -> Iterable[str]:
    if told.weights or told.config is None:
        yield f"Weights: {_counted(told.weights)}"
    else:
        yield "Weights: none in this file"
    if told.optimizer:
        yield f"Optimizer state: {_counted(told.optimizer)}"


def _training(training: Any) -> Iterable[str]:
    if not isinstance(training, Mapping):
        yield f"Training configuration: {_short(training)}"
        return
    optimizer = training.get("optimizer_config", training.get("optimizer"))
    if isinstance(optimizer, Mapping):
        inside = optimizer.get("config")
        settings = ", ".join(
            f"{key}={_short(value)}" for key, value in (inside.items() if isinstance(inside, Mapping) else ())
        )
        yield f"Optimizer: {optimizer.get('class_name', '?')}({settings})"
    elif optimizer is not None:
        yield f"Optimizer: {_short(optimizer)}"
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics", "sample_weight_mode"):
        if training.get(key):
            yield f"{key.replace('_', ' ').capitalize()}: {_listed(_named(training[key]))}"


def _named(nest: Any) -> Any:
    """A nest in which objects are their names alone."""
    if isinstance(nest, Mapping):
        if "class_name" in nest:
            return nest["class_name"]
        return {key: _named(value) for key, value in nest.items()}
    return [_named(value) for value in nest] if isinstance(nest, (list, tuple)) else nest


def _listed(nest: Any) -> str:
    """Names one after the other; by output where there are several."""
    if isinstance(nest, Mapping):
        return "; ".join(f"{key}: {_listed(value)}" for key, value in nest.items())
    return ", ".join(map(_listed, nest)) if isinstance(nest, list) else _short(nest)


def _array_table(arrays: Sequence[StoredArray]) -> Iterable[str]:
    rows = [[array.name, str(array.shape), array.dtype, _size(array.bytes)] for array in arrays]
    return _columns([["Array", "Shape", "Dtype", "Size"], *rows])


def _parameters(arrays: Iterable[StoredArray]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for array in arrays:
        counts[array.owner] += array.size
    return counts


def _counted(arrays: Sequence[StoredArray]) -> str:
    values = sum(array.size for array in arrays)
    return f"{values:,} values in {len(arrays)} arrays ({_size(sum(array.bytes for array in arrays))})"


def _columns(table: Sequence[Sequence[str]]) -> Iterable[str]:
    table = [[_short(cell) for cell in row] for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for i, row in enumerate(table):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        if i == 0:
            yield "  ".join("-" * width for width in widths)


def _short(value: Any, limit: int = 60) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _printable(text: str) -> str:
    """A line without control characters: a file does not write to the terminal what it likes."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
