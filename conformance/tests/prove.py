"""`make proof`: the whole default suite, as a user would run it, on every planted fault; prints the table.

    python conformance/tests/prove.py                      # every fault, in two processes
    python conformance/tests/prove.py --sample 15 --seed 1 # some, by chance
    python conformance/tests/prove.py -k "LSTM|mask"       # by name or category

A run ends at its first failure: what comes after cannot make the fault escape. `--complete` goes on and counts them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

Found = list[tuple[Any, Any]]


def prove(at: int, complete: bool = False) -> tuple[int, Any, int, int, float]:
    """One fault under the whole default suite: its number, the first failure, failures, examples tried, seconds."""
    import faults

    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        report = faults.run(faults.all_faults()[at].backend(), None, 7, first=not complete)
    failures = report.failures()
    return at, failures[0] if failures else None, len(failures), report.examples, time.perf_counter() - start


def table(found: Sequence[tuple[Any, Any]]) -> str:
    """One line a fault: category, name, and what caught it; the rate at the end."""
    lines = [f"{'category':<30.30} {'backend':<7} {'fault':<48.48} {'caught by':<62} examples"]
    for fault, outcome in sorted(found, key=lambda f: (f[0].category, f[0].base, f[0].name)):
        by = "ESCAPED" if outcome is None else f"level {outcome.level}  {outcome.subject}: {outcome.prop}"
        tried = "" if outcome is None else str(outcome.examples)
        lines.append(f"{fault.category:<30.30} {fault.base:<7} {fault.name:<48.48} {by:<62.62} {tried:>8}")
    caught = sum(outcome is not None for _, outcome in found)
    kinds = len({fault.category for fault, _ in found})
    if found:
        lines.append(f"{caught} of {len(found)} faults of {kinds} kinds caught: {100 * caught / len(found):.1f} %")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit status is 0 when at least 95 % are caught and sound backends pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="PATTERN", help="only faults whose name, category, target or backend match")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the chance")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--complete", action="store_true", help="do not stop at the first failure")
    arguments = parser.parse_args(argv)
    import faults

    rows = faults.all_faults()
    chosen = [i for i, f in enumerate(rows) if arguments.k is None or re.search(
        arguments.k, f"{f.name} {f.category} {f.target} {f.base}")]  # fmt: skip
    if arguments.sample is not None:
        chosen = sorted(random.Random(arguments.seed).sample(chosen, min(arguments.sample, len(chosen))))
    found: Found = []
    # Each fault has a process of its own: what one leaves behind cannot hide or show another.
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=1) as pool:
        tasks = [pool.apply_async(prove, (i, arguments.complete)) for i in chosen]
        for task in tasks:
            at, outcome, failures, examples, seconds = task.get()
            found.append((rows[at], outcome))
            by = f"{outcome.subject}: {outcome.prop}" if outcome is not None else "ESCAPED"
            told = f", {failures} failures" if arguments.complete else ""
            print(f"{rows[at].base}: {rows[at].name}: {by} ({examples} examples{told}, {seconds:.0f} s)", flush=True)
    print(table(found))
    return 0 if sum(outcome is not None for _, outcome in found) >= 0.95 * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
