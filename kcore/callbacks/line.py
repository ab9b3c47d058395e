"""The quiet way to follow a training: one line, `fit(..., verbose="line")`."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from kcore.callbacks.base import Callback
from kcore.utils.progbar import display_is_dynamic, shown


class LineLogger(Callback):
    """One line for a whole run. A terminal shows it anew after each epoch; a file or pipe gets it at the end.

    Epoch 12/50 - 3s - loss: 0.1234 - accuracy: 0.9512 - val_loss: 0.1411 - val_accuracy: 0.9433
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the clock."""
        self._start = time.time()
        self._last: tuple[int, Any] | None = None
        self._width = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Show the epoch before, now that every callback has added to its logs."""
        if self._last is not None and display_is_dynamic():
            self._write("\r" + self._line().ljust(self._width))
            self._width = len(self._line())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Remember the logs."""
        self._last = epoch, logs or {}

    def on_train_end(self, logs: Any = None) -> None:
        """Show the last epoch, and end the line."""
        if self._last is not None:
            self._write(("\r" if display_is_dynamic() else "") + self._line().ljust(self._width) + "\n")

    def _line(self) -> str:
        assert self._last is not None
        epoch, logs = self._last
        first = [name for name in self.params["metrics"] if name in logs]
        names = [*first, *(name for name in logs if name not in first)]
        values = "".join(shown(name, logs[name]) for name in names if np.size(logs[name]) == 1)
        return f"Epoch {epoch + 1}/{self.params['epochs']} - {time.time() - self._start:.0f}s{values}"

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
