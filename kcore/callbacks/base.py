"""What a callback is, and the list that calls several.

Which hooks a callback really defines is found out once per run, so that a batch costs nothing where nobody listens.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Hook = Callable[..., Any]


class Callback:
    """Base of all callbacks: define the hooks that you need.

    Attributes:
        params: of the run: "epochs", "steps" or "samples", "batch_size", "verbose", "metrics", "do_validation".
        model: the model that is trained.
        validation_data: arrays of validation: inputs, targets, weights.
    """

    validation_data: Any = None
    model: Any = None
    #: Methods of the class that would do nothing as this object is set up; the list leaves them out.
    idle_hooks: tuple[Any, ...] = ()
    params: dict[str, Any]

    def __init__(self) -> None:
        self.validation_data = None
        self.model = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once before the run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called once before the run."""
        self.model = model

    def get_state(self) -> dict[str, Any]:
        """What must survive a restart of the run: plain data and arrays. `BackupAndRestore` keeps it."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with what `get_state` gave; comes after `on_train_begin`, and possibly again after `on_epoch_begin`."""
        self.__dict__.update(copy.deepcopy(state))

    def _get(self, *names: str) -> dict[str, Any]:
        """Attributes by name, for `get_state`."""
        return {name: getattr(self, name) for name in names}

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a training batch; logs hold "batch" and "size"."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a training batch; logs hold "batch", "size", "loss" and the metrics."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation; logs hold "loss", the metrics, and "val_..." of each."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_batch_begin`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Another name of `on_batch_end`."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of evaluate, and of validation in fit."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of evaluate, and of validation in fit."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of predict."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of predict; logs hold "outputs"."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Any = None) -> None:
        """After training."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Before evaluation or validation."""

    def on_test_end(self, logs: Any = None) -> None:
        """After evaluation or validation."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After prediction."""


def defines(callback: Any, *names: str) -> bool:
    """Whether a callback has a hook of its own under one of the names, and one that does something (`idle_hooks`)."""
    idle = getattr(callback, "idle_hooks", ())
    return any(
        name in getattr(callback, "__dict__", ())
        or getattr(type(callback), name, None) not in (getattr(Callback, name), *idle)
        for name in names
    )


class CallbackList:
    """Several callbacks, called in order.

    Args:
        callbacks: the callbacks.
        queue_length: over how many batches the time that a hook takes is watched.
    """

    def __init__(self, callbacks: Iterable[Any] | None = None, queue_length: int = 10) -> None:
        self.callbacks = list(callbacks or [])
        self.queue_length = queue_length
        self.params: dict[str, Any] = {}
        self.model: Any = None
        self._hooks: dict[tuple[str, str], list[Hook]] = {}
        self._times: dict[str, deque[float]] = {}
        self._batch_time = 0.0
        self._entered = 0.0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.callbacks)

    def append(self, callback: Any) -> None:
        """Add one."""
        self.callbacks.append(callback)
        self._hooks.clear()

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tell all."""
        self.model = model
        self._hooks.clear()
        for callback in self.callbacks:
            callback.set_model(model)

    # --- batches ------------------------------------------------------------------------------------------------------

    def batch_hooks(self, mode: str, hook: str) -> list[Hook]:
        """The hooks that somebody defines for "begin" or "end" of a batch of "train", "test" or "predict"."""
        key = (mode, hook)
        if key not in self._hooks:
            name = f"on_{mode}_batch_{hook}"
            names = [name, f"on_batch_{hook}"] if mode == "train" else [name]
            self._hooks[key] = [getattr(c, name) for c in self.callbacks if defines(c, *names)]
        return self._hooks[key]

    def only_listener(self, mode: str) -> Any:
        """The one callback with a hook for the end of a batch, if there is no other and none for its beginning."""
        if self.batch_hooks(mode, "begin") or len(self.batch_hooks(mode, "end")) != 1:
            return None
        return getattr(self.batch_hooks(mode, "end")[0], "__self__", None)

    def listens(self, mode: str) -> bool:
        """Whether any callback has a hook for batches of this mode."""
        return bool(self.batch_hooks(mode, "begin") or self.batch_hooks(mode, "end"))

    def call_batch_hook(self, mode: str, hook: str, batch: int, logs: Any = None) -> None:
        """Call the hooks of a batch; warns when they are slow beside the batch itself."""
        hooks = self.batch_hooks(mode, hook)
        start = time.perf_counter()
        if hook == "end":
            self._batch_time = start - (self._entered or start)
        if hooks:
            logs = {} if logs is None else logs
            for call in hooks:
                call(batch, logs)
            now = time.perf_counter()
            self._watch(f"on_{mode}_batch_{hook}", now - start)
            start = now
        if hook == "begin":
            self._entered = start

    def _watch(self, name: str, seconds: float) -> None:
        times = self._times.get(name)
        if times is None:
            times = self._times[name] = deque(maxlen=self.queue_length)
        times.append(seconds)
        if seconds > 0.1:
            median = statistics.median(times)
            if self._batch_time > 0 and median > 0.1 and median > 0.95 * self._batch_time:
                warnings.warn(
                    f"Method ({name}) is slow compared to the batch update ({self._batch_time:f}). Check callbacks.",
                    RuntimeWarning,
                    stacklevel=4,
                )

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("train", "begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("train", "end", batch, logs)

    on_train_batch_begin, on_train_batch_end = on_batch_begin, on_batch_end

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("test", "begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("test", "end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("predict", "begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Call all."""
        self.call_batch_hook("predict", "end", batch, logs)

    # --- epochs and runs ----------------------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Call all."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)
        self._times.clear()
        self._batch_time = self._entered = 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Call all."""
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def _all(self, name: str, logs: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(logs)

    def on_train_begin(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_train_end", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_test_end", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_predict_begin", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        """Call all."""
        self._all("on_predict_end", logs)
