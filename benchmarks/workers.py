"""The parent's side of a worker: start it, give it one order, wait for the answer, end it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 600.0


class WorkerError(Exception):
    """A contender cannot take part, or failed at an order; the text goes into the table."""


def environment(backend: str, threads: int, home: str, native_tuned: bool = False) -> dict[str, str]:
    """The environment of every worker: one backend, the CPU only, and the same threads for all."""
    count = str(threads)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "KCORE_BACKEND": backend,
        "KERAS_BACKEND": backend,
        "KERAS_HOME": home,
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "NPROC": count,
        "BENCHMARK_NATIVE_TUNED": "1" if native_tuned else "0",
    }


class Worker:
    """One contender's process. Use as a context manager."""

    def __init__(self, contender: str, backend: str, threads: int, native_tuned: bool = False) -> None:
        self.contender = contender
        self._home = tempfile.TemporaryDirectory(prefix="kcore-bench-")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", "--contender", contender, "--backend", backend,
             "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=ROOT,
            env=environment(backend, threads, self._home.name, native_tuned),
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Move the process's answers into the queue; an empty line says that it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def hello(self) -> dict[str, Any]:
        """The worker's greeting, with the version it measures."""
        return self._receive()

    def order(self, order: str, **arguments: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        self._send({"order": order, **arguments})
        return self._receive()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise WorkerError("the process has ended") from error

    def _receive(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=TIMEOUT_S)
        except queue.Empty:
            self._process.kill()
            raise WorkerError(f"no answer within {TIMEOUT_S:.0f} s") from None
        if not line:
            raise WorkerError(f"the process has ended: {self._last_words()}")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise WorkerError(message["error"])
        return message

    def _last_words(self) -> str:
        """The last line that the process wrote to stderr."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else f"exit status {self._process.wait()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(WorkerError):
            self._send({"order": "quit"})
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._log.close()
        self._home.cleanup()
