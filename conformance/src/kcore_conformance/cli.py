"""`kcore-conformance --backend NAME`: run the suite, print the report; exit status 0 when the top level is reached."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kcore_conformance.result import LEVELS, Outcome
from kcore_conformance.settings import SETTINGS, Selection


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    arguments = _parser().parse_args(argv)
    from kcore import plugin
    from kcore_conformance import report, runner

    for module in arguments.plugin:
        plugin.register(importlib.import_module(module))
    setting = SETTINGS["quick" if arguments.quick else "thorough" if arguments.thorough else "default"]
    show = _Progress() if sys.stderr.isatty() else None
    result = runner.run(arguments.backend, setting, Selection(arguments.level, arguments.ops), show)
    if show is not None:
        show.clear()
    print(report.terminal(result))
    if arguments.json is not None:
        report.write_json(result, arguments.json)
    return 0 if result.level >= arguments.level and not result.failures() else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kcore-conformance", description="Prove that a backend keeps kcore's contract."
    )
    parser.add_argument("--backend", required=True, help="the backend's name")
    parser.add_argument(
        "--level", type=int, default=max(LEVELS), choices=sorted(LEVELS), help="highest level to test (default all)"
    )
    parser.add_argument("--ops", help="only ops and topics whose name matches this pattern")
    parser.add_argument("--quick", action="store_true", help="few examples")
    parser.add_argument("--thorough", action="store_true", help="many examples")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE",
                        help="register the hooks of this module first (a backend that is not installed)")  # fmt: skip
    return parser


class _Progress:
    """One line that tells what runs, on a terminal."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.count = self.bad = 0

    def __call__(self, outcome: Outcome) -> None:
        self.count += 1
        self.bad += not outcome.good
        seconds = time.perf_counter() - self.start
        told = f"{self.count} properties, {self.bad} failed, {seconds:.0f} s"
        text = f"level {outcome.level}  {outcome.subject:<24.24} {told}"
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        sys.stderr.write("\r\033[K")


if __name__ == "__main__":
    sys.exit(main())
