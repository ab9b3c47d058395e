"""What one sees of a run while it runs: a bar on a terminal, or a line per outcome with --verbose."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import TextIO

from kcore_conformance.plan import Unit
from kcore_conformance.result import Outcome

_WIDTH = 24
_PARTS = " ▏▎▍▌▋▊▉"

#: Seconds between two drawings.
_EVERY = 0.1


class Bar:
    """One line that is drawn again and again: bar, turn, level, subject, failures, time left.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.turn = self.total = self.done = self.bad = 0
        self.began = self.drawn = 0.0

    def planned(self, units: Sequence[Unit]) -> None:
        """Begin a turn."""
        self.turn += 1
        self.total, self.done = len(units), 0
        self.began = time.perf_counter()

    def finished(self, unit: Unit, outcome: Outcome | None) -> None:
        """Count a unit and draw the line."""
        self.done += 1
        self.bad += outcome is not None and not outcome.good
        now = time.perf_counter()
        if now - self.drawn >= _EVERY or self.done == self.total:
            self.drawn = now
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\033[K{self.line(unit, now)[:width]}")
            self.stream.flush()

    def line(self, unit: Unit, now: float) -> str:
        """The line after this unit."""
        part = self.done / max(self.total, 1)
        left = (now - self.began) * (1 - part) / max(part, 1e-9)
        more = f", turn {self.turn}" if self.turn > 1 else ""
        failed = f"{self.bad} failed, " if self.bad else ""
        return (
            f"{drawn(part)} {self.done}/{self.total}{more}  {failed}{clock(left)} left  "
            f"level {unit.level} {unit.subject} {unit.prop}"
        )

    def clear(self) -> None:
        """Remove the line."""
        self.stream.write("\r\033[K")
        self.stream.flush()


class Lines:
    """A line per outcome."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def planned(self, units: Sequence[Unit]) -> None:
        """Say how much a turn has to do."""
        self.stream.write(f"{len(units)} properties to run\n")

    def finished(self, unit: Unit, outcome: Outcome | None) -> None:
        """Print an outcome."""
        if outcome is None:
            self.stream.write(f"{unit.name}: no time left for more examples\n")
        else:
            told = f"{outcome.examples} examples, {outcome.seconds:.2f} s"
            message = f": {outcome.message}" if not outcome.good else ""
            self.stream.write(f"{unit.name}: {outcome.status}, {told}{message}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Nothing to remove."""


def drawn(part: float) -> str:
    """A bar for a number from 0 to 1.

    >>> drawn(0.5)
    '▕████████████            ▏'
    """
    eighths = round(min(max(part, 0.0), 1.0) * _WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return "▕" + ("█" * full + (_PARTS[rest] if rest else "")).ljust(_WIDTH) + "▏"


def clock(seconds: float) -> str:
    """A duration in minutes and seconds.

    >>> clock(75)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
