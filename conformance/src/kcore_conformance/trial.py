"""One property over drawn examples: hypothesis draws and shrinks, a `Finding` holds the smallest failure."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from kcore.ops.spec import Op
from kcore_conformance import plain
from kcore_conformance.compare import Mismatch
from kcore_conformance.draws import HypothesisDraw
from kcore_conformance.properties import Property

#: Seconds that one counter-example may be shrunk: where each example is compiled, shrinking it fully takes minutes.
SHRINKING = 20.0

#: Examples that are run together: compilers need more than twice the time for twice the code when it is much.
_MOST_TOGETHER = 16

Arguments = dict[str, Any]


@dataclass
class Finding:
    """A failure.

    Attributes:
        message: what is wrong.
        arguments: the smallest arguments that show it; None where drawing itself failed, and for checks.
        error: the exception.
        listed: the example's place, where it is one that the declaration lists.
    """

    message: str
    arguments: Arguments | None = None
    error: BaseException | None = None
    listed: int | None = None


@dataclass(frozen=True)
class Trial:
    """What came of it: how many examples were tried, and the failure if there was one."""

    examples: int
    finding: Finding | None = None


@dataclass
class Search:
    """How examples are drawn.

    Attributes:
        count: how many are drawn.
        seed: where the draws start; the same seed draws the same examples in every process.
        dtypes: the dtypes that the backend has.
        accept: only examples of which this is true count; None for all.
        watch: told of each example's arguments before it is run; of None before several are run together.
        listed: whether the examples that the declaration lists are run too, before any is drawn.
        shrinking: seconds that a counter-example may be shrunk.
    """

    count: int
    seed: int
    dtypes: frozenset[str]
    accept: Callable[[Arguments], bool] | None = None
    watch: Callable[[Arguments | None], None] | None = None
    listed: bool = True
    shrinking: float = SHRINKING


@dataclass
class _Record:
    """What has been seen during one search."""

    tried: int = 0
    last: Finding | None = None
    since: float = 0.0
    failing: set[str] = field(default_factory=set)

    def shrunk_for(self) -> float:
        return time.perf_counter() - self.since if self.last is not None else 0.0

    def note(self, error: Exception, arguments: Arguments, key: str) -> None:
        if self.last is None:
            self.since = time.perf_counter()
        self.failing.add(key)
        self.last = Finding(describe(error), arguments, error)


def examine(op: Op, prop: Property, backend: Any, search: Search) -> Trial:
    """Run the property over listed, then over drawn examples, until one fails; a drawn one is shrunk.

    Where the backend compiles, examples are run together first, if the property can. Only when some of them fail is
    each run by itself, to find the one and to shrink it.
    """
    listed = _run_listed(op, prop, backend, search) if search.listed else Trial(0)
    if listed.finding is not None or not search.count:
        return listed
    drawn = _drawn(op, prop, backend, search)
    return Trial(listed.examples + drawn.examples, drawn.finding)


def _run_listed(op: Op, prop: Property, backend: Any, search: Search) -> Trial:
    examples = {
        i: arguments
        for i, arguments in enumerate(prop.listed(op, search.dtypes))
        if search.accept is None or search.accept(arguments)
    }
    error = _together(op, prop, backend, search, list(examples.values()))
    if error is _HOLDS:
        return Trial(len(examples))
    for tried, (i, arguments) in enumerate(examples.items(), 1):
        if search.watch is not None:
            search.watch(arguments)
        finding = once(op, prop, backend, arguments)
        if finding is not None:
            finding.listed = i
            return Trial(tried, finding)
    return Trial(len(examples), _only_together(error))


#: What `_together` returns where the property holds for all.
_HOLDS = object()


def _together(op: Op, prop: Property, backend: Any, search: Search, examples: Sequence[Arguments]) -> Any:
    """Run examples as one: _HOLDS, the exception, or None where there is nothing to gain from it."""
    if prop.together is None or len(examples) < 2 or not backend.capabilities.compiles:
        return None
    if search.watch is not None:
        search.watch(None)
    try:
        for i in range(0, len(examples), _MOST_TOGETHER):
            prop.together(backend, op, [plain.copy(x) for x in examples[i : i + _MOST_TOGETHER]])
    except Exception as error:  # noqa: BLE001 - whatever goes wrong will be looked at closely
        return error
    return _HOLDS


def _only_together(error: Exception | None) -> Finding | None:
    """The finding where several examples fail in one function, and none of them alone."""
    return error and Finding(f"several examples in one function: {describe(error)}", None, error)


def _drawn(op: Op, prop: Property, backend: Any, search: Search) -> Trial:
    """Over drawn examples, together if that serves."""
    if prop.together is None or search.count < 2 or not backend.capabilities.compiles:
        return _one_by_one(op, prop, backend, search)
    examples: list[Arguments] = []
    collecting = replace(prop, run=lambda backend, op, arguments: examples.append(plain.copy(arguments)))
    trial = _one_by_one(op, collecting, backend, replace(search, watch=None))
    if trial.finding is not None:  # they could not be drawn
        return trial
    error = _together(op, prop, backend, search, examples)
    if error is _HOLDS:
        return trial
    # The same seed draws the same examples.
    trial = _one_by_one(op, prop, backend, search)
    return Trial(trial.examples, trial.finding or _only_together(error))


def _one_by_one(op: Op, prop: Property, backend: Any, search: Search) -> Trial:
    record = _Record()

    @hypothesis.seed(search.seed)
    @hypothesis.settings(
        max_examples=search.count, deadline=None, database=None, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(st.data())
    def test(data: Any) -> None:
        arguments = prop.cases(op)(HypothesisDraw(data.draw, search.dtypes))
        if search.accept is not None:
            hypothesis.assume(search.accept(arguments))
        before = plain.copy(arguments)  # a faulty backend may overwrite what it is given
        key = _key(before) if record.last is not None else ""
        if record.shrunk_for() > search.shrinking and key not in record.failing:
            return  # nothing smaller is looked for any more
        record.tried += 1
        if search.watch is not None:
            search.watch(before)
        try:
            prop.run(backend, op, arguments)
        except hypothesis.errors.UnsatisfiedAssumption:
            raise
        except Exception as error:
            record.note(error, before, key or _key(before))
            raise

    try:
        test()
    except hypothesis.errors.Unsatisfiable:
        return Trial(record.tried)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the finding
        finding = record.last or Finding(f"no example could be drawn: {describe(error)}", None, error)
        if isinstance(error, hypothesis.errors.Flaky):
            finding.message += " (it does not fail every time)"
        return Trial(record.tried, finding)
    return Trial(record.tried)


def once(op: Op, prop: Property, backend: Any, arguments: Mapping[str, Any]) -> Finding | None:
    """Run the property on given arguments."""
    try:
        prop.run(backend, op, plain.copy(dict(arguments)))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the finding
        return Finding(describe(error), dict(arguments), error)
    return None


def _key(arguments: Arguments) -> str:
    try:
        return json.dumps(plain.encode(arguments))
    except plain.NotPlainError:
        return repr(arguments)


def describe(error: BaseException) -> str:
    """An exception in one line: a mismatch's own words, or type, message and place."""
    if isinstance(error, Mismatch):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    first = str(error).strip().split("\n")[0][:300]
    return f"{type(error).__name__}: {first}{where}"
