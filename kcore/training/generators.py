"""Epochs over generators and Sequences: the loops of `fit_generator` and its kin."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore import callbacks as cbks
from kcore.errors import ArgumentError, DataError
from kcore.training.logs import BatchLogs, on_host
from kcore.training.loops import Cadence, Feed, configured, evaluate_loop, should_run_validation
from kcore.training.places import Place, Places
from kcore.training.progress import Progress
from kcore.utils.data_utils import GeneratorEnqueuer, OrderedEnqueuer, is_sequence, iterate_forever
from kcore.utils.generic_utils import to_list, unpack_singleton
from kcore.utils.progbar import Progbar


def is_generator_or_sequence(x: Any) -> bool:
    """Whether `x` yields batches."""
    return inspect.isgenerator(x) or is_sequence(x) or (
        hasattr(x, "__next__") and not hasattr(x, "shape") and not isinstance(x, (list, tuple, Mapping))
    )  # fmt: skip


def is_loader(x: Any) -> bool:
    """Whether `x` is some other iterable of batches, as the frameworks' data loaders are: each pass is an epoch."""
    plain = isinstance(x, (list, tuple, Mapping, str, bytes)) or hasattr(x, "shape") or hasattr(x, "iloc")
    return not plain and hasattr(x, "__iter__") and not hasattr(x, "__array__") and not is_generator_or_sequence(x)


def from_loader(loader: Any, steps: int | None) -> tuple[Iterator[Any], int]:
    """A generator over the loader's passes, and the number of its batches (counted when the loader cannot tell)."""
    if steps is None:
        try:
            steps = len(loader)
        except TypeError:
            steps = sum(1 for _ in loader)
    if not steps:
        raise DataError(f"The data loader {type(loader).__name__} has no batches.")
    # Loaders that collate samples give lists for tuples.
    return (tuple(item) if isinstance(item, list) else item for item in iterate_forever(loader)), steps


@dataclass(frozen=True)
class Source:
    """A generator or Sequence, and how its batches are fetched.

    Attributes:
        batches: the generator or Sequence.
        steps: number of batches that are wanted; None for a Sequence's length.
        workers: number of parallel fetchers; 0 fetches in this thread.
        processes: whether they are processes in place of threads.
        queue: how many batches are fetched ahead.
        shuffle: whether a Sequence's batches come in a random order.
    """

    batches: Any
    steps: int | None
    workers: int = 1
    processes: bool = False
    queue: int = 10
    shuffle: bool = False

    @property
    def ordered(self) -> bool:
        """Whether the source is a Sequence."""
        return bool(is_sequence(self.batches))

    def length(self, name: str = "steps") -> int:
        """The number of batches. Raises ArgumentError for a generator without one."""
        if self.steps is not None:
            return self.steps
        if self.ordered:
            return len(self.batches)
        raise ArgumentError(
            f"`{name}=None` is only valid for a generator based on the `keras.utils.Sequence` class: how many batches "
            f"make an epoch? Pass `{name}`."
        )

    def open(self, stack: ExitStack, first: int = 0, orders: Sequence[list[int]] = ()) -> tuple[Iterator[Any], Any]:
        """Start fetching; the enqueuer (None without workers) is stopped when the stack closes.

        A Sequence begins with batch `first`, and has its first epochs' batches in the given orders.
        """
        if self.workers <= 0:
            return (iterate_forever(self.batches, first) if self.ordered else self.batches), None
        enqueuer: Any
        if self.ordered:
            enqueuer = OrderedEnqueuer(self.batches, use_multiprocessing=self.processes, shuffle=self.shuffle)
            enqueuer.begin_at(first, list(orders))
        else:
            enqueuer = GeneratorEnqueuer(self.batches, use_multiprocessing=self.processes)
        enqueuer.start(workers=self.workers, max_queue_size=self.queue)
        stack.callback(enqueuer.stop)
        return enqueuer.get(), enqueuer


def split(item: Any, *, targets: bool = True) -> tuple[Any, Any, Any]:
    """Inputs, targets and sample weights of what a generator yields. Raises DataError."""
    if not targets and not isinstance(item, tuple):
        return item, None, None
    if hasattr(item, "__len__") and not hasattr(item, "shape") and len(item) in (2, 3):
        return (*item, None) if len(item) == 2 else tuple(item)  # type: ignore[return-value]
    raise DataError(
        f"A generator yields tuples (x, y) or (x, y, sample_weight); got {type(item).__name__}"
        + (f" of length {len(item)}." if hasattr(item, "__len__") else f": {item!r}.")
    )


def size_of(x: Any) -> int:
    """The number of samples of a batch of inputs. Raises DataError when it is empty."""
    if x is None or (not hasattr(x, "shape") and len(x) == 0):
        return 1  # a model whose inputs are tensors
    first = next(iter(x.values())) if isinstance(x, Mapping) else x[0] if isinstance(x, (list, tuple)) else x
    shape = first.shape if hasattr(first, "shape") else np.shape(first)
    size = int(shape[0]) if len(shape) else len(x)
    if size == 0:
        raise DataError("Received an empty batch. Batches should contain at least one item.")
    return size


@dataclass(frozen=True)
class GeneratorRun:
    """Everything that one call of `fit_generator` needs; `validation` is a Source, a Feed, or None."""

    model: Any
    source: Source
    epochs: int
    initial_epoch: int
    validation: Any
    validation_freq: Any
    class_weight: Any
    callbacks: cbks.CallbackList

    def run(self) -> Any:
        """Train; returns the history."""
        model, callbacks = self.model, self.callbacks
        model._make_train_function() if model._plan is not None else None
        callbacks.on_train_begin()
        callbacks.model.stop_training = False
        validation = Place(self.validation) if isinstance(self.validation, Source) else None
        places = Places(Place(self.source), validation)
        progress = Progress(model, callbacks, self.initial_epoch, places)
        with ExitStack() as stack:
            if validation is not None:
                validation.open(stack)
            places.train.open(stack)
            progress.data_skipped()
            self._epochs(places, progress)
        callbacks.on_train_end()
        return model.history

    def _epochs(self, places: Places, progress: Progress) -> None:
        model, callbacks = self.model, self.callbacks
        steps = self.source.length("steps_per_epoch")
        for epoch in range(progress.epoch, progress.epoch if progress.stopped else self.epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            progress.epoch_begun()
            done, size = self._batches(places.train, steps, progress)
            if done == steps and self.validation is not None and should_run_validation(self.validation_freq, epoch):
                places.logs = self._validate(places.validation, size)
            callbacks.on_epoch_end(epoch, places.logs)
            stopped = callbacks.model.stop_training
            if not stopped:
                steps = self._between_epochs(places.train, steps)
            progress.epoch_done()
            if stopped:
                break

    def _between_epochs(self, place: Place, steps: int) -> int:
        """See to it that a Sequence was told of the epoch's end; returns the number of batches of the next one."""
        source, callbacks = self.source, self.callbacks
        if source.ordered and source.workers <= 0:
            place.epoch_ended()
        if source.ordered and source.steps is None:
            if place.enqueuer is not None:
                place.enqueuer.join_end_of_epoch()
            if len(source.batches) != steps:  # a Sequence may change its length
                steps = len(source.batches)
                callbacks.set_params({**callbacks.params, "steps": steps})
        return steps

    def _batches(self, batches: Iterator[Any], steps: int, progress: Progress) -> tuple[int, int]:
        """The batches of an epoch; returns how many were done, and the size of the last."""
        model, callbacks, size = self.model, self.callbacks, 1
        if progress.batch and callbacks.model.stop_training:  # a callback had stopped the run that is taken up
            return progress.batch, size
        for number in range(progress.batch, steps):
            x, y, weight = split(_next(batches, number, steps))
            size = size_of(x)
            logs = BatchLogs(batch=number, size=size)
            callbacks.call_batch_hook("train", "begin", number, logs)
            results = model._train_natively(x, y, weight, self.class_weight)
            logs.update(zip(model.metrics_names, results, strict=True))
            callbacks.call_batch_hook("train", "end", number, logs)
            # After the last batch a Sequence is being told of the epoch's end by another thread.
            progress.batch_done(number + 1, keep=number + 1 < steps)
            if callbacks.model.stop_training:
                return number + 1, size
        return steps, size

    def _validate(self, batches: Any, size: int) -> dict[str, Any]:
        model = self.model
        if isinstance(self.validation, Feed):
            values = evaluate_loop(model, self.validation, Cadence(size, None), self.callbacks)
        else:
            source = Source(batches, self.validation.length("validation_steps"), workers=0)
            values = to_list(evaluate(model, source, self.callbacks))
        return {f"val_{name}": value for name, value in zip(model.metrics_names, values, strict=True)}


def _next(batches: Iterator[Any], number: int, steps: int) -> Any:
    try:
        return next(batches)
    except StopIteration:
        raise DataError(
            f"The generator ran out of data after {number} batches of an epoch of {steps}. Let it loop forever "
            "(`while True:`), or ask for fewer steps and epochs."
        ) from None


def evaluate(model: Any, source: Source, callbacks: Any = None, verbose: int = 0) -> Any:
    """Loss and metrics over the batches. As in Keras 2, the loss is that of the last batch."""
    model.reset_metrics()
    steps = source.length()
    callbacks = configured(model, callbacks, {"steps": steps, "verbose": verbose, "metrics": list(model.metrics_names)})
    callbacks.model.stop_training = False
    callbacks.on_test_begin()
    progress = Progbar(target=steps) if verbose == 1 else None
    results: Any = ()
    with ExitStack() as stack:
        batches, _ = source.open(stack)
        for number in range(steps):
            x, y, weight = split(_next(batches, number, steps))
            logs = BatchLogs(batch=number, size=size_of(x))
            callbacks.call_batch_hook("test", "begin", number, logs)
            results = model._test_natively(x, y, weight)
            logs.update(zip(model.metrics_names, results, strict=True))
            callbacks.call_batch_hook("test", "end", number, logs)
            if progress is not None:
                progress.update(number + 1)
    callbacks.on_test_end()
    return unpack_singleton([float(v) if np.ndim(v) == 0 else v for v in map(on_host, results)])


def predict(model: Any, source: Source, callbacks: Any = None, verbose: int = 0) -> Any:
    """The outputs over the batches."""
    steps = source.length()
    callbacks = configured(model, callbacks, {"steps": steps, "verbose": verbose})
    callbacks.model.stop_training = False
    callbacks.on_predict_begin()
    progress = Progbar(target=steps) if verbose == 1 else None
    parts: list[list[np.ndarray]] = []
    with ExitStack() as stack:
        batches, _ = source.open(stack)
        for number in range(steps):
            x = split(_next(batches, number, steps), targets=False)[0]
            logs: dict[str, Any] = {"batch": number, "size": size_of(x)}
            callbacks.call_batch_hook("predict", "begin", number, logs)
            parts.append(to_list(model.predict_on_batch(x)))
            callbacks.call_batch_hook("predict", "end", number, {**logs, "outputs": parts[-1]})
            if progress is not None:
                progress.update(number + 1)
    callbacks.on_predict_end()
    return unpack_singleton([np.concatenate(outputs) for outputs in zip(*parts, strict=True)])
