"""Worker processes as the scheduler sees them (worker.py is what they run): a pool that shares out groups of units.

Workers are fresh interpreters, not forks: frameworks with threads do not survive a fork. A worker that dies or hangs
costs the unit that it ran, with the arguments that it ran on; another takes its place. One that has grown too large is
renewed between subjects.
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from kcore.errors import ArgumentError, BackendError
from kcore_conformance import plain, replay
from kcore_conformance.plan import Unit
from kcore_conformance.replay import Example
from kcore_conformance.result import Outcome
from kcore_conformance.settings import Selection
from kcore_conformance.trial import SHRINKING

#: Says how many examples are drawn for a unit when its time comes; None leaves it out.
Grant = Callable[[Unit], int | None]

#: MiB of a worker above which it is renewed.
RENEW_ABOVE = 1536

#: Seconds that loading the backend may take.
_LOADING = 300.0

#: Workers that may die in one run before the rest is given up.
_DEATHS = 25

_COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from kcore_conformance.worker import main; main()"
)


@dataclass(frozen=True)
class Done:
    """A unit for which `count` examples were drawn in this turn; no outcome where it was left out."""

    unit: Unit
    count: int
    outcome: Outcome | None


@dataclass(frozen=True)
class Start:
    """What a worker is told first; `Bench` knows what the rest means."""

    backend: str
    plugins: tuple[str, ...] = ()
    strict: bool = False
    shrinking: float = SHRINKING


class DiedError(Exception):
    """The worker's process has ended, by itself or because its time was out."""


class Pool:
    """Some workers that share groups of units.

    Args:
        jobs: how many.
        start: what each is told first.
        timeout: seconds for one unit.
    """

    def __init__(self, jobs: int, start: Start, timeout: float) -> None:
        self.jobs = jobs
        self.deaths = 0
        self.timeout = timeout
        self._closed = False
        self._workers = [_Worker(start) for _ in range(jobs)]

    @property
    def memory(self) -> int:
        """MiB of the largest worker so far."""
        return max(w.memory for w in self._workers)

    def load(self) -> None:
        """Start one worker: a backend that cannot be loaded is told once, before anything else.

        Raises:
            BackendError: it cannot.
        """
        self._workers[0].begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._closed = True
        for worker in self._workers:
            worker.end()

    def plan(self, selection: Selection) -> list[Unit]:
        """The units of a selection that apply to the backend."""
        return [Unit(**x) for x in self._ask({"plan": asdict(selection)})["units"]]

    def stale(self) -> list[Outcome]:
        """Errors for declared deviations that concern nothing in the suite."""
        return [Outcome.from_dict(x) for x in self._ask({"stale": True})["outcomes"]]

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self._workers[0].begin()  # it may have been let go
        return self._workers[0].ask(question, self.timeout)

    def run(self, groups: list[list[Unit]], grant: Grant, turn: int) -> Iterator[Done]:
        """Run all units; they come in the order in which they are finished."""
        # Checks and large groups first: what is long must not be begun last.
        waiting = sorted(groups, key=lambda g: (g[0].kind != "check", -len(g)))
        todo: queue.SimpleQueue[list[Unit]] = queue.SimpleQueue()
        for group in waiting:
            todo.put(group)
        done: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        for worker in self._workers:
            threading.Thread(target=self._serve, args=(worker, todo, grant, turn, done), daemon=True).start()
        working = len(self._workers)
        while working:
            item = done.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                working -= 1
            else:
                yield item

    def _serve(self, worker: _Worker, todo: queue.SimpleQueue[list[Unit]], grant: Grant, turn: int,
               done: queue.SimpleQueue[Any]) -> None:  # fmt: skip
        try:
            while True:
                try:
                    group = todo.get_nowait()
                except queue.Empty:
                    break
                for unit in group:
                    if self._closed:
                        return
                    count = grant(unit)
                    outcome = None if count is None else self._outcome(worker, unit, count, turn)
                    done.put(Done(unit, count or 0, outcome))
                worker.rest()
        except BaseException as error:  # noqa: BLE001 - raised again where the results are read
            done.put(error)
        finally:
            done.put(None)

    def _outcome(self, worker: _Worker, unit: Unit, count: int, turn: int) -> Outcome:
        if self.deaths >= _DEATHS:
            message = f"not run: {self.deaths} workers have died before"
            return unit.outcome("failed", message=message, replay=unit.name)
        try:
            worker.begin()
            answer = worker.ask({"unit": asdict(unit), "count": count, "turn": turn}, self.timeout)
        except (DiedError, BackendError) as error:
            self.deaths += 1
            last = worker.last_example(unit)
            message = f"{error}\n    with {plain.show(last.arguments)}" if last.arguments else str(error)
            return unit.outcome("failed", examples=1, message=message, replay=last.token())
        return Outcome.from_dict(answer["outcome"])


class _Worker:
    """One worker process, as the scheduler sees it."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.memory = 0
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._log: IO[bytes] | None = None
        self._late = False

    def begin(self) -> None:
        """Start the process and load the backend, if it does not run.

        Raises:
            BackendError: the backend cannot be loaded.
        """
        if self._process is not None:
            return
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="kcore-conformance-")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-X", "faulthandler", "-c", _COMMAND, json.dumps(sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, encoding="utf-8",
        )  # fmt: skip
        try:
            answer = self.ask({**asdict(self.start), "box": str(self._box)}, _LOADING)
        except DiedError as error:
            raise BackendError(f"The backend {self.start.backend!r} cannot be loaded: {error}") from error
        if "error" in answer:
            self.stop()
            raise BackendError(answer["error"])

    @property
    def _box(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "example.json"

    def ask(self, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send a message and wait for the answer.

        Raises:
            DiedError: the process ended, or took longer than `timeout` seconds and was ended.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        self._late = False
        timer = threading.Timer(timeout, self._kill_late)
        timer.start()
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise DiedError(self._epitaph(timeout))
        answer: dict[str, Any] = json.loads(line)
        self.memory = max(self.memory, answer.get("memory", 0))
        return answer

    def _kill_late(self) -> None:
        self._late = True
        if self._process is not None:
            self._process.kill()

    def _epitaph(self, timeout: float) -> str:
        """Why the process ended; it is forgotten."""
        assert self._process is not None
        status = self._process.wait()
        if self._late:
            text = f"no answer within {timeout:.0f} s: the worker process was ended"
        else:
            text = f"the worker process died ({_status(status)})"
            last = self._last_words()
            text += f": {last}" if last else ""
        self.stop()
        return text

    def _last_words(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = [x for x in self._log.read()[-65536:].decode(errors="replace").splitlines() if x.strip()]
        fatal = [x for x in lines if x.startswith("Fatal Python error")]
        return (fatal or lines or [""])[-1].strip()[:300]

    def last_example(self, unit: Unit) -> Example:
        """What ran when the process died."""
        try:
            (example,) = replay.read(str(self._box))
        except ArgumentError:  # nothing was written, or only in part
            return Example(unit)
        return example if example.unit.name == unit.name else Example(unit)

    def rest(self) -> None:
        """Between two subjects: let the worker free what it can; renew it when it is too large all the same."""
        if self._process is None:
            return
        with contextlib.suppress(DiedError):
            if self.ask({"free": True}, _LOADING)["now"] > RENEW_ABOVE:
                self.stop()

    def stop(self) -> None:
        """End the process; `begin` starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def end(self) -> None:
        """End the process for good."""
        self.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _status(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"
