"""One contender in one process: reads orders as JSON lines on stdin, answers as JSON lines on stdout.

Orders: `setup` (a workload), `run` (a measure, so many times), `quit`. Whatever a framework prints goes to
stderr, so that the answers stay clean. Started by `workers.Worker`, never by hand.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import json
import os
import sys
from typing import Any, TextIO

from benchmarks.models import WORKLOADS, make_data
from benchmarks.runner import Runner, probe_loss, time_block

NATIVE = {"torch": "torch", "jax": "jax", "tensorflow": "tf"}
PROBE_STEPS = 5


def module_name(contender: str, backend: str) -> str:
    """The module that holds a contender's `make`."""
    if contender == "native":
        return f"benchmarks.native.{NATIVE[backend]}_loops"
    return f"benchmarks.{contender}_loops"


def version_of(contender: str, backend: str) -> str:
    """The version of what is measured, as its import package says it."""
    name = {"native": backend, "keras3": "keras"}.get(contender, contender)
    return str(getattr(importlib.import_module(name), "__version__", "unknown"))


def pin_threads(threads: int) -> None:
    """Keep this process to `threads` cores, which bounds every framework's thread pool alike."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class Session:
    """What the worker holds between orders: the contender's module and the runner of the current workload."""

    def __init__(self, contender: str, backend: str) -> None:
        self.contender, self.backend = contender, backend
        self.runner: Runner | None = None
        self.module = importlib.import_module(module_name(contender, backend))

    def hello(self) -> dict[str, Any]:
        """Who is here."""
        return {"contender": self.contender, "version": version_of(self.contender, self.backend)}

    def setup(self, workload: str) -> dict[str, Any]:
        """Build a workload, make a few steps, and say what was built."""
        self.runner = None
        gc.collect()
        chosen = WORKLOADS[workload]
        self.runner = self.module.make(chosen, make_data(chosen))
        first, last = probe_loss(self.runner, PROBE_STEPS)
        return {"parameters": self.runner.parameters, "first_loss": first, "last_loss": last}

    def run(self, measure: str, count: int, warmup: int) -> dict[str, Any]:
        """Time one block."""
        if self.runner is None:
            raise RuntimeError("run before setup")
        gc.collect()
        return {"seconds": time_block(self.runner, measure, count, warmup)}


def answer(session: Session, order: dict[str, Any]) -> dict[str, Any]:
    """The answer to one order; an exception becomes an answer, so that the other contenders go on."""
    arguments = {key: value for key, value in order.items() if key != "order"}
    try:
        return session.setup(**arguments) if order["order"] == "setup" else session.run(**arguments)
    except Exception as error:  # noqa: BLE001  any failure of a framework is a row of the table
        return {"error": describe(error)}


def describe(error: BaseException) -> str:
    """One line about an exception."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def open_session(contender: str, backend: str) -> tuple[Session | None, dict[str, Any]]:
    """The session and its greeting, or no session and the reason."""
    package = {"native": backend, "keras3": "keras"}.get(contender, contender)
    try:
        session = Session(contender, backend)
        hello = session.hello()
    except ModuleNotFoundError as error:
        reason = "not installed" if error.name in (package, backend) else describe(error)
        return None, {"error": reason}
    except Exception as error:  # noqa: BLE001  a broken installation is a row of the table
        return None, {"error": describe(error)}
    if contender == "keras3" and not hello["version"].startswith("3."):
        return None, {"error": f"not installed (keras is {hello['version']})"}
    return session, hello


def serve(contender: str, backend: str, orders: TextIO, answers: TextIO) -> None:
    """Answer orders until `quit` or the end of the input."""

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    session, hello = open_session(contender, backend)
    send(hello)
    if session is None:
        return
    for line in orders:
        order = json.loads(line)
        if order["order"] == "quit":
            return
        send(answer(session, order))


def main() -> None:
    """Command line: who to be, on which backend, with how many threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contender", required=True)
    parser.add_argument("--backend", required=True, choices=NATIVE)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    pin_threads(arguments.threads)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(arguments.contender, arguments.backend, sys.stdin, answers)


if __name__ == "__main__":
    main()
