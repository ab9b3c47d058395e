"""Callbacks that tell: averages, progress bar, history, CSV file, remote monitor."""

from __future__ import annotations

import csv
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kcore.callbacks.base import Callback
from kcore.errors import ArgumentError
from kcore.training.logs import on_host, raw_items
from kcore.utils.progbar import Progbar

#: After so many batches their device values are fetched, so that a long epoch does not pile them up.
_FOLD_EVERY = 1024


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


class BaseLogger(Callback):
    """Averages of the batches' values over an epoch; those of stateful metrics are taken as they are at its end.

    Args:
        stateful_metrics: names of values that are not averaged.
    """

    def __init__(self, stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start anew."""
        self.seen = 0
        self.totals: dict[str, Any] = {}
        self._pending: list[tuple[int, Sequence[str], Sequence[Any]]] = []

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Remember the values."""
        found = dict(raw_items(logs or {}))
        size = found.pop("size", 0)
        found.pop("batch", None)
        self.add(size, list(found), list(found.values()))

    def add(self, size: int, names: Sequence[str], values: Sequence[Any]) -> None:
        """Remember a batch's values; nothing is fetched from the device yet."""
        self.seen += size
        self._pending.append((size, names, values))
        if len(self._pending) >= _FOLD_EVERY:
            self._fold()

    def _fold(self) -> None:
        """Add up what was remembered; of stateful metrics the last value counts."""
        for size, names, values in self._pending:
            for name, value in zip(names, values, strict=True):
                if name not in self.stateful_metrics:
                    number = on_host(value)
                    number = number.astype("float64") if isinstance(number, (np.ndarray, np.generic)) else number
                    self.totals[name] = self.totals.get(name, 0) + number * size
        if self._pending:
            _, names, values = self._pending[-1]
            last = {n: on_host(v) for n, v in zip(names, values, strict=True) if n in self.stateful_metrics}
            self.totals.update(last)
        self._pending = []

    def get_state(self) -> dict[str, Any]:
        """The sums so far."""
        if not hasattr(self, "seen"):
            return {}
        self._fold()
        return self._get("seen", "totals")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the averages into the logs."""
        if logs is None:
            return
        self._fold()
        for name in self.params["metrics"]:
            if name in self.totals:
                value = self.totals[name]
                logs[name] = value if name in self.stateful_metrics else value / self.seen


class ProgbarLogger(Callback):
    """A progress bar of each epoch.

    Args:
        count_mode: "samples" or "steps".
        stateful_metrics: names of values that are shown as they are, not averaged.
    """

    def __init__(self, count_mode: str = "samples", stateful_metrics: Iterable[str] | None = None) -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ArgumentError(f"count_mode of ProgbarLogger is 'samples' or 'steps', got {count_mode!r}.")
        self.use_steps = count_mode == "steps"
        self.stateful_metrics = set(stateful_metrics or ())

    def on_train_begin(self, logs: Any = None) -> None:
        """Read the run's settings."""
        self.verbose = self.params["verbose"]
        self.epochs = self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """A new bar."""
        self.target = self.params["steps" if self.use_steps else "samples"]
        self.seen = 0
        self.log_values: list[tuple[str, Any]] = []
        if self.verbose:
            say(f"Epoch {epoch + 1}/{self.epochs}")
            self.progbar = Progbar(self.target, verbose=self.verbose, stateful_metrics=self.stateful_metrics)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar; values are fetched from the device only when it is drawn."""
        logs = {} if logs is None else logs
        self.seen += 1 if self.use_steps else logs.get("size", 0)
        found = dict(raw_items(logs))
        self.log_values = [(name, found[name]) for name in self.params["metrics"] if name in found]
        if self.verbose == 1 if self.target is None else self.verbose and self.seen < self.target:
            self.progbar.update(self.seen, self.log_values)

    def get_state(self) -> dict[str, Any]:
        """What the bar of this epoch shows."""
        if not hasattr(self, "progbar"):
            return {}
        return {"seen": self.seen, "bar": self.progbar.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with the bar."""
        if state and hasattr(self, "progbar"):  # else the run goes on with a new epoch
            self.seen = state["seen"]
            self.progbar.set_state(state["bar"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw the full bar with the epoch's values."""
        logs = {} if logs is None else logs
        values = [*self.log_values, *((name, logs[name]) for name in self.params["metrics"] if name in logs)]
        if self.verbose:
            self.progbar.target = self.progbar.target or self.seen  # a loader's first pass has told how many there are
            self.progbar.update(self.seen, values)


class History(Callback):
    """All epochs' logs: `history.history["loss"]` is a list, `history.epoch` the epochs' numbers."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Start anew."""
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def get_state(self) -> dict[str, Any]:
        """All epochs so far."""
        return self._get("epoch", "history")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Append."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, metrics: Sequence[str] | None = None, path: str | os.PathLike[str] | None = None) -> Any:
        """Curves over the epochs: a panel for each metric, with training and validation in it. Needs matplotlib.

        Args:
            metrics: names as in `history`, without "val_"; all by default.
            path: where the picture is saved, if anywhere.

        Returns:
            The matplotlib figure.

        Raises:
            MissingPackageError: matplotlib is not installed.
            UnknownNameError: there is no such metric.
        """
        from kcore.utils.plotting import plot_history

        return plot_history(self.epoch, self.history, metrics, path)


class CSVLogger(Callback):
    """Each epoch's logs as a line of a CSV file. The columns are the logs of the first epoch.

    Args:
        filename: the file.
        separator: between values.
        append: continue a file in place of starting anew.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = filename
        self.sep = separator
        self.append = append
        self.writer: Any = None
        self.keys: list[str] | None = None
        self.append_header = True
        self.csv_file: Any = None
        self._start = 0
        self._unknown: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the file. What it holds from before goes with the first line, for a run that is taken up needs it."""
        self.csv_file = open(self.filename, "a", newline="", encoding="utf-8")  # noqa: SIM115 - on_train_end closes
        self._begin_at(os.path.getsize(self.filename) if self.append else 0)

    def _begin_at(self, position: int) -> None:
        self._start = min(position, os.path.getsize(self.filename))
        self.append_header = self._start == 0
        self.writer = None

    def get_state(self) -> dict[str, Any]:
        """The columns, and where the file ends."""
        position = self._start if self.writer is None else os.path.getsize(self.filename)
        return {"keys": self.keys, "position": position}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on behind the last line that counts."""
        self.keys = state["keys"]
        self._begin_at(state["position"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a line, NA for what is missing."""
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
        if self.writer is None:
            self.csv_file.truncate(self._start)
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        self._warn_of_new(logs)
        self.writer.writerow({"epoch": epoch, **{key: _cell(logs[key]) if key in logs else "NA" for key in self.keys}})
        self.csv_file.flush()

    def _warn_of_new(self, logs: Any) -> None:
        new = sorted(set(logs) - set(self.keys or ()) - self._unknown)
        self._unknown.update(new)
        if new:
            text = f"The CSV file {os.fspath(self.filename)!r} has no column for {', '.join(new)}."
            warnings.warn(text, stacklevel=4)

    def on_train_end(self, logs: Any = None) -> None:
        """Close the file."""
        if self.writer is None:
            self.csv_file.truncate(self._start)
        self.csv_file.close()
        self.writer = None

    def __del__(self) -> None:
        if getattr(self, "csv_file", None) is not None and not self.csv_file.closed:
            self.csv_file.close()


def _cell(value: Any) -> Any:
    """A value as a CSV cell; several as "[a, b]"."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class RemoteMonitor(Callback):
    """Sends each epoch's logs to a server by HTTP POST.

    Args:
        root: of the server's URL.
        path: the rest of the URL.
        field: name of the form field that holds the JSON text.
        headers: of the request.
        send_as_json: send the JSON itself in place of a form.
    """

    def __init__(self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/", field: str = "data",
                 headers: dict[str, str] | None = None, send_as_json: bool = False) -> None:  # fmt: skip
        super().__init__()
        if urllib.parse.urlsplit(root).scheme not in ("http", "https"):
            raise ArgumentError(f"RemoteMonitor sends to http:// or https:// addresses, got root={root!r}.")
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Send; a server that cannot be reached is a warning."""
        values = {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        if self.send_as_json:
            body, kind = text.encode(), "application/json"
        else:
            body, kind = urllib.parse.urlencode({self.field: text}).encode(), "application/x-www-form-urlencoded"
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.root + self.path, data=body, headers={"Content-Type": kind, **(self.headers or {})}
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        except (urllib.error.URLError, OSError):
            warnings.warn(f"Could not reach RemoteMonitor's server at {self.root}.", stacklevel=2)
