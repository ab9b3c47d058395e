"""`BackupAndRestore`: a training that was killed goes on exactly where it was."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kcore import random
from kcore.callbacks.base import Callback
from kcore.errors import ArgumentError
from kcore.saving.state_file import read_state, write_state

#: Raised when what is kept changes its meaning.
_FORMAT = 1


class BackupAndRestore(Callback):
    """Keeps the state of a training, and takes it up again when the same script is started anew.

    What is kept: weights, optimizer, metrics and states of layers; the states of the other callbacks (`get_state`,
    `set_state`); epoch, batch and the order of the samples; the random states of Python and NumPy, and the keys of
    random layers. A run that was killed and started again ends with the weights and the history, bit for bit, that it
    would have had.

    Data from arrays and Sequences go on with the next batch. A Sequence that says what it is by `get_state()`, in plain
    data and arrays, and takes that back by `set_state(state)`, as the iterators of `ImageDataGenerator` do, may draw
    its batches from `np.random`, by one worker or none. Of any other, `on_epoch_end` is called again for each epoch
    that is over, with the random states that it had. A generator (or data loader) has to yield once more what was read:
    it must give the same batches each time it is started. Two threads that draw from `np.random` (training and
    validation data, both with workers) do not repeat themselves, so they do not go on exactly either.

    Args:
        backup_dir: folder of the file; made when missing, and for one training only.
        save_freq: "epoch", or after how many batches the state is kept.
        delete_checkpoint: whether the file is removed when training has come to its end.

    Raises:
        ArgumentError: when `fit` finds a file that was made with another model or with other data.
        FileFormatError: when the file is damaged.

    Example:
        model.fit(x, y, epochs=100, callbacks=[BackupAndRestore("run1")])
    """

    def __init__(self, backup_dir: str | os.PathLike[str], save_freq: str | int = "epoch",
                 delete_checkpoint: bool = True) -> None:  # fmt: skip
        super().__init__()
        if not os.fspath(backup_dir):
            raise ArgumentError("backup_dir of BackupAndRestore is the path of a folder, got an empty one.")
        number = isinstance(save_freq, (int, np.integer)) and not isinstance(save_freq, bool) and save_freq >= 1
        if save_freq != "epoch" and not number:
            raise ArgumentError(f"save_freq of BackupAndRestore is 'epoch' or a positive integer, got {save_freq!r}.")
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.delete_checkpoint = delete_checkpoint
        self._state: dict[str, Any] | None = None  # what was read, until it is put back
        self._kept_at = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self.backup_dir / "training.npz"

    @property
    def every_batch(self) -> bool:
        """Whether the state is kept within epochs."""
        return self.save_freq != "epoch"

    # --- keeping ------------------------------------------------------------------------------------------------------

    def on_progress(self, progress: Any) -> None:
        """Between two batches or epochs, when all callbacks have seen what was done: keep the state if it is time."""
        if self.every_batch:
            if progress.total - self._kept_at < int(self.save_freq):
                return
            self._kept_at = progress.total
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        write_state(self.path, self._snapshot(progress))

    def _snapshot(self, progress: Any) -> dict[str, Any]:
        from kcore.training.progress import get_model_state

        with progress.data.lock:
            data, drawn = progress.data.get_state(), random.get_state()
        return {
            "format": _FORMAT,
            "epoch": progress.epoch,
            "batch": progress.batch,
            "stopped": bool(progress.callbacks.model.stop_training),
            "data": data,
            "random": drawn,
            "model": get_model_state(progress.model),
            "callbacks": [(type(c).__name__, c.get_state()) for c in self._others(progress)],
        }

    def _others(self, progress: Any) -> list[Any]:
        return [c for c in progress.callbacks if c is not self and hasattr(c, "get_state")]

    def on_train_end(self, logs: Any = None) -> None:
        """Remove the file."""
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody else keeps files there
                self.backup_dir.rmdir()

    # --- restoring ----------------------------------------------------------------------------------------------------

    def resume(self, progress: Any) -> None:
        """Before the first epoch: take up a run whose state was kept."""
        self._state, self._kept_at = None, 0
        if not self.path.exists():
            return
        state = self._state = read_state(self.path)
        try:
            _check_format(state)
            progress.data.set_state(state["data"])
            self._put_back(progress)
        except (ArgumentError, KeyError) as error:
            raise ArgumentError(
                f"The training kept in {str(self.path)!r} cannot go on: {error} Delete the file to begin anew, or use "
                "another backup_dir for this training."
            ) from error
        progress.epoch, progress.batch = state["epoch"], state["batch"]
        progress.stopped = state["stopped"] and not progress.batch

    def resume_epoch(self, progress: Any) -> None:
        """Within an epoch that is taken up, after `on_epoch_begin`, which has started everything anew."""
        assert self._state is not None
        self._put_back(progress)
        progress.callbacks.model.stop_training = self._state["stopped"]

    def resume_random(self) -> None:
        """After data were skipped."""
        if self._state is not None:
            random.set_state(self._state["random"])

    def _put_back(self, progress: Any) -> None:
        from kcore.training.progress import set_model_state

        assert self._state is not None
        set_model_state(progress.model, self._state["model"])
        kept = list(self._state["callbacks"])
        for callback in self._others(progress):
            name = type(callback).__name__
            found = next((pair for pair in kept if pair[0] == name), None)
            if found is None:
                warnings.warn(f"{name} was not among the callbacks of the training in {self.path}; it starts anew.",
                              stacklevel=2)  # fmt: skip
                continue
            kept.remove(found)
            callback.set_state(found[1])
        random.set_state(self._state["random"])


def _check_format(state: dict[str, Any]) -> None:
    if state["format"] != _FORMAT:
        raise ArgumentError(f"it has the format {state['format']}, this version reads {_FORMAT}.")
