"""The core's `Draw` over hypothesis, so that counter-examples shrink. Shapes come from a small pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kcore.ops.cases import Bools, Distinct, Ints, Real, Ties, Values

#: Sides that shapes are made of, by position from the last axis: few enough that compiled shapes repeat.
_SIDES = ((3, 1, 2), (2, 1, 3), (2, 1), (2, 1), (1,))


class HypothesisDraw:
    """Choices by hypothesis.

    Args:
        draw: `data.draw`.
        dtypes: the dtypes that the backend has; cases draw from those only.
    """

    def __init__(self, draw: Callable[..., Any], dtypes: frozenset[str]) -> None:
        self._draw = draw
        self._dtypes = dtypes

    def integer(self, low: int, high: int) -> int:
        """An integer, both bounds included."""
        return int(self._draw(st.integers(low, high)))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return self._draw(st.sampled_from(list(options)))

    def boolean(self) -> bool:
        """True or False."""
        return bool(self._draw(st.booleans()))

    def floats(self, low: float, high: float) -> float:
        """A finite number, both bounds included."""
        return float(self._draw(st.floats(low, high, allow_nan=False, width=32 if _fits32(low, high) else 64)))

    def shape(self, min_rank: int = 0, max_rank: int = 3, max_side: int = 4) -> tuple[int, ...]:
        """A shape from the pool."""
        rank = self.integer(min_rank, min(max_rank, len(_SIDES)))
        sides = [[n for n in _SIDES[i] if n <= max_side] or [1] for i in range(rank)]
        return tuple(self.choice(s) for s in reversed(sides))

    def dtype(self, names: Sequence[str]) -> str:
        """One of the names that the backend has."""
        return str(self.choice([n for n in names if n in self._dtypes] or ["float32"]))

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """An array of such values."""
        size = tuple(shape)
        if isinstance(values, Distinct):
            count = int(np.prod(size))
            order = self._draw(st.permutations(range(count)))
            return np.linspace(values.low, values.high, max(count, 1))[order].reshape(size).astype(dtype)
        return self._draw(hnp.arrays(dtype, size, elements=_elements(np.dtype(dtype), values)))  # type: ignore[no-any-return]


def _fits32(*bounds: float) -> bool:
    return all(float(np.float32(b)) == b for b in bounds)


def _elements(dtype: np.dtype[Any], values: Values) -> st.SearchStrategy[Any]:
    if dtype.kind == "b":
        return st.booleans()
    if isinstance(values, Ties):
        return st.sampled_from([np.asarray(v).astype(dtype).item() for v in values.values])
    if isinstance(values, Bools):
        return st.sampled_from([dtype.type(0).item(), dtype.type(1).item()])
    if dtype.kind in "iu" or isinstance(values, Ints):
        return _integers(dtype, values)
    assert isinstance(values, Real)
    return _reals(dtype, values)


def _integers(dtype: np.dtype[Any], values: Values) -> st.SearchStrategy[Any]:
    assert isinstance(values, (Real, Ints))
    low, high = int(np.ceil(values.low)), int(np.floor(values.high))
    pool = [n for n in range(max(low, 0) if dtype.kind == "u" else low, high + 1) if n not in values.away]
    return st.sampled_from([dtype.type(n).item() for n in sorted(pool, key=abs)])


def _reals(dtype: np.dtype[Any], values: Real) -> st.SearchStrategy[Any]:
    low, high = float(dtype.type(values.low)), float(dtype.type(values.high))
    width = {2: 16, 4: 32, 8: 64}[dtype.itemsize]

    def right(value: float) -> bool:
        return values.allows(value)

    ordinary = st.floats(low, high, width=width, allow_subnormal=False).filter(right)
    # Rounded numbers make counter-examples that can be read.
    rounded = (
        st.integers(int(np.ceil(low * 4)), int(np.floor(high * 4)))
        .map(lambda n: float(dtype.type(n / 4)))
        .filter(right)
    )
    edges = [float(dtype.type(v)) for v in (*values.edges, values.low, values.high) if values.allows(v)]
    if values.nonfinite:
        edges += [float("inf"), float("-inf"), float("nan")]
    options = [rounded, ordinary, *([st.sampled_from(edges)] if edges else [])]
    return st.one_of(*options)
