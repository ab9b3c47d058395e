"""`kcore-conformance --backend NAME`: run the suite, print the report; exit status 0 when the top level is reached."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kcore.errors import KcoreError
from kcore_conformance.plan import selects
from kcore_conformance.progress import Bar, Lines
from kcore_conformance.registry import top_level
from kcore_conformance.settings import SETTINGS, Selection

#: Worker processes when nothing is said: each holds a whole framework in memory.
_MOST_JOBS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    _check(parser, arguments)
    try:
        return _replay(arguments) if arguments.replay is not None else _run(arguments)
    except KcoreError as error:
        print(f"kcore-conformance: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kcore-conformance: interrupted", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    from kcore_conformance import report, runner

    _register(arguments.plugin)
    show = Lines(sys.stderr) if arguments.verbose else Bar(sys.stderr) if sys.stderr.isatty() else None
    options = runner.Options(
        jobs=arguments.jobs or min(os.cpu_count() or 1, _MOST_JOBS), plugins=tuple(arguments.plugin),
        budget=arguments.budget, strict=arguments.strict, timeout=arguments.timeout,
    )  # fmt: skip
    setting = SETTINGS["quick" if arguments.quick else "thorough" if arguments.thorough else "default"]
    try:
        result = runner.run(arguments.backend, setting, Selection(arguments.level, arguments.ops), show, options)
    finally:
        if show is not None:
            show.clear()
    print(report.terminal(result, failures=arguments.failures))
    for write, path in (
        (report.write_json, arguments.json), (report.write_html, arguments.html),
        (report.write_badge, arguments.badge), (report.write_counterexamples, arguments.counterexamples),
    ):  # fmt: skip
        if path is not None:
            write(result, path)
    return 0 if result.passed() else 1


def _replay(arguments: argparse.Namespace) -> int:
    from kcore.backend import active
    from kcore_conformance import replay
    from kcore_conformance.rerun import rerun

    _register(arguments.plugin)
    examples = replay.read(arguments.replay)
    good = 0
    with active.backend_scope(arguments.backend) as backend:
        for example in examples:
            holds, text = rerun(example, backend)
            good += holds
            print(text)
    if len(examples) != 1:
        print(f"{len(examples)} examples: {len(examples) - good} fail")
    return 0 if good == len(examples) else 1


def _register(modules: Sequence[str]) -> None:
    from kcore import plugin

    for module in modules:
        plugin.register(importlib.import_module(module))


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse a pattern that is none, or that selects nothing: a run of nothing would look like a success."""
    if arguments.ops is None or arguments.replay is not None:
        return
    try:
        found = selects(Selection(arguments.level, arguments.ops))
    except re.error as error:
        parser.error(f"--ops {arguments.ops!r} is no regular expression: {error}")
    if not found:
        parser.error(f"--ops {arguments.ops!r} matches no op and no topic up to level {arguments.level}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kcore-conformance", description="Prove that a backend keeps kcore's contract.",
        epilog="The exit status is 0 when the top level is reached and nothing failed, 1 when not, 2 for wrong usage.",
    )  # fmt: skip
    parser.add_argument("--backend", required=True, help="the backend's name")
    parser.add_argument("--plugin", action="append", default=[], metavar="MODULE",
                        help="register the hooks of this module first (a backend that is not installed)")  # fmt: skip
    what = parser.add_argument_group("what is run")
    what.add_argument("--level", type=int, default=top_level(), choices=range(top_level() + 1), metavar="N",
                      help=f"highest level to test (default {top_level()})")  # fmt: skip
    what.add_argument("--ops", metavar="PATTERN", help="only ops and topics whose name matches this regular expression")
    size = what.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="few examples, at most 2 minutes")
    size.add_argument("--thorough", action="store_true", help="many examples")
    what.add_argument("--strict", action="store_true", help="accept declared deviations of kind 'upstream' only")
    what.add_argument("--replay", metavar="TOKEN|FILE",
                      help="run only this counter-example, LEVEL:SUBJECT:PROPERTY, or a report's failures")  # fmt: skip
    how = parser.add_argument_group("how it is run")
    how.add_argument("--jobs", type=_positive, metavar="N", help=(
        f"worker processes (default: one a core, at most {_MOST_JOBS}); 1 runs all in this process"))  # fmt: skip
    how.add_argument("--budget", type=float, metavar="SECONDS", help=(
        "time for the run: examples beyond a minimum are cut to keep it (default: the setting's, "
        f"{', '.join(f'{s.name} {s.seconds:.0f}' for s in SETTINGS.values())})"))  # fmt: skip
    how.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS",
                     help="time that a worker may take for one property (default 300)")  # fmt: skip
    how.add_argument("--verbose", action="store_true", help="print each outcome")
    told = parser.add_argument_group("reports")
    told.add_argument("--failures", type=int, default=20, metavar="N", help="failures to print in full (default 20)")
    told.add_argument("--json", type=Path, metavar="FILE", help="every outcome as JSON")
    told.add_argument("--html", type=Path, metavar="FILE", help="one self-contained page")
    told.add_argument("--badge", type=Path, metavar="FILE", help="an SVG badge with the level")
    told.add_argument("--counterexamples", type=Path, metavar="FOLDER", help="a file for each failure, for --replay")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
