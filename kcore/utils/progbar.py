"""The progress bar that Keras 2 shows, by itself: time, rate, and running averages of what it is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from kcore.utils import notebook


class Progbar:
    """A progress bar on standard output, or in a notebook's own way where there is one.

    Args:
        target: number of steps, or None when it is unknown.
        width: of the bar, in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        stateful_metrics: names of values shown as they are; all others are averaged over the steps.
        interval: least number of seconds between two drawings.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or ())
        self._values: dict[str, list[Any]] = {}  # name -> [sum, weight]
        self._pending: list[tuple[int, Iterable[tuple[str, Any]]]] = []
        self._seen_so_far = 0
        self._total_width = 0
        self._start = time.time()
        self._last_update = 0.0
        self._panel = notebook.Panel() if verbose == 1 and notebook.is_notebook() else None

    @property
    def _finished(self) -> bool:
        return self.target is None or self._seen_so_far >= self.target

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Show step `current` with `(name, value)` pairs of the last step.

        Values may be tensors on a device; they are fetched when the bar is drawn.
        """
        if values:
            self._pending.append((current - self._seen_so_far, values))
        self._seen_so_far = current
        now = time.time()
        if self.verbose == 1:
            early = now - self._last_update < self.interval
            if early and self.target is not None and current < self.target:
                return
            self._draw(now)
        elif self.verbose == 2 and self._finished:
            sys.stdout.write(f" - {now - self._start:.0f}s{self._averages(signed=True)}\n")
            sys.stdout.flush()
        self._last_update = now

    def get_state(self) -> dict[str, Any]:
        """The step, and the sums of the values so far, on the host."""
        self._fold()
        return {"seen": self._seen_so_far, "values": self._values}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with another bar's step and values; time begins anew."""
        self._seen_so_far, self._values, self._pending = state["seen"], state["values"], []

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Show `n` steps more."""
        self.update(self._seen_so_far + n, values)

    def _draw(self, now: float) -> None:
        before = self._total_width
        values = self._timing(now) + self._averages()
        if self._panel is not None:
            part = None if self.target is None else self._seen_so_far / max(1, self.target)
            self._panel.show(self._count() + values, part)
            return
        text = self._bar() + values
        self._total_width = len(text)
        text += " " * max(0, before - len(text))
        if self.target is not None and self._finished:
            text += "\n"
        sys.stdout.write(("\b" * before + "\r" if display_is_dynamic() else "\n") + text)
        sys.stdout.flush()

    def _count(self) -> str:
        if self.target is None:
            return f"{self._seen_so_far:7d}/Unknown"
        return f"{self._seen_so_far:{len(str(self.target))}d}/{self.target}"

    def _bar(self) -> str:
        if self.target is None:
            return self._count()
        filled = int(self.width * self._seen_so_far / self.target) if self.target else self.width
        bar = ""
        if filled > 0:
            bar = "=" * (filled - 1) + ("=" if self._finished else ">")
        return f"{self._count()} [{bar}{'.' * (self.width - filled)}]"

    def _timing(self, now: float) -> str:
        elapsed = now - self._start
        unit = elapsed / self._seen_so_far if self._seen_so_far else 0.0
        if self.target is not None and not self._finished:
            return f" - ETA: {_duration(unit * (self.target - self._seen_so_far))}"
        if unit >= 1:
            rate = f"{unit:.0f}s"
        elif unit >= 1e-3:
            rate = f"{unit * 1e3:.0f}ms"
        else:
            rate = f"{unit * 1e6:.0f}us"
        return f" - {elapsed:.0f}s {rate}/step"

    def _fold(self) -> None:
        """Add up the values that came since the last drawing."""
        for weight, values in self._pending:
            for name, value in values:
                if name in self.stateful_metrics:
                    self._values[name] = [value, 1]
                else:
                    total = self._values.setdefault(name, [0.0, 0])
                    total[0] += _number(value) * weight
                    total[1] += weight
        self._pending = []
        for name in self.stateful_metrics & self._values.keys():
            self._values[name][0] = _number(self._values[name][0])

    def _averages(self, signed: bool = False) -> str:
        self._fold()
        parts = []
        for name, (total, weight) in self._values.items():
            parts.append(shown(name, np.mean(total / max(1, weight)), signed))
        return "".join(parts)


def display_is_dynamic() -> bool:
    """Whether a line that was written can be written over."""
    return (hasattr(sys.stdout, "isatty") and sys.stdout.isatty()) or "ipykernel" in sys.modules


def shown(name: str, value: Any, signed: bool = False) -> str:
    """A value as the progress bar shows it.

    >>> shown("loss", 0.25)
    ' - loss: 0.2500'
    """
    number = float(np.asarray(value).reshape(()))
    small = (number if signed else abs(number)) <= 1e-3
    return f" - {name}: {number:.4e}" if small else f" - {name}: {number:.4f}"


def _number(value: Any) -> Any:
    """A value on the host."""
    if isinstance(value, (float, int, np.ndarray, np.generic)):
        return value
    from kcore import backend

    return backend.eval(value)


def _duration(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> _duration(9), _duration(75), _duration(3725)
    ('9s', '1:15', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if seconds > 3600:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if seconds > 60 else f"{int(seconds)}s"
