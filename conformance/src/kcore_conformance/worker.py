"""What a worker process runs: it loads the backend and answers each line of JSON with another (see workers.py)."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kcore_conformance import memory, replay
from kcore_conformance.bench import Bench
from kcore_conformance.plan import Unit
from kcore_conformance.settings import Selection
from kcore_conformance.trial import describe


def main() -> None:
    """Serve the process that started this one until its pipe closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever frameworks print goes to the log
    questions = (json.loads(line) for line in sys.stdin)

    def answer(content: Mapping[str, Any]) -> None:
        answers.write(json.dumps({**content, "memory": memory.peak()}) + "\n")
        answers.flush()

    start = next(questions)
    try:
        scope, bench = _load(start)
    except Exception as error:  # noqa: BLE001 - told to the scheduler
        answer({"error": describe(error)})
        return
    with scope:
        answer({"ready": True})
        for question in questions:
            answer(_answer(bench, question))


def _load(start: Mapping[str, Any]) -> tuple[contextlib.AbstractContextManager[Any], Bench]:
    from kcore import plugin
    from kcore.backend import active

    for module in start["plugins"]:
        plugin.register(importlib.import_module(module))
    scope = contextlib.ExitStack()
    backend = scope.enter_context(active.backend_scope(start["backend"]))
    with contextlib.suppress(Exception):  # where it can be set: several workers may share one GPU
        backend.configure(memory_growth=True)
    box = Path(start["box"])

    def watch(unit: Unit, arguments: Mapping[str, Any] | None) -> None:
        box.write_text(json.dumps(replay.Example(unit, arguments).as_dict()), encoding="utf-8")

    return scope, Bench(backend, strict=start["strict"], watch=watch, shrinking=start["shrinking"])


def _answer(bench: Bench, question: Mapping[str, Any]) -> dict[str, Any]:
    if "unit" in question:
        outcome = bench.run(Unit(**question["unit"]), question["count"], question["turn"])
        return {"outcome": asdict(outcome)}
    if "plan" in question:
        return {"units": [asdict(unit) for unit in bench.plan(Selection(**question["plan"]))]}
    if "stale" in question:
        return {"outcomes": [asdict(o) for o in bench.stale()]}
    bench.free()
    return {"now": memory.now()}
