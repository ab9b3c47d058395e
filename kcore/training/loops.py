"""Epochs and batches over arrays: the loops of `fit`, `evaluate` and `predict`.

Step functions are called with native results; nothing here waits for the device but reading logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kcore import backend as K
from kcore import callbacks as cbks
from kcore.backend import active
from kcore.errors import ArgumentError, DataError
from kcore.training.arrays import is_native, part
from kcore.training.batches import Order, Slicer, make_batches
from kcore.training.logs import BatchLogs, on_host
from kcore.training.places import Place, Places
from kcore.training.progress import Progress
from kcore.utils.generic_utils import to_list, unpack_singleton
from kcore.utils.progbar import Progbar

TRAIN, TEST = 1, 0


@dataclass(frozen=True)
class Feed:
    """Arrays in the order of a step function's inputs.

    Attributes:
        arrays: inputs, targets, the sample weights that were given.
        weighted: for each fed output, whether its weights are among them.
        types: the dtypes that they are fed as.
        samples: their number; None where there are no arrays.
    """

    arrays: tuple[Any, ...]
    weighted: tuple[bool, ...]
    types: tuple[str, ...]
    samples: int | None

    def part(self, start: int, stop: int | None = None) -> Feed:
        """The samples from `start` to `stop`."""
        arrays = tuple(part(a, start, stop) for a in self.arrays)
        return Feed(arrays, self.weighted, self.types, int(arrays[0].shape[0]))

    def slicer(self) -> Slicer:
        """What cuts batches out of the arrays."""
        return Slicer(self.arrays, self.types)


@dataclass(frozen=True)
class Cadence:
    """When an epoch ends and when validation runs.

    Attributes:
        batch_size: None when `steps` counts.
        steps: batches per epoch, each of all samples; None to go by samples.
    """

    batch_size: int | None
    steps: int | None

    def check(self, samples: int | None, name: str) -> None:
        """Raise ArgumentError unless one of the two says how to go through the data."""
        if self.steps is not None and self.batch_size is not None:
            raise ArgumentError(f"If {name} is set, the `batch_size` must be None.")
        if samples is None and self.steps is None:
            raise ArgumentError(f"A model without fed inputs needs `{name}`: there are no samples to count.")


def should_run_validation(validation_freq: Any, epoch: int) -> bool:
    """Whether validation runs after this epoch (counted from 0).

    >>> should_run_validation(2, 0), should_run_validation(2, 1), should_run_validation([1], 0)
    (False, True, True)
    """
    if isinstance(validation_freq, int):
        if validation_freq < 1:
            raise ArgumentError(f"`validation_freq` can not be less than 1, got {validation_freq}.")
        return (epoch + 1) % validation_freq == 0
    if not hasattr(validation_freq, "__contains__"):
        raise ArgumentError(f"`validation_freq` is an integer or a list of epochs, got {validation_freq!r}.")
    return epoch + 1 in validation_freq


# --- callbacks --------------------------------------------------------------------------------------------------------


def training_callbacks(model: Any, own: Iterable[Any] | None, count_mode: str,
                       params: Mapping[str, Any]) -> cbks.CallbackList:  # fmt: skip
    """Averages, progress bar, the user's callbacks and the history, told of model and run."""
    names = model.metrics_names
    model.history = cbks.History()
    found: list[Any] = [cbks.BaseLogger()]
    if params["verbose"] == "line":
        found.append(cbks.LineLogger())
    elif params["verbose"]:
        found.append(cbks.ProgbarLogger(count_mode))
    for logger in found:
        logger.stateful_metrics = model._stateful_names()  # a step of the user's own may find out while it runs
    found += [*(own or []), model.history]
    metrics = [*names, *(f"val_{n}" for n in names)] if params["do_validation"] else names
    callbacks = cbks.CallbackList(found)
    callbacks.set_model(model._get_callback_model())
    callbacks.set_params({"metrics": metrics, **params})
    return callbacks


def configured(model: Any, callbacks: Any, params: Mapping[str, Any]) -> cbks.CallbackList:
    """The callbacks of evaluate or predict; a list that `fit` configured stays as it is."""
    if isinstance(callbacks, cbks.CallbackList):
        return callbacks
    found = cbks.CallbackList(callbacks)
    found.set_model(model._get_callback_model())
    found.set_params(dict(params))
    return found


def validation_arrays(feed: Feed, inputs: int) -> list[Any]:
    """`validation_data` of callbacks, as Keras 2 gave it: inputs, targets, weights (ones where none were given)."""
    count = len(feed.weighted)
    arrays = [K.eval(a) if is_native(a) else a for a in feed.arrays]
    given = iter(arrays[inputs + count :])
    ones = np.ones(feed.samples or 0, K.floatx())
    return [*arrays[: inputs + count], *(next(given) if weighted else ones for weighted in feed.weighted)]


# --- fit --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FitRun:
    """Everything that one call of `fit` on arrays needs; `validation` is a Feed, a `generators.Source`, or None."""

    model: Any
    feed: Feed
    cadence: Cadence
    epochs: int
    initial_epoch: int
    shuffle: Any
    validation: Any
    validation_steps: int | None
    validation_freq: Any
    callbacks: cbks.CallbackList

    def run(self) -> Any:
        """Train; returns the history."""
        with ExitStack() as stack:
            self.callbacks.on_train_begin()
            self.callbacks.model.stop_training = False
            order = Order(self.feed.samples or 0, self.cadence.batch_size or 1, self.shuffle)
            arrays = self.validation is None or isinstance(self.validation, Feed)
            place = None if arrays else Place(self.validation, draws=False)
            progress = Progress(self.model, self.callbacks, self.initial_epoch, Places(order, place))
            if place is not None:
                place.open(stack, kept=progress.kept)
                progress.data_skipped()
                place.go()
            slicer = self.validation.slicer() if isinstance(self.validation, Feed) else place
            self._epochs(slicer, order, progress)
        self.callbacks.on_train_end()
        return self.model.history

    def _epochs(self, validation: Any, order: Order, progress: Progress) -> None:
        """All epochs; `validation` is a Slicer, the open place of a Source, or None."""
        model, callbacks = self.model, self.callbacks
        watched = callbacks.model
        slicer = self.feed.slicer()
        step = model._steps.train(self.feed.weighted)
        for epoch in range(progress.epoch, progress.epoch if progress.stopped else self.epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            progress.epoch_begun()
            if self.cadence.steps is not None:
                self._steps_of_epoch(slicer, step, progress)
                whole = True
            else:
                whole = self._batches_of_epoch(slicer, step, order, progress)
            logs: dict[str, Any] = {}
            if validation is not None and whole and should_run_validation(self.validation_freq, epoch):
                logs = self._validate(validation)
            callbacks.on_epoch_end(epoch, logs)
            progress.epoch_done()
            if watched.stop_training:
                break

    def _batches_of_epoch(self, slicer: Slicer, step: Any, order: Order, progress: Progress) -> bool:
        """All batches in this epoch's order; returns whether it came to the end."""
        batch_size = self.cadence.batch_size
        assert batch_size is not None
        callbacks, watched, names = self.callbacks, self.callbacks.model, self.model.metrics_names
        alone = callbacks.only_listener("train")
        averages = alone.add if type(alone) is cbks.BaseLogger and not progress.every_batch else None
        backend = active.backend()
        run = step.prepared(TRAIN, backend)
        if not slicer.prepared:
            run = partial(step.run_native, training=TRAIN, backend=backend)
        done = progress.batch
        indices = order.present() if done else order.epoch()
        batches = make_batches(order.size, batch_size)
        if done and watched.stop_training:  # a callback had stopped the run that is taken up
            return done == len(batches)
        for number, (start, stop) in enumerate(batches[done:], done):
            values = slicer.part(start, stop) if indices is None else slicer.take(indices[start:stop])
            if averages is not None:
                averages(stop - start, names, run(values))
                if watched.stop_training:
                    return number == len(batches) - 1
                continue
            logs = BatchLogs(batch=number, size=stop - start)
            callbacks.call_batch_hook("train", "begin", number, logs)
            logs.update(zip(names, run(values), strict=True))
            callbacks.call_batch_hook("train", "end", number, logs)
            if progress.every_batch:
                progress.batch_done(number + 1)
            if watched.stop_training:
                return number == len(batches) - 1
        return True

    def _steps_of_epoch(self, slicer: Slicer, step: Any, progress: Progress) -> None:
        """A number of steps, each over all samples."""
        names, values = self.model.metrics_names, slicer.everything()
        if progress.batch and self.callbacks.model.stop_training:
            return
        for number in range(progress.batch, self.cadence.steps or 0):
            logs = BatchLogs(batch=number, size=1)
            self.callbacks.call_batch_hook("train", "begin", number, logs)
            logs.update(zip(names, step.run_native(values, TRAIN), strict=True))
            self.callbacks.call_batch_hook("train", "end", number, logs)
            if progress.every_batch:
                progress.batch_done(number + 1)
            if self.callbacks.model.stop_training:
                break

    def _validate(self, validation: Any) -> dict[str, Any]:
        names = self.model.metrics_names
        if not isinstance(validation, Slicer):
            from kcore.training.generators import evaluate_stream

            values = to_list(evaluate_stream(self.model, validation, self.callbacks))
            return {f"val_{name}": value for name, value in zip(names, values, strict=True)}
        steps = self.validation_steps if self.cadence.steps is not None else None
        cadence = Cadence(None if steps is not None else self.cadence.batch_size, steps)
        values = evaluate_loop(self.model, self.validation, cadence, self.callbacks, slicer=validation)
        return {f"val_{name}": value for name, value in zip(names, values, strict=True)}


# --- evaluate ---------------------------------------------------------------------------------------------------------


def evaluate_loop(model: Any, feed: Feed, cadence: Cadence, callbacks: cbks.CallbackList, verbose: int = 0, *,
              slicer: Slicer | None = None) -> list[Any]:  # fmt: skip
    """Loss and metrics over all samples, as Python floats."""
    model.reset_metrics()
    slicer = slicer or feed.slicer()
    step = model._steps.test(feed.weighted)
    callbacks.model.stop_training = False
    callbacks.on_test_begin()
    samples, size, steps = feed.samples or 0, cadence.batch_size, cadence.steps
    if steps is not None:
        values = slicer.everything()
        batches: Any = ((values, 1) for _ in range(steps))
    else:
        assert size is not None
        batches = ((slicer.part(a, b), b - a) for a, b in make_batches(samples, size))
    progress = Progbar(target=samples if steps is None else steps) if verbose == 1 else None
    losses, sizes, last = _evaluate_batches(model, step, batches, callbacks, progress)
    if not sizes:
        raise DataError("There are no samples to evaluate: the arrays are empty.")
    callbacks.on_test_end()
    # With `steps` each batch counts alike. (Keras 2.3.1 mixed the two kinds of results up there: it divided the last
    # loss by the number of steps, and added up the metrics' results.)
    loss = sum(float(on_host(value)) * n for value, n in zip(losses, sizes, strict=True)) / sum(sizes)
    return [loss, *map(_number, last)]


def _evaluate_batches(model: Any, step: Any, batches: Iterable[tuple[Sequence[Any], int]], callbacks: cbks.CallbackList,
                  progress: Progbar | None) -> tuple[list[Any], list[int], Sequence[Any]]:  # fmt: skip
    """The batches' losses (on the device), their sizes, and the metrics after the last."""
    listens, names, backend = callbacks.listens("test"), model.metrics_names, active.backend()
    losses, sizes, last = [], [], ()
    for number, (values, size) in enumerate(batches):
        logs = BatchLogs(batch=number, size=size)
        if listens:
            callbacks.call_batch_hook("test", "begin", number, logs)
        loss, *last = step.run_native(values, TEST, backend)
        losses.append(loss)
        sizes.append(size)
        if listens:
            logs.update(zip(names, (loss, *last), strict=True))
            callbacks.call_batch_hook("test", "end", number, logs)
        if progress is not None:
            progress.update(sum(sizes))
    return losses, sizes, last


def _number(value: Any) -> Any:
    found = on_host(value)
    return float(found) if np.ndim(found) == 0 else found


# --- predict ----------------------------------------------------------------------------------------------------------


def predict_loop(model: Any, feed: Feed, cadence: Cadence, callbacks: cbks.CallbackList, verbose: int = 0) -> Any:
    """The outputs for all samples, as arrays."""
    slicer = feed.slicer()
    step = model._predict_step()
    callbacks.model.stop_training = False
    callbacks.on_predict_begin()
    if cadence.steps is not None:
        found = _predict_steps(step, slicer, cadence.steps, callbacks, verbose)
    else:
        found = _predict_batches(step, slicer, feed.samples or 0, cadence.batch_size or 1, callbacks, verbose)
    callbacks.on_predict_end()
    return unpack_singleton(found)


def _predict_batches(step: Any, slicer: Slicer, samples: int, batch_size: int, callbacks: cbks.CallbackList,
                     verbose: int) -> list[np.ndarray]:  # fmt: skip
    batches = make_batches(samples, batch_size)
    if not batches:
        raise DataError("There are no samples to predict: the arrays are empty.")
    listens, backend = callbacks.listens("predict"), active.backend()
    progress = Progbar(target=samples) if verbose == 1 else None
    parts: list[list[np.ndarray]] = []
    pending: Sequence[Any] = ()
    for number, (start, stop) in enumerate(batches):
        logs = {"batch": number, "size": stop - start}
        if listens:
            callbacks.call_batch_hook("predict", "begin", number, logs)
        outputs = step.run_native(slicer.part(start, stop), TEST, backend)
        if listens:
            fetched = [backend.to_numpy(x) for x in outputs]
            callbacks.call_batch_hook("predict", "end", number, {**logs, "outputs": fetched})
        if number:  # the last batch is fetched while this one is being computed
            parts.append([backend.to_numpy(x) for x in pending])
        pending = outputs
        if progress is not None:
            progress.update(stop)
    parts.append([backend.to_numpy(x) for x in pending])
    return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _predict_steps(step: Any, slicer: Slicer, steps: int, callbacks: cbks.CallbackList,
                   verbose: int) -> list[np.ndarray]:  # fmt: skip
    values, backend = slicer.everything(), active.backend()
    progress = Progbar(target=steps) if verbose == 1 else None
    parts = []
    for number in range(steps):
        logs: dict[str, Any] = {"batch": number, "size": 1}
        callbacks.call_batch_hook("predict", "begin", number, logs)
        parts.append([backend.to_numpy(x) for x in step.run_native(values, TEST, backend)])
        callbacks.call_batch_hook("predict", "end", number, {**logs, "outputs": parts[-1]})
        if progress is not None:
            progress.update(number + 1)
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
