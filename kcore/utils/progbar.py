"""The progress bar that Keras 2 shows, by itself: time, rate, and running averages of what it is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np


class Progbar:
    """A progress bar on standard output.

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

    @property
    def _dynamic_display(self) -> bool:
        return (hasattr(sys.stdout, "isatty") and sys.stdout.isatty()) or "ipykernel" in sys.modules

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
        text = self._bar() + self._timing(now) + self._averages()
        self._total_width = len(text)
        text += " " * max(0, before - len(text))
        if self.target is not None and self._finished:
            text += "\n"
        sys.stdout.write(("\b" * before + "\r" if self._dynamic_display else "\n") + text)
        sys.stdout.flush()

    def _bar(self) -> str:
        if self.target is None:
            return f"{self._seen_so_far:7d}/Unknown"
        filled = int(self.width * self._seen_so_far / self.target) if self.target else self.width
        bar = ""
        if filled > 0:
            bar = "=" * (filled - 1) + ("=" if self._finished else ">")
        digits = len(str(self.target))
        return f"{self._seen_so_far:{digits}d}/{self.target} [{bar}{'.' * (self.width - filled)}]"

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
            mean = float(np.mean(total / max(1, weight)))
            small = (mean if signed else abs(mean)) <= 1e-3
            parts.append(f" - {name}: {mean:.4e}" if small else f" - {name}: {mean:.4f}")
        return "".join(parts)


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
