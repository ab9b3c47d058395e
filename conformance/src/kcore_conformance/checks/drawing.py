"""Drawn examples for checks: a property of a backend over many examples, with the smallest failure in the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from kcore.ops.cases import Draw
from kcore_conformance.compare import Mismatch
from kcore_conformance.draws import HypothesisDraw

Example = TypeVar("Example")


def over_draws(backend: Any, draw: Callable[[Draw], Example], test: Callable[[Example], None], examples: int) -> None:
    """Run `test(draw(d))` on a number of examples; the same ones every time.

    Raises:
        Mismatch: for the smallest example that fails, which the message shows.
    """
    last: list[Example] = []

    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(st.data())
    def run(data: Any) -> None:
        example = draw(HypothesisDraw(data.draw, backend.capabilities.dtypes))
        last[:] = [example]
        test(example)

    # What is derandomized is seeded by the test's name: each property has its own examples.
    run.hypothesis.inner_test.__qualname__ = f"{draw.__module__}.{draw.__qualname__}.{test.__qualname__}"
    try:
        run()
    except Exception as error:
        shown = repr(last[0] if last else None).replace("\n", "")
        told = str(error) if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"
        raise Mismatch(f"{told}\n    with {shown}") from error
