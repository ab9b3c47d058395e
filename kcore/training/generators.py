"""Epochs over generators, Sequences and loaders: the loops of `fit_generator` and its kin."""

from __future__ import annotations

import inspect
import itertools
import math
from collections import abc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore import callbacks as cbks
from kcore.errors import ArgumentError, ArgumentTypeError, DataEndedError, DataError, EmptyDataError
from kcore.training.logs import BatchLogs, on_host
from kcore.training.loops import Cadence, Feed, configured, evaluate_loop, should_run_validation
from kcore.training.places import FROM_THE_START, Begin, Place, Places
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
    data = isinstance(x, (abc.Sequence, Mapping, str, bytes)) or hasattr(x, "shape") or hasattr(x, "iloc")
    return not data and hasattr(x, "__iter__") and not hasattr(x, "__array__") and not is_generator_or_sequence(x)


def yields_batches(x: Any) -> bool:
    """Whether `x` is a generator, a Sequence or a loader, and no data."""
    return is_generator_or_sequence(x) or is_loader(x)


def checked_steps(steps: Any, name: str) -> int | None:
    """A number of batches. Fractions, as `len(x) / batch_size` gives them, are rounded up. None stays None.

    >>> checked_steps(3.2, "steps")
    4
    """
    if steps is None:
        return None
    if isinstance(steps, bool) or not isinstance(steps, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(f"`{name}` is a positive number of batches, got {steps!r}.")
    if not 0 < steps < math.inf:
        raise ArgumentError(f"`{name}` is a positive number of batches, got {steps!r}.")
    return math.ceil(steps)


@dataclass(frozen=True)
class Source:
    """A generator, Sequence or loader, and how its batches are fetched.

    Attributes:
        batches: what yields them.
        steps: number of batches that are wanted; None for all of a Sequence, or of a loader's pass.
        name: of the argument `steps`, for errors.
        workers: number of parallel fetchers; 0 fetches in this thread. Loaders have workers of their own.
        processes: whether they are processes in place of threads.
        queue: how many batches are fetched ahead.
        shuffle: whether a Sequence's batches come in a random order.
    """

    batches: Any
    steps: int | None
    name: str = "steps"
    workers: int = 1
    processes: bool = False
    queue: int = 10
    shuffle: bool = False

    @property
    def ordered(self) -> bool:
        """Whether the source is a Sequence."""
        return bool(is_sequence(self.batches))

    @property
    def is_loader(self) -> bool:
        """Whether each pass over it is an epoch."""
        return is_loader(self.batches)

    def length(self) -> int | None:
        """The number of batches; None for a loader that cannot tell. Raises ArgumentError for a generator."""
        if self.steps is not None:
            return self.steps
        if self.ordered:
            return self._counted()
        if self.is_loader:
            try:
                return self._counted()
            except TypeError as error:
                if "infinite" not in str(error):
                    return None
                raise ArgumentError(
                    f"The data loader {type(self.batches).__name__} never ends. How many batches make an epoch? Pass "
                    f"`{self.name}`."
                ) from None
        raise ArgumentError(
            f"`{self.name}=None` is only valid for a generator based on the `keras.utils.Sequence` class: how many "
            f"batches make an epoch? Pass `{self.name}`."
        )

    def _counted(self) -> int:
        found = len(self.batches)
        if not found:
            raise self.empty()
        return found

    def empty(self) -> EmptyDataError:
        """The error for a source without batches."""
        return EmptyDataError(f"The {type(self.batches).__name__} that was given is empty: it has no batches.")

    def open(self, stack: ExitStack, begin: Begin = FROM_THE_START) -> Stream:
        """Start fetching; what fetches is stopped when the stack closes. A Sequence begins where `begin` says."""
        if self.is_loader:
            return Stream(self, forever(self.batches) if self.steps is not None else None)
        if self.workers <= 0:
            return Stream(self, iterate_forever(self.batches, begin.first) if self.ordered else self.batches)
        enqueuer: Any
        if self.ordered:
            enqueuer = OrderedEnqueuer(self.batches, use_multiprocessing=self.processes, shuffle=self.shuffle)
            enqueuer.begin_at(begin.epoch, begin.first, list(begin.orders), begin.seed)
        else:
            enqueuer = GeneratorEnqueuer(self.batches, use_multiprocessing=self.processes)
        enqueuer.start(workers=self.workers, max_queue_size=self.queue)
        stack.callback(enqueuer.stop)
        return Stream(self, enqueuer.get(), enqueuer)


def forever(loader: Any) -> Iterator[Any]:
    """A loader's passes, one after the other; ends when one has no batches."""
    empty = False
    while not empty:
        empty = True
        for item in loader:
            empty = False
            yield item


class Stream:
    """The open end of a source: the batches of one epoch after the other.

    Args:
        source: what was opened.
        items: its batches without end; None for a loader that starts anew with each epoch.
        enqueuer: fetches them ahead, or None.
    """

    def __init__(self, source: Source, items: Iterator[Any] | None, enqueuer: Any = None) -> None:
        self.source = source
        self.enqueuer = enqueuer
        self._items = items

    def epoch(self, steps: int | None) -> Iterator[Any]:
        """So many batches, or those there are; those of one pass when None."""
        items = iter(self.source.batches) if self._items is None else self._items
        for item in items if steps is None else itertools.islice(items, steps):
            collated = self.source.is_loader and isinstance(item, list)  # loaders make lists of samples' tuples
            yield tuple(item) if collated else item

    def check(self, done: int, steps: int | None) -> None:
        """Raise an error when an epoch had fewer batches than steps, or none."""
        if not done and steps is None:
            raise self.source.empty()
        if steps is not None and done < steps:
            raise DataEndedError(
                f"The generator ran out of data after {done} batch{'' if done == 1 else 'es'} of an epoch of {steps}. "
                f"Let it loop forever (`while True:`), or ask for fewer batches by `{self.source.name}`."
            )


def split(item: Any, *, targets: bool = True, loader: bool = False) -> tuple[Any, Any, Any]:
    """Inputs, targets and sample weights of what a generator or loader yields. Raises DataError."""
    if not targets and not isinstance(item, tuple):
        return item, None, None
    if isinstance(item, (tuple, list)) and len(item) in (2, 3):
        return (*item, None) if len(item) == 2 else tuple(item)  # type: ignore[return-value]
    if loader and (not isinstance(item, (tuple, list)) or len(item) == 1):
        return (item[0] if isinstance(item, (tuple, list)) else item), None, None
    raise DataError(
        f"A generator yields tuples (x, y) or (x, y, sample_weight); got {type(item).__name__}"
        + (f" of length {len(item)}." if hasattr(item, "__len__") else f": {item!r:.80}.")
    )


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
        validation = Place(self.validation, draws=False) if isinstance(self.validation, Source) else None
        places = Places(Place(self.source), validation)
        progress = Progress(model, callbacks, self.initial_epoch, places)
        with ExitStack() as stack:
            if validation is not None:
                validation.open(stack, kept=progress.kept)
            places.train.open(stack, kept=progress.kept)
            progress.data_skipped()
            places.go()
            self._epochs(places, progress)
        callbacks.on_train_end()
        return model.history

    def _epochs(self, places: Places, progress: Progress) -> None:
        model, callbacks = self.model, self.callbacks
        steps = self.source.length()
        validation = places.validation if isinstance(self.validation, Source) else self.validation
        for epoch in range(progress.epoch, progress.epoch if progress.stopped else self.epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            progress.epoch_begun()
            done, size, whole = self._batches(places.train, steps, progress)
            if whole and validation is not None and should_run_validation(self.validation_freq, epoch):
                places.logs = self._validate(validation, size)
            if steps is None:  # a loader that cannot count its batches; now they are counted
                callbacks.set_params({**callbacks.params, "steps": done})
            callbacks.on_epoch_end(epoch, places.logs)
            stopped = callbacks.model.stop_training
            if not stopped:
                steps = self._between_epochs(places.train, steps)
            progress.epoch_done()
            if stopped:
                break

    def _between_epochs(self, place: Place, steps: int | None) -> int | None:
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

    def _batches(self, place: Place, steps: int | None, progress: Progress) -> tuple[int, int, bool]:
        """The batches of an epoch; returns how many were done, the size of the last, and whether it was the last."""
        model, callbacks, number, size = self.model, self.callbacks, progress.batch - 1, 1
        if progress.batch and callbacks.model.stop_training:  # a callback had stopped the run that is taken up
            return progress.batch, size, progress.batch == steps
        left = None if steps is None else steps - progress.batch
        for number, item in enumerate(place.epoch(left), progress.batch):
            x, y, weight = split(item, loader=self.source.is_loader)
            feed = model._training_feed(x, y, weight, self.class_weight)
            size = feed.samples or 1
            logs = BatchLogs(batch=number, size=size)
            callbacks.call_batch_hook("train", "begin", number, logs)
            logs.update(zip(model.metrics_names, model._train_on(feed), strict=True))
            callbacks.call_batch_hook("train", "end", number, logs)
            # After the last batch a Sequence is being told of the epoch's end by another thread.
            progress.batch_done(number + 1, keep=steps is None or number + 1 < steps)
            if callbacks.model.stop_training:
                return number + 1, size, number + 1 == steps
        place.check(number + 1, steps)
        return number + 1, size, True

    def _validate(self, validation: Any, size: int) -> dict[str, Any]:
        model = self.model
        if isinstance(validation, Feed):
            values = evaluate_loop(model, validation, Cadence(size, None), self.callbacks)
        else:
            values = to_list(evaluate_stream(model, validation, self.callbacks))
        return {f"val_{name}": value for name, value in zip(model.metrics_names, values, strict=True)}


def evaluate(model: Any, source: Source, callbacks: Any = None, verbose: int = 0) -> Any:
    """Loss and metrics over the batches. As in Keras 2, the loss is that of the last batch."""
    steps = source.length()
    with ExitStack() as stack:
        params = {"steps": steps, "verbose": verbose, "metrics": list(model.metrics_names)}
        return evaluate_stream(model, source.open(stack), configured(model, callbacks, params), verbose)


def evaluate_stream(model: Any, stream: Stream | Place, callbacks: cbks.CallbackList, verbose: int = 0) -> Any:
    """The same over the next batches of a source that is open."""
    model.reset_metrics()
    steps = stream.source.length()
    callbacks.model.stop_training = False
    callbacks.on_test_begin()
    progress = Progbar(target=steps) if verbose == 1 else None
    results: Any = ()
    number = -1
    for number, item in enumerate(stream.epoch(steps)):
        x, y, weight = split(item, loader=stream.source.is_loader)
        feed = model._training_feed(x, y, weight)
        logs = BatchLogs(batch=number, size=feed.samples or 1)
        callbacks.call_batch_hook("test", "begin", number, logs)
        results = model._test_on(feed)
        logs.update(zip(model.metrics_names, results, strict=True))
        callbacks.call_batch_hook("test", "end", number, logs)
        if progress is not None:
            progress.update(number + 1)
    stream.check(number + 1, steps)
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
    number = -1
    with ExitStack() as stack:
        stream = source.open(stack)
        for number, item in enumerate(stream.epoch(steps)):
            feed = model._input_feed(split(item, targets=False, loader=source.is_loader)[0])
            logs: dict[str, Any] = {"batch": number, "size": feed.samples or 1}
            callbacks.call_batch_hook("predict", "begin", number, logs)
            parts.append(model._predict_on(feed))
            callbacks.call_batch_hook("predict", "end", number, {**logs, "outputs": parts[-1]})
            if progress is not None:
                progress.update(number + 1)
        stream.check(number + 1, steps)
    callbacks.on_predict_end()
    return unpack_singleton([np.concatenate(outputs) for outputs in zip(*parts, strict=True)])
