"""Batches that come from elsewhere: `Sequence`, and queues that fetch batches ahead in threads or processes."""

from __future__ import annotations

import itertools
import queue
import random
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, EmptyDataError
from kcore.utils.workers import Pool, Process, seeded

_numbers = itertools.count()


class _End:
    """In place of a batch: the generator is at its end."""


class _Stopped:
    """In place of a batch: nobody fetches any more."""


def __getattr__(name: str) -> Any:
    if name in ("get_file", "validate_file"):  # their place in Keras; the network is imported when they are
        from kcore.utils import download

        return getattr(download, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Sequence:
    """A data set in batches: safer with several workers than a generator, and it knows its length.

    Subclasses write `__getitem__(index)`, which returns a batch `(x, y)` or `(x, y, sample_weight)`, and `__len__`,
    the number of batches; `on_epoch_end` may reshuffle.
    """

    use_sequence_api = True

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__(index).")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__().")

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def is_sequence(x: Any) -> bool:
    """Whether `x` is a `Sequence`, or has all that one has."""
    if isinstance(x, type):
        return False
    return getattr(x, "use_sequence_api", False) or all(
        hasattr(x, name) for name in ("__getitem__", "__len__", "on_epoch_end")
    )


def iterate_forever(sequence: Any, start: int = 0) -> Iterator[Any]:
    """The batches of a Sequence, over and over; the first time from batch `start` on."""
    if start:
        yield from (sequence[i] for i in range(start, len(sequence)))
    while True:
        yield from sequence


class SequenceEnqueuer:
    """Base of the two queues: a thread hands tasks to workers, `get` yields their results in order.

    Args:
        sequence: a Sequence or a generator.
        use_multiprocessing: whether workers are processes. They are started as `multiprocessing` is set to
            (`multiprocessing.set_start_method`); spawned ones need a `sequence` that can be pickled.

    Attributes:
        queue: futures of batches, in their order.
        run_thread: the thread that hands out tasks.
        stop_signal: an event; set once it is stopped.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self.uid = next(_numbers)
        self.workers = 0
        self.queue: queue.Queue[Any] = queue.Queue()
        self.stop_signal: threading.Event | None = None
        self.run_thread: threading.Thread | None = None
        self._seed = 0
        self._pool: Pool | None = None

    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self.stop_signal is not None and not self.stop_signal.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Begin to fetch.

        Args:
            workers: number of threads or processes.
            max_queue_size: at most so many batches are fetched ahead; any number when 0.

        Raises:
            ArgumentError: there are no workers.
            WorkerError: the sequence cannot be sent to a process.
        """
        if workers < 1:
            raise ArgumentError(f"An enqueuer needs 1 worker at least, got workers={workers}.")
        self.workers = workers
        self.queue = queue.Queue(max_queue_size)
        self.stop_signal = threading.Event()
        if self.use_multiprocessing:  # drawn here, where a program's draws have an order
            self._seed = self._draw_seed()
        self._pool = self._new_pool(0)  # here as well: this thread is the safest to fork in, and can hear of errors
        self.run_thread = threading.Thread(target=self._run_safely, daemon=True)
        self.run_thread.start()

    def _draw_seed(self) -> int:
        return int(np.random.randint(10**7))  # noqa: NPY002 - the global state is Keras 2's contract

    def stop(self, timeout: float | None = None) -> None:
        """Stop fetching. Returns when the thread has ended, or after `timeout` seconds; twice is once."""
        if self.stop_signal is None:
            return
        self.stop_signal.set()
        with self.queue.mutex:
            self.queue.queue.clear()
            self.queue.queue.append(_Stopped)  # for whoever waits for a batch
            self.queue.unfinished_tasks = 0
            self.queue.not_empty.notify_all()
            self.queue.not_full.notify_all()
            self.queue.all_tasks_done.notify_all()
        if self.run_thread is not None and self.run_thread is not threading.current_thread():
            self.run_thread.join(timeout)

    def get(self) -> Iterator[Any]:
        """The batches, without those that are None. An error in a worker is raised here."""
        try:
            while self.is_running():
                result = self._next_result()
                if result is _End:
                    yield from self._rest()
                    return
                if result is _Stopped:
                    return
                if result is not None:
                    yield result
        finally:
            self.stop()

    def _next_result(self) -> Any:
        item = self.queue.get(block=True)
        if item is _Stopped:
            return item
        try:
            if isinstance(item, BaseException):
                raise item
            return self._result(item)
        finally:
            with suppress(ValueError):  # stopped meanwhile: nothing is counted any more
                self.queue.task_done()

    def _result(self, future: Future[Any]) -> Any:
        """The future's result, unless fetching is stopped while it is awaited."""
        while True:
            try:
                return future.result(timeout=0.5)
            except TimeoutError:
                if future.done():
                    raise  # the task's own
                if not self.is_running():
                    return _Stopped

    def _rest(self) -> Iterator[Any]:
        """At the end of a generator: what other workers were asked for before."""
        for _ in range(self.queue.qsize()):
            result = self._next_result()
            if result is _Stopped:
                return
            if result is not None and result is not _End:
                yield result

    def _put(self, item: Any) -> bool:
        """Queue a task; False when fetching was stopped while it waited."""
        while self.is_running():
            try:
                self.queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def _run_safely(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the batches are read
            self._put(error)
        finally:
            if self._pool is not None:
                self._pool.stop()

    def _submit(self, *task: Any) -> bool:
        """Hand out a task and queue its future; False when fetching was stopped."""
        assert self._pool is not None
        return self._put(self._pool.submit(*task))

    def _new_pool(self, epoch: int) -> Pool:
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError


class OrderedEnqueuer(SequenceEnqueuer):
    """Fetches a Sequence's batches, epoch after epoch, in one order however many workers there are.

    Args:
        sequence: a Sequence.
        use_multiprocessing: whether workers are processes. Before each batch they seed the global random generators, so
            that what `__getitem__` draws depends on the program's seed, epoch and batch alone.
        shuffle: whether each epoch has its own random order of batches.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle
        self.end_of_epoch_signal = threading.Event()
        #: Held while an order is drawn: nobody else can tell when this thread takes numbers from `random`.
        self.drawing = threading.RLock()
        self._drawn = 0
        self._recent: deque[list[int]] = deque(maxlen=2)  # this thread is at most one epoch ahead of the reader
        self._given: list[list[int]] = []
        self._given_seed: int | None = None
        self._epochs_before = 0
        self._first = 0

    def begin_at(self, epoch: int, first: int, orders: list[list[int]], seed: int | None) -> None:
        """Before the start: begin with a later epoch and batch, with the orders and the seed that were drawn for it."""
        self._epochs_before, self._first, self._given, self._given_seed = epoch, first, list(orders), seed

    @property
    def seed(self) -> int:
        """What draws of processes depend on."""
        return self._seed

    def _draw_seed(self) -> int:
        return super()._draw_seed() if self._given_seed is None else self._given_seed

    def orders(self, done: int) -> list[list[int]]:
        """The orders drawn for the epochs after the first `done`."""
        count = self._drawn - done
        return list(self._recent)[-count:] if count else []

    def _new_pool(self, epoch: int) -> Pool:
        if self.use_multiprocessing:
            return Pool([Process(_seeded_batch, self.sequence, self._seed, n) for n in range(self.workers)])
        return Pool([self._batch] * self.workers)

    def _batch(self, index: int, *_: Any) -> Any:
        return self.sequence[index]

    def _run(self) -> None:
        assert self._pool is not None
        for epoch in itertools.count(self._epochs_before):
            if epoch > self._epochs_before and self.use_multiprocessing:
                self._pool = self._new_pool(epoch)  # processes must see what on_epoch_end changed
            if not self._epoch(epoch):
                return
            if self.use_multiprocessing:
                self._pool.stop()
            self.sequence.on_epoch_end()
            self.end_of_epoch_signal.set()

    def _epoch(self, epoch: int) -> bool:
        """Hand out all batches, and wait until they were read; False when fetching was stopped."""
        with self.drawing:
            order = self._given.pop(0) if self._given else self._order()
            self._drawn += 1
            self._recent.append(order)
        first, self._first = self._first, 0
        for index in order[first:]:
            if not self._submit(index, self._seed, epoch):
                return False
        with self.queue.all_tasks_done:
            while self.queue.unfinished_tasks and self.is_running():
                self.queue.all_tasks_done.wait(0.2)
        return self.is_running()

    def _order(self) -> list[int]:
        order = list(range(len(self.sequence)))
        if not order:
            raise EmptyDataError(f"The Sequence {type(self.sequence).__name__} has no batches: its length is 0.")
        if self.shuffle:
            random.shuffle(order)
        return order

    def join_end_of_epoch(self) -> None:
        """Wait until the Sequence has been told of the end of the epoch."""
        while not self.end_of_epoch_signal.wait(timeout=0.2):
            if self.run_thread is None or not self.run_thread.is_alive():
                return
        self.end_of_epoch_signal.clear()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Fetches a generator's batches ahead.

    Args:
        sequence: a generator or iterator. With threads there is one that reads it, however many workers are asked for:
            iterators run one `next` at a time. Each process reads a copy of its own, which repeats the data.
        use_multiprocessing: whether workers are processes.
        wait_time: accepted for old code.
        random_seed: of the processes' global random generators, which differ; drawn when None.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, wait_time: float | None = None,
                 random_seed: int | None = None) -> None:  # fmt: skip
        super().__init__(sequence, use_multiprocessing)
        self.random_seed = random_seed

    def _new_pool(self, epoch: int) -> Pool:
        if not self.use_multiprocessing:
            return Pool([lambda: next(self.sequence, _End)])
        seed = self._seed if self.random_seed is None else self.random_seed
        return Pool([Process(_next_batch, self.sequence, seed, n) for n in range(self.workers)])

    def _run(self) -> None:
        while self._submit():
            pass


def _seeded_batch(sequence: Any, index: int, seed: int, epoch: int) -> Any:
    """Runs in a worker process: a batch of the Sequence."""
    seeded(seed, epoch, index)
    return sequence[index]


def _next_batch(generator: Any) -> Any:
    """Runs in a worker process: the next batch of the generator."""
    return next(generator, _End)
