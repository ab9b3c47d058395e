"""Batches that come from elsewhere: `Sequence`, and queues that fetch batches ahead in threads or processes."""

from __future__ import annotations

import multiprocessing
import queue
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore.errors import DataError

#: What a generator's worker returns when the generator is at its end.
_END = "kcore: the generator is at its end"
#: The sequence or generator of a worker process, set when the process starts.
_shared: Any = None


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


def iterate_forever(sequence: Any) -> Iterator[Any]:
    """The batches of a Sequence, over and over."""
    while True:
        yield from sequence


class SequenceEnqueuer:
    """Base of the two queues: a thread hands tasks to workers, `get` yields their results in order.

    Args:
        sequence: a Sequence or a generator.
        use_multiprocessing: whether workers are processes.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self.workers = 0
        self._seed = 0
        self.queue: queue.Queue[Any] = queue.Queue()
        self.stop_signal = threading.Event()
        self.run_thread: threading.Thread | None = None

    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self.run_thread is not None and not self.stop_signal.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Begin to fetch, with so many workers and at most so many batches ahead."""
        self.workers = workers
        self.queue = queue.Queue(max_queue_size)
        self.stop_signal = threading.Event()
        if self.use_multiprocessing:  # drawn here, where a program's draws have an order
            self._seed = int(np.random.randint(10**7))  # noqa: NPY002 - the global state is Keras 2's contract
        self.run_thread = threading.Thread(target=self._run_safely, daemon=True)
        self.run_thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop fetching and wait for the thread."""
        self.stop_signal.set()
        with self.queue.mutex:
            self.queue.queue.clear()
            self.queue.unfinished_tasks = 0
            self.queue.not_full.notify_all()
            self.queue.all_tasks_done.notify_all()
        if self.run_thread is not None and self.run_thread is not threading.current_thread():
            self.run_thread.join(timeout)

    def get(self) -> Iterator[Any]:
        """The batches. An error in a worker is raised here."""
        try:
            while self.is_running():
                result = self._next_result()
                if isinstance(result, str) and result == _END:
                    return
                yield result
        finally:
            self.stop()

    def _next_result(self) -> Any:
        future = self.queue.get(block=True)
        try:
            if isinstance(future, BaseException):
                raise future
            return future()
        finally:
            self.queue.task_done()

    def _put(self, item: Any) -> bool:
        """Queue a task; False when fetching was stopped while it waited."""
        while not self.stop_signal.is_set():
            try:
                self.queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def _run_safely(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - it is raised again where the batches are read
            self._put(error)

    @contextmanager
    def _executor(self) -> Iterator[Callable[..., Callable[[], Any]]]:
        """`submit(index)` gives a function that waits for the result."""
        if self.use_multiprocessing:
            with multiprocessing.Pool(self.workers, _start_worker, (self.sequence, self._seed)) as pool:
                yield lambda *task: pool.apply_async(_process_task, task).get
        else:
            with ThreadPoolExecutor(self.workers) as threads:
                yield lambda *task: threads.submit(self._task, *task).result

    def _task(self, *task: Any) -> Any:
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError


class OrderedEnqueuer(SequenceEnqueuer):
    """Fetches a Sequence's batches, epoch after epoch.

    Args:
        sequence: a Sequence.
        use_multiprocessing: whether workers are processes.
        shuffle: whether each epoch has its own random order of batches.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle
        self.end_of_epoch_signal = threading.Event()

    def _task(self, *task: Any) -> Any:
        return self.sequence[task[0]]

    def _run(self) -> None:
        while not self.stop_signal.is_set():
            with self._executor() as submit:  # new for each epoch: processes must see what on_epoch_end changed
                self._epoch(submit)
            if not self.stop_signal.is_set():
                self.sequence.on_epoch_end()
                self.end_of_epoch_signal.set()

    def _epoch(self, submit: Callable[..., Callable[[], Any]]) -> None:
        """Hand out all batches, and wait until they were read."""
        order = list(range(len(self.sequence)))
        if not order:
            raise DataError(f"The Sequence {type(self.sequence).__name__} has no batches: its length is 0.")
        if self.shuffle:
            random.shuffle(order)
        for index in order:
            if not self._put(submit(index)):
                return
        with self.queue.all_tasks_done:
            while self.queue.unfinished_tasks and not self.stop_signal.is_set():
                self.queue.all_tasks_done.wait(0.2)

    def join_end_of_epoch(self) -> None:
        """Wait until the Sequence has been told of the end of the epoch."""
        self.end_of_epoch_signal.wait(timeout=30)
        self.end_of_epoch_signal.clear()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Fetches a generator's batches; threads take turns, processes have a copy of the generator each.

    Args:
        sequence: a generator.
        use_multiprocessing: whether workers are processes.
        wait_time, random_seed: accepted for old code.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, wait_time: float | None = None,
                 random_seed: int | None = None) -> None:  # fmt: skip
        super().__init__(sequence, use_multiprocessing)
        self.random_seed = random_seed
        self._turn = threading.Lock()

    def _task(self, *task: Any) -> Any:
        with self._turn:
            return next(self.sequence, _END)

    def _run(self) -> None:
        with self._executor() as submit:
            while self._put(submit()):
                pass


def _start_worker(shared: Any, seed: int) -> None:
    global _shared
    _shared = shared
    np.random.seed((seed + (multiprocessing.current_process().ident or 0)) % 2**32)  # noqa: NPY002


def _process_task(*task: Any) -> Any:
    """Runs in a worker process: a batch of the Sequence, or the next of the generator."""
    return _shared[task[0]] if task else next(_shared, _END)
