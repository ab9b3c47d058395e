"""Workers that prepare batches: daemon threads, each with a process of its own if so wished.

A worker that fails, dies or is stopped always answers; nobody waits for one that cannot. Knows nothing of batches.
"""

from __future__ import annotations

import multiprocessing
import queue
import random
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from kcore.errors import WorkerError

#: How long a pool that is stopped waits for tasks that cannot be interrupted.
_GRACE = 1.0
#: A process that is forked holds copies of all open pipes: one at a time, so that none holds another's end.
_forking = threading.Lock()


def seeded(*numbers: int) -> None:
    """Seed NumPy's and Python's global generators from several numbers."""
    state = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    np.random.seed(state)  # noqa: NPY002 - the global state is what users' code draws from
    random.seed(state)


class Pool:
    """Threads that take tasks from one queue.

    Args:
        workers: one function per thread, which runs its tasks; those with a method `stop` are stopped with the pool.
    """

    def __init__(self, workers: Sequence[Callable[..., Any]]) -> None:
        self._workers = list(workers)
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopped = threading.Event()
        # Daemons: a generator that waits for something that never comes must not keep the program from ending.
        self._threads = [threading.Thread(target=self._serve, args=(w,), daemon=True) for w in self._workers]
        for thread in self._threads:
            thread.start()

    def submit(self, *task: Any) -> Future[Any]:
        """Have a worker run the task."""
        future: Future[Any] = Future()
        self._tasks.put((future, task))
        return future

    def stop(self) -> None:
        """Drop what has not begun, end processes, and wait a moment for threads."""
        self._stopped.set()
        while not self._tasks.empty():
            item = self._tasks.get()
            if item is not None:
                item[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for worker in self._workers:
            if hasattr(worker, "stop"):
                worker.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_GRACE / len(self._threads))

    def _serve(self, run: Callable[..., Any]) -> None:
        while (item := self._tasks.get()) is not None and not self._stopped.is_set():
            future, task = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = run(*task)
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is read
                future.set_exception(error)
            else:
                future.set_result(result)
            del item, future  # results are large


class Process:
    """A process that keeps a copy of `shared` and answers `call(shared, *task)` for one task after the other.

    Args:
        call: a function of a module, so that it can be sent.
        shared: sent once. It must be picklable where processes are spawned instead of forked.
        seed: numbers that NumPy's and Python's global generators are seeded from in the process.

    Raises:
        WorkerError: the process cannot be started.
    """

    def __init__(self, call: Callable[..., Any], shared: Any, *seed: int) -> None:
        with _forking:
            self._connection, theirs = multiprocessing.Pipe()
            self._process = multiprocessing.Process(target=_serve, args=(theirs, call, shared, seed), daemon=True)
            try:
                self._process.start()
            except Exception as error:
                self._connection.close()
                raise WorkerError(
                    f"Cannot send {type(shared).__name__} to a worker process: {error}. Where they are spawned "
                    "it must be picklable, which generators are not: use a keras.utils.Sequence that can be "
                    "pickled, or threads (use_multiprocessing=False)."
                ) from error
            finally:
                theirs.close()

    def __call__(self, *task: Any) -> Any:
        """The answer to a task. Raises what the task raised, or WorkerError when the process died."""
        try:
            self._connection.send(task)
            answer = self._answer()
        except (EOFError, OSError):
            answer = None
        if answer is None:
            self._process.join(_GRACE)
            raise WorkerError(
                f"A worker process died (exit code {self._process.exitcode}) before it could deliver a batch. Did it "
                "run out of memory? Where processes are spawned, the script must start them under `if __name__ == "
                "'__main__':`. workers=0 prepares batches in this process and shows its errors."
            )
        good, result, where = answer
        if good:
            return result
        result.add_note(f"In a worker process:\n{where}")
        raise result

    def _answer(self) -> Any:
        """What the process sends; None when it is dead."""
        while self._connection not in wait([self._connection, self._process.sentinel], timeout=1.0):
            if not self._process.is_alive() and not self._connection.poll():
                return None
        return self._connection.recv()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, call: Callable[..., Any], shared: Any, seed: Sequence[int]) -> None:
    """The life of a process: until its parent hangs up, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    seeded(*seed)
    parent = multiprocessing.parent_process()
    watched: list[Any] = [connection, *([parent.sentinel] if parent is not None else ())]
    while connection in wait(watched):
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(call, shared, task))


def _answer(call: Callable[..., Any], shared: Any, task: Sequence[Any]) -> Any:
    """What is sent for a task: (True, result, ""), or (False, error, its traceback)."""
    try:
        result = call(shared, *task)
    except BaseException as error:  # noqa: BLE001 - it is raised in the parent
        return _failure(error)
    try:
        return ForkingPickler.dumps((True, result, ""))
    except Exception as error:  # noqa: BLE001 - whatever a class of the user's does when it is pickled
        return _failure(WorkerError(f"What a worker process prepared cannot be sent, as it cannot be pickled: {error}"))


def _failure(error: BaseException) -> Any:
    """An error to be sent; those that cannot be are described."""
    where = traceback.format_exc()
    try:
        sent = ForkingPickler.dumps((False, error, where))
        ForkingPickler.loads(sent)
    except Exception:  # noqa: BLE001 - whatever a class of the user's does when it is pickled
        described = WorkerError(f"A worker process failed: {type(error).__name__}: {error}")
        return ForkingPickler.dumps((False, described, where))
    return sent
