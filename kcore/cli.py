"""The command line: `python -m kcore COMMAND ...` and `python -m kcore script.py ...`.

A command is one row of `COMMANDS`. Whatever is not a command is a script, run with `keras` and
`tensorflow.keras` answered by kcore. Commands look at the core from outside; nothing imports this module.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from kcore import aliases, config, plugin
from kcore.errors import KcoreError
from kcore.version import __version__

# --- backends -------------------------------------------------------------------------------------

# In front of the one line of a probe's output that counts: frameworks print what they like.
_PROBE_MARK: Final = "kcore-probe:"
_HEADER: Final = ("", "NAME", "VERSION", "FRAMEWORK", "DEVICES", "CONFORMANCE", "CAPABILITIES")


def _facts(capabilities: Any) -> dict[str, Any]:
    """Turn a declaration of capabilities (mapping, dataclass or collection of names) into a dict."""
    if isinstance(capabilities, Mapping):
        return dict(capabilities)
    if dataclasses.is_dataclass(capabilities) and not isinstance(capabilities, type):
        return {field.name: getattr(capabilities, field.name) for field in dataclasses.fields(capabilities)}
    if isinstance(capabilities, Iterable) and not isinstance(capabilities, str):
        return dict.fromkeys(map(str, capabilities), True)
    return {}


def _fact_text(name: str, value: Any) -> str:
    if value is True:
        return name
    if isinstance(value, (set, frozenset)):
        value = sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        value = "+".join(map(str, value))
    return f"{name}={value}"


def _probe_here(name: str) -> dict[str, Any]:
    """Load a backend in this process and say what it sees."""
    try:
        backend = plugin.load(name)
        devices = getattr(backend, "devices", ())
        devices = devices() if callable(devices) else devices
        facts = _facts(getattr(backend, "capabilities", None))
        texts = [_fact_text(key, value) for key, value in facts.items() if value not in (False, None, "")]
        return {"devices": [str(device) for device in devices], "capabilities": texts}
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
        declared = [
            _fact_text(key, value) for key, value in info.capabilities.items() if value not in (False, None)
        ]
        record |= {
            "version": info.version,
            "framework": _framework(info),
            "description": info.description,
            "conformance": info.conformance,
            "capabilities": [
                *declared,
                *(text for text in probe.get("capabilities", []) if text not in declared),
            ],
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


def _add_backends(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of a table")
    parser.add_argument(
        "--no-load", action="store_true", help="do not load the frameworks; devices stay unknown"
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds to wait for each backend (default 120)"
    )
    parser.add_argument("--probe", metavar="NAME", help=argparse.SUPPRESS)


def _run_backends(options: argparse.Namespace) -> int:
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


# --- scripts --------------------------------------------------------------------------------------


def run_script(path: str, arguments: Sequence[str]) -> int:
    """Run a script as `python path arguments...` would, with Keras imports answered by kcore."""
    if not os.path.exists(path):
        known = ", ".join(command.name for command in COMMANDS)
        print(f"kcore: {path!r} is neither a command ({known}) nor a file.", file=sys.stderr)
        return 2
    aliases.install()
    sys.argv = [path, *arguments]
    # `python script.py` puts the script's folder first; `python -m` has put the current one there.
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.abspath(path))
    runpy.run_path(path, run_name="__main__")
    return 0


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module as `python -m name arguments...` would, with Keras imports answered by kcore."""
    aliases.install()
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


# --- dispatch -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A subcommand: its name and help, how it adds its options, and what it does (returns an exit status)."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: Final = (Command("backends", "list the installed backends", _add_backends, _run_backends),)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kcore",
        description="Run a Keras 2 script on kcore, or one of the commands below.",
        epilog="python -m kcore script.py [args]   run a script; `import keras` gives kcore\n"
        "python -m kcore -m module [args]   the same for a module",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kcore {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        command.add_options(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Everything after a script's name belongs to the script, so the first word decides before argparse looks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) > 1 and words[0] == "-m":
        return run_module(words[1], words[2:])
    if words and not words[0].startswith("-") and words[0] not in {command.name for command in COMMANDS}:
        return run_script(words[0], words[1:])
    options = _parser().parse_args(words)
    try:
        return int(options.run(options))
    except KcoreError as error:
        print(f"kcore: {error}", file=sys.stderr)
        return 1
