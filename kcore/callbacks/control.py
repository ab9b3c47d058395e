"""Callbacks that act: stop, save, change the learning rate, run functions of one's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.callbacks.base import Callback
from kcore.callbacks.reporting import say
from kcore.errors import ArgumentError, MissingKeyError


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            say(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


def _better(callback: str, mode: str, monitor: str, also_max: tuple[str, ...] = ()) -> tuple[Any, float]:
    """Comparison and starting value for what "better" means of a monitored value."""
    if mode not in ("auto", "min", "max"):
        warnings.warn(f"{callback} mode {mode} is unknown, fallback to auto mode.", RuntimeWarning, stacklevel=4)
        mode = "auto"
    if mode == "auto":
        mode = "max" if "acc" in monitor or monitor.startswith(also_max or ("\0",)) else "min"
    return (np.greater, -np.inf) if mode == "max" else (np.less, np.inf)


class ModelCheckpoint(Callback):
    """Saves the model after every epoch. An interrupted save leaves the file that was there.

    Args:
        filepath: may hold format fields: `weights.{epoch:02d}-{val_loss:.2f}.h5`.
        monitor: the value to watch.
        verbose: 1 tells when it saves.
        save_best_only: save only when the value is better than ever.
        save_weights_only: `save_weights` in place of `save`.
        mode: "min", "max", or "auto": from the value's name.
        period: number of epochs between saves.
    """

    def __init__(self, filepath: str, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
                 save_weights_only: bool = False, mode: str = "auto", period: int = 1) -> None:  # fmt: skip
        super().__init__()
        self.filepath = filepath
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = period
        self.epochs_since_last_save = 0
        self.monitor_op, self.best = _better("ModelCheckpoint", mode, monitor, ("fmeasure",))

    def get_state(self) -> dict[str, Any]:
        """The best value, and the epochs since the last file."""
        return self._get("best", "epochs_since_last_save")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, if it is time and the value is good enough."""
        logs = logs or {}
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save < self.period:
            return
        self.epochs_since_last_save = 0
        path = self._path(epoch, logs)
        if not self.save_best_only:
            self._save(path, f"\nEpoch {epoch + 1:05d}: saving model to {path}")
            return
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Can save best model only with {self.monitor} available, skipping. Available: {','.join(logs)}.",
                RuntimeWarning,
                stacklevel=2,
            )
        elif self.monitor_op(current, self.best):
            text = f"{self.monitor} improved from {self.best:0.5f} to {current:0.5f}"
            self.best = current
            self._save(path, f"\nEpoch {epoch + 1:05d}: {text}, saving model to {path}")
        elif self.verbose > 0:
            say(f"\nEpoch {epoch + 1:05d}: {self.monitor} did not improve from {self.best:0.5f}")

    def _path(self, epoch: int, logs: Any) -> str:
        try:
            return os.fspath(self.filepath).format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise MissingKeyError(
                f"The filepath {self.filepath!r} of ModelCheckpoint names {error}, which the logs of epoch {epoch + 1} "
                f"do not have. They have: epoch, {', '.join(logs)}. Those of validation (val_...) need validation data."
            ) from error

    def _save(self, path: str, text: str) -> None:
        if self.verbose > 0:
            say(text)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)


class EarlyStopping(Callback):
    """Stops training when a monitored value has stopped improving.

    Args:
        monitor: the value to watch.
        min_delta: smaller changes are no improvement.
        patience: number of epochs without improvement after which training stops.
        verbose: 1 tells.
        mode: "min", "max", or "auto": from the value's name.
        baseline: the value must become better than this.
        restore_best_weights: go back to the weights of the best epoch when training is stopped.
    """

    def __init__(self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0,
                 mode: str = "auto", baseline: float | None = None,
                 restore_best_weights: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.monitor = monitor
        self.baseline = baseline
        self.patience = patience
        self.verbose = verbose
        self.wait = 0
        self.stopped_epoch = 0
        self.restore_best_weights = restore_best_weights
        self.best_weights: list[np.ndarray] | None = None
        self.monitor_op, self._worst = _better("EarlyStopping", mode, monitor)
        self.min_delta = min_delta if self.monitor_op is np.greater else -min_delta

    def on_train_begin(self, logs: Any = None) -> None:
        """Start anew, so that the callback can be used again."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self._worst if self.baseline is None else self.baseline

    def get_state(self) -> dict[str, Any]:
        """The best value and weights, and how long ago they were seen."""
        return self._get("wait", "stopped_epoch", "best", "best_weights")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare, and stop when patience is over."""
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.monitor_op(current - self.min_delta, self.best):
            self.best = current
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights and self.best_weights is not None:
                if self.verbose > 0:
                    say("Restoring model weights from the end of the best epoch")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        """Tell."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")

    def get_monitor_value(self, logs: Any) -> Any:
        """The watched value of these logs; warns when it is not there."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. Available metrics are: "
                f"{','.join(logs or {})}",
                RuntimeWarning,
                stacklevel=3,
            )
        return value


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
        schedule: `schedule(epoch, present rate)`, or `schedule(epoch)`, gives the new rate as a float.
        verbose: 1 tells.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the rate."""
        if not hasattr(self.model.optimizer, "lr"):
            raise ArgumentError(f"LearningRateScheduler needs an optimizer with 'lr'; got {self.model.optimizer!r}.")
        rate = float(K.get_value(self.model.optimizer.lr))
        try:
            rate = self.schedule(epoch, rate)
        except TypeError:  # the older kind, of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ArgumentError(
                f"The schedule of LearningRateScheduler must return a float; it returned {rate!r} for epoch {epoch}."
            )
        K.set_value(self.model.optimizer.lr, rate)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the rate into the logs."""
        if logs is not None:
            logs["lr"] = K.get_value(self.model.optimizer.lr)[()]


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a monitored value has stopped improving.

    Args:
        monitor: the value to watch.
        factor: the rate is multiplied by this.
        patience: number of epochs without improvement before the rate is lowered.
        verbose: 1 tells.
        mode: "min", "max", or "auto": from the value's name.
        min_delta: smaller changes are no improvement (once called epsilon).
        cooldown: number of epochs after a reduction in which nothing is counted.
        min_lr: the rate goes no lower.
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
                 mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__()
        if factor >= 1.0:
            raise ArgumentError(f"ReduceLROnPlateau does not support a factor >= 1.0, got {factor}.")
        if "epsilon" in kwargs:
            min_delta = kwargs.pop("epsilon")
            warnings.warn("The argument `epsilon` of ReduceLROnPlateau is now called `min_delta`.", stacklevel=2)
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau got unexpected arguments: {', '.join(kwargs)}.")
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self._compare, self.best = _better("Learning Rate Plateau Reducing", self.mode, self.monitor)
        self.cooldown_counter = 0
        self.wait = 0

    def monitor_op(self, current: Any, best: Any) -> bool:
        """Whether `current` is an improvement of `best`."""
        delta = self.min_delta if self._compare is np.greater else -self.min_delta
        return bool(self._compare(current, best + delta))

    def on_train_begin(self, logs: Any = None) -> None:
        """Start anew."""
        self._reset()

    def get_state(self) -> dict[str, Any]:
        """The best value, and how long ago it was seen."""
        return self._get("best", "wait", "cooldown_counter")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare, and lower the rate when patience is over."""
        logs = {} if logs is None else logs
        logs["lr"] = K.get_value(self.model.optimizer.lr)[()]
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Reduce LR on plateau conditioned on metric `{self.monitor}` which is not available. Available "
                f"metrics are: {','.join(logs)}",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.monitor_op(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        old = float(K.get_value(self.model.optimizer.lr))
        if old <= self.min_lr:
            return
        new = max(old * self.factor, self.min_lr)
        K.set_value(self.model.optimizer.lr, new)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was made a short while ago."""
        return self.cooldown_counter > 0


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions of `(epoch, logs)`.
        on_batch_begin, on_batch_end: functions of `(batch, logs)`.
        on_train_begin, on_train_end: functions of `(logs)`.
        **kwargs: further hooks by name, and attributes.
    """

    def __init__(self, on_epoch_begin: Any = None, on_epoch_end: Any = None, on_batch_begin: Any = None,
                 on_batch_end: Any = None, on_train_begin: Any = None, on_train_end: Any = None,
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end, "on_train_begin": on_train_begin, "on_train_end": on_train_end,
        }  # fmt: skip
        self.__dict__.update(kwargs)
        self.__dict__.update({name: hook for name, hook in hooks.items() if hook is not None})
