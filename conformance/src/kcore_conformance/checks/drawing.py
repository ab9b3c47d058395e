"""Drawn examples for checks: `over_draws` for any property of a backend, `law` for equations between ops.

A law is an equation that holds whatever the reference says: it finds mistakes that the core's NumPy code and a backend
could share. It is written as a function of `op`, which runs ops at once on the backend under test
(`op.conv(x, kernel, ...)`), and of a `Draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from kcore.graph import function
from kcore.ops import REGISTRY
from kcore.ops.cases import Real, Values
from kcore.ops.spec import Op
from kcore_conformance.compare import Mismatch
from kcore_conformance.draws import HypothesisDraw
from kcore_conformance.properties.examples import natives, on_host, results, symbolic
from kcore_conformance.registry import check

#: Examples that a law gets.
EXAMPLES = 6

#: The end of it is the shape of a rank.
_SHAPE = (2, 1, 2, 3)


class Recorded(HypothesisDraw):
    """A draw that remembers what it gave, for the message about a counter-example."""

    def __init__(self, draw: Callable[..., Any], dtypes: frozenset[str]) -> None:
        super().__init__(draw, dtypes)
        self.given: list[Any] = []

    def shape(self, min_rank: int = 0, max_rank: int = 3, max_side: int = 4) -> tuple[int, ...]:
        """A shape, one of each rank: laws are about numbers, and compilers need their time for each shape."""
        return tuple(min(n, max_side) for n in _SHAPE[len(_SHAPE) - self.integer(min_rank, max_rank) :])

    def integer(self, low: int, high: int) -> int:
        """An integer, both bounds included."""
        return self._noted(super().integer(low, high))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return self._noted(super().choice(options))

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """An array of such values."""
        return self._noted(super().array(shape, dtype, values))  # type: ignore[no-any-return]

    def numbers(self, *shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
        """Single-precision numbers between the bounds."""
        return self.array(shape, "float32", Real(low, high))

    def _noted(self, value: Any) -> Any:
        self.given.append(value)
        return value


def over_draws(backend: Any, test: Callable[[Recorded], None], examples: int, seed: str) -> None:
    """Run `test(d)` on a number of examples, the same ones every time for the same `seed`.

    Raises:
        Mismatch: for the smallest example that fails; the message shows what was drawn.
    """
    last: list[Recorded] = []

    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, print_blob=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(st.data())
    def run(data: Any) -> None:
        last[:] = [Recorded(data.draw, backend.capabilities.dtypes)]
        test(last[0])

    # A derandomized test is seeded by its own name and code.
    run.hypothesis.inner_test.__qualname__ = seed  # type: ignore[attr-defined]
    try:
        run()
    except Exception as error:
        told = str(error) if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"
        drawn = ", ".join(repr(v).replace("\n", "") for v in last[0].given) if last else "nothing"
        raise Mismatch(f"{told}\n    with {drawn}") from error


class Ops:
    """The ops of K on one backend, from NumPy arrays to NumPy arrays.

    They are computed at once, but for composites on a backend that compiles: at once, it would compile each of their
    many parts.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._functions: dict[Any, function.Function] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = REGISTRY[name]
        run = self._compiled if self._backend.capabilities.compiles and not op.is_primitive else self._at_once
        return lambda *arguments, **named: run(op, {**dict(zip(op.params, arguments, strict=False)), **named})

    def _at_once(self, op: Op, arguments: dict[str, Any]) -> Any:
        result = op.public(**natives(self._backend, op, arguments))
        return [on_host(self._backend, r) for r in result] if op.multiple else on_host(self._backend, result)

    def _compiled(self, op: Op, arguments: dict[str, Any]) -> Any:
        made, placeholders, feeds = symbolic(op, arguments)
        rest = {k: v for k, v in made.items() if k not in op.tensor_params}
        given = [p for p in op.tensor_params if arguments.get(p) is not None]
        key = (op.name, repr(rest), *given, *((a.shape, a.dtype) for a in feeds))
        if key not in self._functions:
            self._functions[key] = function.Function(placeholders, results(op, op.public(**made)))
        found = self._functions[key](feeds)
        return found if op.multiple else found[0]


def law(topic: str, level: int = 2, examples: int = EXAMPLES) -> Callable[[Callable[[Any, Recorded], None]], Any]:
    """Register `law(op, d)` as a check, named after itself; its topic is `<topic>, laws`."""

    def register(run: Callable[[Any, Recorded], None]) -> Any:
        def checked(backend: Any) -> None:
            op = Ops(backend)
            over_draws(backend, lambda d: run(op, d), examples, f"{topic}.{run.__name__}")

        checked.__name__ = run.__name__
        check(level, f"{topic}, laws")(checked)
        return run

    return register
