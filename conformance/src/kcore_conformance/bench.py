"""The bench: runs one unit on a loaded backend and judges it in the light of the declared deviations.

Units are independent: each starts from the same state of the core (names, counters, seeds), so that its outcome does
not depend on what ran before it, nor on the process it runs in.
"""

from __future__ import annotations

import contextlib
import gc
import io
import random
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops.spec import Op
from kcore_conformance import memory, plain, replay
from kcore_conformance.deviations import Deviation, declared_by
from kcore_conformance.plan import Unit, plan
from kcore_conformance.properties import Property
from kcore_conformance.registry import all_checks
from kcore_conformance.result import Outcome
from kcore_conformance.settings import Selection
from kcore_conformance.trial import SHRINKING, Finding, Search, Trial, describe, examine, once

#: Told of a unit and arguments (None: of several examples) before they are run; a worker keeps them for the case that
#: it dies of them.
Watch = Callable[[Unit, Mapping[str, Any] | None], None]


#: MiB of growth after which a bench lets go of what it can.
_MUCH = 256


class Bench:
    """Runs units on a backend.

    Args:
        backend: the loaded backend; it must be the active one while `run` is called.
        strict: whether only deviations of kind "upstream" are accepted.
        watch: told of each example before it runs.
        shrinking: seconds that a counter-example may be shrunk.
    """

    def __init__(
        self, backend: Any, *, strict: bool = False, watch: Watch | None = None, shrinking: float = SHRINKING
    ) -> None:
        self.backend = backend
        self.shrinking = shrinking
        self.strict = strict
        self.watch = watch
        self.deviations = list(declared_by(backend))
        self._resident = memory.now()

    def run(self, unit: Unit, count: int = 1, turn: int = 0) -> Outcome:
        """The outcome of one unit.

        Args:
            unit: what to run.
            count: how many examples, for a property of an op.
            turn: 0 first; a later turn draws other examples, and leaves pinned ones out.
        """
        start = time.perf_counter()
        _start_afresh()
        outcome = unit.outcome()
        declared = [d for d in self.deviations if d.concerns(unit)]
        outcome.deviations = tuple(d.note for d in declared)
        with contextlib.redirect_stdout(io.StringIO()):  # some ops print
            if unit.kind == "check":
                self._check(unit, outcome, declared)
            else:
                self._property(unit, outcome, declared, count, turn)
                if outcome.status == "passed" and not outcome.examples and turn == 0:
                    outcome.status, outcome.message = "skipped", "no example of this is declared for the op"
        if self.strict and outcome.status == "deviates":
            self._refuse(outcome, declared)
        outcome.seconds = time.perf_counter() - start
        return outcome

    def free(self) -> None:
        """Let go of what the last subject left, once it is much: garbage, and code that the backend keeps compiled."""
        if memory.now() < self._resident + _MUCH:
            return
        gc.collect()
        release = getattr(self.backend, "release_caches", None)
        if release is not None:
            release()
        memory.trim()
        self._resident = memory.now()

    def stale(self) -> list[Outcome]:
        """An error for each declared deviation that concerns nothing in the suite."""
        units = plan(Selection())
        text = "A deviation is declared for {!r}, {!r}, which the suite does not test: correct or remove it."
        return [
            Outcome(0, "deviations", "concern what is tested", "error", message=text.format(d.op, d.aspect),
                    deviations=(d.note,))
            for d in self.deviations if not any(d.concerns(u) for u in units)
        ]  # fmt: skip

    def plan(self, selection: Selection) -> list[Unit]:
        """The units of a selection that apply to the backend."""
        return plan(selection)

    # --- checks -------------------------------------------------------------------------------------------------------

    def _check(self, unit: Unit, outcome: Outcome, declared: list[Deviation]) -> None:
        outcome.examples = 1
        finding = run_check(unit, self.backend)
        if finding is not None:
            _failed(outcome, unit, finding)
        if declared and finding is None:
            _no_longer(outcome, declared[0])
        elif declared:
            outcome.status = "deviates"

    # --- properties ---------------------------------------------------------------------------------------------------

    def _property(self, unit: Unit, outcome: Outcome, declared: list[Deviation], count: int, turn: int) -> None:
        op, prop = replay.op_and_property(unit)
        search = Search(
            count, zlib.crc32(unit.name.encode()) + turn, self.backend.capabilities.dtypes, listed=turn == 0,
            shrinking=self.shrinking,
        )  # fmt: skip
        if self.watch is not None:
            watch = self.watch
            search.watch = lambda arguments: watch(unit, arguments)
        if declared and turn == 0:
            for deviation in declared:
                self._expected(unit, outcome, deviation, search)
                if outcome.status == "error":
                    return
        if any(d.whole for d in declared):
            return
        if declared:
            search.accept = lambda arguments: not any(d.covers(arguments) for d in declared)
            known = {name for d in declared if d.where is None for name in d.dtypes}
            search.dtypes = search.dtypes - known or search.dtypes  # draw few in vain
        trial = examine(op, prop, self.backend, search)
        outcome.examples += trial.examples
        if trial.finding is not None:
            _failed(outcome, unit, trial.finding)

    def _expected(self, unit: Unit, outcome: Outcome, deviation: Deviation, search: Search) -> None:
        """Run what the deviation declares to fail."""
        op, prop = replay.op_and_property(unit)
        trial = self._covered(op, prop, deviation, search)
        outcome.examples += trial.examples
        if trial.finding is None:
            _no_longer(outcome, deviation)
        else:
            _failed(outcome, unit, trial.finding)
            outcome.status = "deviates"

    def _covered(self, op: Op, prop: Property, deviation: Deviation, search: Search) -> Trial:
        pinned = deviation.pinned(op)
        if pinned is not None:
            return Trial(1, once(op, prop, self.backend, pinned))
        dtypes = frozenset(search.dtypes & set(deviation.dtypes)) if deviation.dtypes else search.dtypes
        mine = replace(search, dtypes=dtypes or search.dtypes, accept=deviation.covers)
        return examine(op, prop, self.backend, mine)

    def _refuse(self, outcome: Outcome, declared: list[Deviation]) -> None:
        refused = [d for d in declared if d.kind != "upstream"]
        if refused:
            outcome.status = "failed"
            outcome.message = (
                f"--strict accepts deviations of kind 'upstream' only; this is {refused[0].kind!r} | {outcome.message}"
            )


def run_check(unit: Unit, backend: Any) -> Finding | None:
    """Run a unit of kind "check"."""
    check = next(c for c in all_checks() if (c.level, c.topic, c.name) == (unit.level, unit.subject, unit.prop))
    try:
        check.run(backend)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the finding
        return Finding(describe(error), None, error)
    return None


def _failed(outcome: Outcome, unit: Unit, finding: Finding) -> None:
    outcome.status = "failed"
    outcome.message = finding.message
    if unit.kind == "op":
        outcome.message += f"\n    with {plain.show(finding.arguments)}"
    outcome.replay = replay.token(unit, finding)


def _no_longer(outcome: Outcome, deviation: Deviation) -> None:
    outcome.status = "error"
    outcome.message = f"The declared deviation ({deviation.reason}) no longer fails: remove it."
    outcome.replay = ""


def _start_afresh() -> None:
    K.clear_session()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - sites without a seed of their own take one from here, as in Keras 2
