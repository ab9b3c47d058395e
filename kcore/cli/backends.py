"""`kcore backends`: what is installed, and what it sees on this machine.

Each backend is loaded in a process of its own, so that one that crashes is a line of the table like another.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from kcore import config, plugin
from kcore.errors import KcoreError

# In front of the one line of a probe's output that counts: frameworks print what they like.
_PROBE_MARK: Final = "kcore-probe:"
_HEADER: Final = ("", "NAME", "VERSION", "FRAMEWORK", "DEVICES", "CONFORMANCE", "CAPABILITIES")


def _facts(capabilities: Any) -> dict[str, Any]:
    """Turn a declaration of capabilities (mapping, dataclass or collection of names) into a dict."""
    if isinstance(capabilities, Mapping):
        return dict(capabilities)
    if dataclasses.is_dataclass(capabilities) and not isinstance(capabilities, type):
        facts = {field.name: getattr(capabilities, field.name) for field in dataclasses.fields(capabilities)}
        return facts | dict(facts.pop("extra", {}))
    if isinstance(capabilities, Iterable) and not isinstance(capabilities, str):
        return dict.fromkeys(map(str, capabilities), True)
    return {}


def _fact_text(name: str, value: Any) -> str:
    if value is True:
        return name
    if isinstance(value, Mapping):
        value = [f"{key}:{meaning}" for key, meaning in value.items()]
    if isinstance(value, (set, frozenset)):
        value = sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        value = "+".join(map(str, value))
    return f"{name}={value}"


def _told(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts that say something, as texts by name."""
    return {
        name: _fact_text(name, value)
        for name, value in facts.items()
        if value not in (False, None, "") and not (hasattr(value, "__len__") and not len(value))
    }


def _probe_here(name: str) -> dict[str, Any]:
    """Load a backend in this process and say what it sees."""
    try:
        backend = plugin.load(name)
        devices = getattr(backend, "devices", ())
        devices = devices() if callable(devices) else devices
        facts = _told(_facts(getattr(backend, "capabilities", None)))
        return {"devices": [str(device) for device in devices], "capabilities": facts}
    except Exception as error:  # noqa: BLE001 - the list must show whatever a plug-in raises
        text = str(error) if isinstance(error, KcoreError) else f"{type(error).__name__}: {error}"
        return {"error": text}


def _probe(name: str, timeout: float) -> dict[str, Any]:
    """Ask a child process to load the backend: a framework that crashes takes only the child with it."""
    command = [sys.executable, "-m", "kcore", "backends", "--probe", name]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": f"could not be probed: {error}"}
    for line in reversed(child.stdout.splitlines()):
        if line.startswith(_PROBE_MARK):
            answer: dict[str, Any] = json.loads(line[len(_PROBE_MARK) :])
            return answer
    last = child.stderr.strip().splitlines()[-1:] or ["no output"]
    return {"error": f"loading it ended the process with status {child.returncode}: {last[0]}"}


def _framework(info: plugin.BackendInfo) -> str:
    found = info.installed_framework()
    return " ".join(found) if found else f'missing: pip install "{info.requires}"'


def _record(listed: plugin.ListedBackend, probe: Mapping[str, Any]) -> dict[str, Any]:
    """What is known about one backend, ready for JSON or for a row of the table."""
    info = listed.info
    record: dict[str, Any] = {
        "name": listed.name,
        "source": listed.source,
        "error": listed.error or probe.get("error"),
        "devices": probe.get("devices"),
    }
    if info is not None:
        # What the plug-in declares counts before what the backend shows of the same name.
        capabilities = _told(info.capabilities)
        capabilities |= {k: v for k, v in probe.get("capabilities", {}).items() if k not in capabilities}
        record |= {
            "version": info.version,
            "framework": _framework(info),
            "description": info.description,
            "conformance": info.conformance,
            "capabilities": list(capabilities.values()),
        }
    return record


def _row(record: Mapping[str, Any], chosen: str | None) -> tuple[str, ...]:
    devices = record["devices"]
    level = record.get("conformance")
    return (
        "*" if record["name"] == chosen else "",
        record["name"],
        record.get("version", "?"),
        record.get("framework", "?"),
        "?" if devices is None else ", ".join(devices),
        "?" if level is None else f"level {level}",
        ", ".join(record.get("capabilities", [])),
    )


def _print_table(records: Sequence[Mapping[str, Any]], chosen: str | None) -> None:
    rows = [_HEADER, *(_row(record, chosen) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).strip("\n").rstrip()
        )
    for record in records:
        if record["error"]:
            print(f"\n{record['name']}: {record['error']}")


def _chosen() -> tuple[str | None, str]:
    """The backend that settings ask for, and the line under the table."""
    try:
        choice = config.backend_choice()
        name = plugin.canonical_name(choice.name)
    except KcoreError as error:
        return None, f"No usable default: {error}"
    return name, f"* the default, by {choice.source}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `kcore backends`."""
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of a table")
    parser.add_argument(
        "--no-load", action="store_true", help="do not load the frameworks; devices stay unknown"
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds to wait for each backend (default 120)"
    )
    parser.add_argument("--probe", metavar="NAME", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """List the backends, loading each one unless told not to."""
    if options.probe:
        print(_PROBE_MARK + json.dumps(_probe_here(options.probe)))
        return 0
    listing = plugin.catalogue()
    loadable = [] if options.no_load else [one.name for one in listing if one.info is not None]
    with ThreadPoolExecutor(max_workers=2) as pool:
        probes = dict(
            zip(loadable, pool.map(lambda name: _probe(name, options.timeout), loadable), strict=True)
        )
    records = [_record(one, probes.get(one.name, {})) for one in listing]
    if options.json:
        print(json.dumps(records, indent=2, default=str))
        return 0
    chosen, line = _chosen()
    _print_table(records, chosen)
    print(f"\n{line}")
    return 0
