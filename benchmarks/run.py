"""Command line of the benchmarks: `python -m benchmarks.run --backend torch --quick` (see README.md)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: make the room importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.import_time import ImportTime, import_times
from benchmarks.measure import FULL, QUICK, Row, Settings, measure_workload
from benchmarks.models import WORKLOADS
from benchmarks.runner import MEASURES
from benchmarks.table import CONTENDERS, as_json, import_table, results_table
from benchmarks.worker import NATIVE
from benchmarks.workers import Worker, WorkerError

BACKENDS = tuple(NATIVE)


def start_workers(
    stack: contextlib.ExitStack, backend: str, arguments: argparse.Namespace
) -> tuple[dict[str, Worker], dict[str, str], dict[str, str]]:
    """Start all contenders: those that greet, the reasons of those that do not, the versions."""
    workers: dict[str, Worker] = {}
    missing = {name: "not asked for" for name in CONTENDERS if name not in arguments.contenders}
    versions: dict[str, str] = {}
    for name in arguments.contenders:
        worker = stack.enter_context(Worker(name, backend, arguments.threads, arguments.native_tuned))
        try:
            versions[name] = worker.hello()["version"]
            workers[name] = worker
        except WorkerError as error:
            missing[name] = str(error)
    return workers, missing, versions


def run_backend(backend: str, arguments: argparse.Namespace, settings: Settings) -> tuple[list[Row], dict[str, str]]:
    """All workloads on one backend, with progress on stderr."""
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        workers, missing, versions = start_workers(stack, backend, arguments)
        for name, reason in missing.items():
            print(f"{backend}: {name}: {reason}", file=sys.stderr)
        for workload in arguments.models:
            print(f"{backend}: {workload} ...", file=sys.stderr, flush=True)
            rows += measure_workload(backend, workload, workers, missing, settings, arguments.measures)
    return rows, versions


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--backend", choices=BACKENDS)
    which.add_argument("--all", action="store_true", help="all backends, in one table (the default)")
    parser.add_argument("--models", nargs="+", choices=tuple(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="number of rounds, instead of the setting's")
    parser.add_argument("--threads", type=int, default=2, help="threads of every contender (default 2)")
    parser.add_argument("--native-tuned", action="store_true", help="native loops with fused Adam, XLA")
    parser.add_argument("--no-imports", action="store_true", help="leave out the import times")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON file."""
    arguments = parse(argv)
    settings = QUICK if arguments.quick else FULL
    if arguments.rounds:
        settings = Settings(arguments.rounds, settings.block_s)
    rows: list[Row] = []
    versions: dict[str, dict[str, str]] = {}
    backends = (arguments.backend,) if arguments.backend else BACKENDS
    for backend in backends:
        measured, versions[backend] = run_backend(backend, arguments, settings)
        rows += measured
    repeats = 5 if arguments.quick else 15
    times: list[ImportTime] = []
    if not arguments.no_imports:
        times = import_times(repeats, backends[0], arguments.threads)
    print(headline(arguments.threads, settings, versions), results_table(rows), sep="\n\n")
    if times:
        print("", import_table(times), sep="\n")
    if arguments.json:
        described = {"threads": arguments.threads, "rounds": settings.rounds, "block_s": settings.block_s,
                     "native_tuned": arguments.native_tuned, "cpus": os.cpu_count(), "system": platform.system(),
                     "machine": platform.machine(), "python": platform.python_version()}  # fmt: skip
        arguments.json.write_text(json.dumps(as_json(rows, times, described, versions), indent=1) + "\n")
    return 0


def headline(threads: int, settings: Settings, versions: dict[str, dict[str, str]]) -> str:
    """One line about the conditions of the run."""
    known = {
        backend if name == "native" else name: version
        for backend, found in versions.items()
        for name, version in found.items()
    }
    listed = ", ".join(f"{name} {version}" for name, version in sorted(known.items()))
    return (
        f"CPU, {threads} threads, Python {platform.python_version()}; {listed or 'nothing installed'}; "
        f"median of {settings.rounds} interleaved rounds (ratio: middle half of the rounds in brackets)."
    )


if __name__ == "__main__":
    sys.exit(main())
