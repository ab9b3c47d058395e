"""Declared deviations are strict expected failures; what they do not cover must hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from registered import registered

from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore_conformance import runner
from kcore_conformance.deviations import Deviation
from kcore_conformance.report import terminal
from kcore_conformance.result import Outcome, Report
from kcore_conformance.settings import SETTINGS, Selection


def _sqrt(x: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.sqrt(x) + np.asarray(x.dtype == np.float64, x.dtype)


@pytest.fixture
def backend() -> Iterator[Any]:
    """A backend whose sqrt is wrong in double precision."""
    made = NumpyBackend()
    made.kernels = {**made.kernels, "sqrt": _sqrt}
    with registered("deviating", made):
        yield made


def sqrt(aspect: str = "eager", **facts: Any) -> Deviation:
    """A deviation of sqrt."""
    return Deviation(**{"op": "sqrt", "aspect": aspect, "kind": "upstream", "reason": "one too large", **facts})


def eager(backend: Any, *deviations: Deviation, strict: bool = False) -> tuple[Outcome, Report]:
    """The eager outcome of sqrt with these deviations declared."""
    backend.deviations = deviations
    report = runner.run("deviating", SETTINGS["default"], Selection(2, "^sqrt$"), options=runner.Options(strict=strict))
    return next(o for o in report.outcomes if o.prop == "eager"), report


PINNED = {"x": np.ones(2, "float64")}


def test_without_a_declaration_it_fails(backend: Any) -> None:
    assert eager(backend)[0].status == "failed"


@pytest.mark.parametrize("example", [PINNED, (PINNED["x"],), ()], ids=["by name", "in order", "drawn"])
def test_a_declared_failure_deviates_and_the_rest_is_tested(backend: Any, example: Any) -> None:
    outcome, _ = eager(backend, sqrt(dtypes=("float64",), example=example))
    assert outcome.status == "deviates"
    assert outcome.examples > 15
    assert outcome.deviations[0].reason == "one too large"
    assert outcome.replay.startswith("kc1.")


def test_a_predicate_narrows_as_dtypes_do(backend: Any) -> None:
    outcome, _ = eager(backend, sqrt(example=PINNED, where=lambda a: a["x"].dtype == "float64"))
    assert outcome.status == "deviates"
    assert outcome.examples > 15


def test_what_is_not_covered_must_pass(backend: Any) -> None:
    outcome, _ = eager(backend, sqrt(where=lambda a: a["x"].dtype == "float64" and a["x"].ndim == 1, example=PINNED))
    assert outcome.status == "failed"
    assert "float64" in outcome.message


def test_a_deviation_of_everything_runs_its_example_alone(backend: Any) -> None:
    outcome, _ = eager(backend, sqrt(example=PINNED))
    assert (outcome.status, outcome.examples) == ("deviates", 1)


@pytest.mark.parametrize("example", [{"x": np.ones(2, "float32")}, ()], ids=["pinned", "drawn"])
def test_one_that_passes_is_an_error(backend: Any, example: Any) -> None:
    outcome, report = eager(backend, sqrt(dtypes=("float32",), example=example))
    assert outcome.status == "error"
    assert "no longer fails" in outcome.message
    assert not report.passed()


def test_checks_deviate_too(backend: Any) -> None:
    backend.deviations = (Deviation("updates", "many_calls_accumulate", "never", "not true"),)
    report = runner.run("deviating", SETTINGS["quick"], Selection(4, "^updates$"))
    assert [o.prop for o in report.failures()] == ["many_calls_accumulate"]
    assert report.failures()[0].status == "error"


def test_one_that_concerns_nothing_is_an_error(backend: Any) -> None:
    from kcore_conformance.bench import Bench

    backend.deviations = (sqrt("no such property"), sqrt())
    with active.backend_scope("deviating"):
        (outcome,) = Bench(backend).stale()
    assert outcome.status == "error"
    assert "no such property" in outcome.message


def test_strict_accepts_what_is_upstream_only(backend: Any) -> None:
    narrow = {"dtypes": ("float64",), "example": PINNED}
    assert eager(backend, sqrt(**narrow), strict=True)[0].status == "deviates"
    outcome, _ = eager(backend, sqrt(kind="todo", **narrow), strict=True)
    assert outcome.status == "failed"
    assert "'todo'" in outcome.message


def test_levels_count_with_deviations_shown(backend: Any) -> None:
    narrow = {"dtypes": ("float64",), "example": PINNED, "link": "https://example.org/1"}
    _, report = eager(backend, *(sqrt(p, **narrow) for p in ("eager", "compiled", "edges")))
    assert report.passed(), report.failures()
    text = terminal(report)
    assert "upstream: sqrt, eager (float64): one too large https://example.org/1" in text
    assert "0 failures, 3 deviations" in text


@pytest.mark.parametrize("facts", [{"kind": "sometimes"}, {"reason": " "}])
def test_a_deviation_needs_a_kind_and_a_reason(facts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="deviation"):
        sqrt(**facts)
