"""Valid inputs of ops, as neutral data: what the conformance suite and the core's own tests draw from.

A `Cases` maps a `Draw` (a source of random choices; hypothesis in the suite, NumPy here) to one set of arguments for an
op. Declarations write them with the helpers below: `Unary(Real(-5, 5))`, `Binary(...)`, `Reduction(...)`, or a function
of a Draw. Nothing here knows a test framework, ops, graphs or backends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from kcore.errors import ShapeError
from kcore.ops import edges as edge_values
from kcore.ops.edges import Edge, Wrong, specials

Arguments = dict[str, Any]

FLOATS = ("float32", "float64")
INTS = ("int32", "int64")
NUMBERS = (*FLOATS, "float16", *INTS)
ANY = (*NUMBERS, "uint8", "bool")


# --- values -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Real:
    """Floating-point numbers.

    Attributes:
        low, high: bounds, both included.
        away: points that are kept at a distance of at least `gap` (kinks, poles).
        edges: values worth trying now and then, besides the bounds.
        nonfinite: whether infinities and NaN are valid too.
    """

    low: float = -4.0
    high: float = 4.0
    away: tuple[float, ...] = ()
    gap: float = 0.05
    edges: tuple[float, ...] = (0.0, 1.0, -1.0)
    nonfinite: bool = False

    def allows(self, value: float) -> bool:
        """Whether a finite value is inside."""
        return self.low <= value <= self.high and all(abs(value - a) >= self.gap for a in self.away)

    def fix(self, array: np.ndarray) -> np.ndarray:
        """Values moved into the domain: limited to the bounds, and pushed off the points of `away`."""
        array = np.clip(array, self.low, self.high)
        for point in self.away:
            close = np.abs(array - point) < self.gap
            up = point + 2 * self.gap <= self.high and not point - 2 * self.gap >= self.low
            side = np.where((array >= point) | up, 2 * self.gap, -2 * self.gap)
            array = np.where(close, point + side, array)
        return array


@dataclass(frozen=True)
class Ints:
    """Integers from low to high, both included, without those in `away`."""

    low: int = -4
    high: int = 4
    away: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bools:
    """True and False."""


@dataclass(frozen=True)
class Distinct:
    """Numbers between the bounds of which no two in one array are equal or close: no ties for max, argmax, top_k."""

    low: float = -4.0
    high: float = 4.0


@dataclass(frozen=True)
class Ties:
    """Numbers from a few values only, so that many are equal, and some close to each other."""

    values: tuple[float, ...] = (-1.0, 0.0, 0.5, 2.0)


Values = Real | Ints | Bools | Distinct | Ties

#: Ties of floating-point numbers with what is no number among them.
TIES_AND_NAN = Ties((-1.0, 0.0, 2.0, math.inf, math.nan))


class Draw(Protocol):
    """A source of choices. Shapes come from a small pool, since some backends compile once per shape."""

    def integer(self, low: int, high: int) -> int:
        """An integer, both bounds included."""

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options; the first is the simplest."""

    def boolean(self) -> bool:
        """True or False."""

    def floats(self, low: float, high: float) -> float:
        """A finite number, both bounds included."""

    def shape(self, min_rank: int = 0, max_rank: int = 3, max_side: int = 4) -> tuple[int, ...]:
        """A shape without empty axes."""

    def dtype(self, names: Sequence[str]) -> str:
        """One of the dtype names that the backend under test has."""

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """An array of such values. Real values for an integer or bool dtype are drawn as Ints or Bools."""


CaseFunction = Callable[[Draw], Arguments]
#: All edge values: what families try unless an op says otherwise.
EVERYTHING = Edge()
#: Of the backend's dtypes: arguments at the edges.
EdgeFunction = Callable[[frozenset[str]], Sequence[Arguments]]


class Cases:
    """Valid arguments of an op: call it with a Draw.

    Args:
        draw: one set of arguments from a Draw.
        smooth: the same for gradients (see the attribute); True for the same function, False for none.
        edges: what the op defines beyond: an Edge (then `draw` is drawn from with special values), a function of the
            backend's dtypes, or None.
        errors: arguments that the op refuses.

    Attributes:
        smooth: cases for comparing gradients with finite differences: away from kinks and ties. None where there is
            nothing to compare (no gradient, or one that finite differences cannot see).
        edges: arguments at the edges, of the backend's dtypes.
        errors: arguments that the op refuses.
    """

    def __init__(self, draw: CaseFunction, smooth: CaseFunction | bool = True, *,
                 edges: Edge | EdgeFunction | None = None, errors: Sequence[Wrong] = ()) -> None:  # fmt: skip
        self._draw = draw
        self.smooth: CaseFunction | None = (draw if smooth else None) if isinstance(smooth, bool) else smooth
        self.edges: EdgeFunction = _drawn_edges(draw, edges) if isinstance(edges, Edge) else edges or (lambda names: ())
        self.errors = tuple(errors)

    def __call__(self, d: Draw) -> Arguments:
        """One set of arguments, by parameter name."""
        return self._draw(d)


def _drawn_edges(draw: CaseFunction, edge: Edge) -> EdgeFunction:
    """Cases drawn as always, but with special values among the numbers."""

    def make(names: frozenset[str]) -> Sequence[Arguments]:
        drawn = [draw(EdgeDraw(seed, edge, names)) for seed in range(4)] if edge.nonfinite or edge.large else []
        return [*drawn, *edge.also]

    return make


def _listed(listed: Callable[..., Any], names: Sequence[str], edge: Edge | None, attributes: Arguments,
            *first: Any) -> EdgeFunction:  # fmt: skip
    """Listed edge arguments of those dtypes that the backend has, completed by drawn attributes."""

    def make(available: frozenset[str]) -> Sequence[Arguments]:
        if edge is None:
            return ()
        dtypes = tuple(n for n in names if n in available)
        cases = listed(*first, dtypes, edge) if dtypes else ()
        return [*(_completed(case, attributes, i) for i, case in enumerate(cases)), *edge.also]

    return make


def _completed(case: Arguments, attributes: Arguments, seed: int) -> Arguments:
    missing = {k: v for k, v in attributes.items() if k not in case}
    return with_attributes(NumpyDraw(seed), dict(case), missing)


# --- attributes -------------------------------------------------------------------------------------------------------


class Attribute:
    """An attribute drawn after the operands: `draw(d, arguments so far)`."""

    def __init__(self, draw: Callable[[Draw, Arguments], Any]) -> None:
        self.draw = draw


def AxisOf(name: str = "x", extra: int = 0) -> Attribute:
    """An axis of an operand, counted from either side; `extra` = 1 for a place between axes."""

    def draw(d: Draw, a: Arguments) -> int:
        rank = np.ndim(a[name]) + extra
        return d.integer(-rank, rank - 1)

    return Attribute(draw)


def AxesOf(name: str = "x") -> Attribute:
    """None (all axes), one axis, or a list of several."""

    def draw(d: Draw, a: Arguments) -> Any:
        rank = np.ndim(a[name])
        options: list[Any] = [None]
        if rank:
            options += [-1, 0, [0]]
        if rank > 1:
            options += [1, [0, 1], [-1, 0], list(range(rank))]
        return d.choice(options)

    return Attribute(draw)


def Choice(*options: Any) -> Attribute:
    """One of the options."""
    return Attribute(lambda d, a: d.choice(options))


FLAG = Choice(False, True)


def with_attributes(d: Draw, arguments: Arguments, attributes: Arguments) -> Arguments:
    """The arguments with the attributes drawn and added; plain values are taken as they are."""
    for name, value in attributes.items():
        arguments[name] = value.draw(d, arguments) if isinstance(value, Attribute) else value
    return arguments


# --- families ---------------------------------------------------------------------------------------------------------


def Unary(values: Values | None = None, *, dtypes: Sequence[str] = FLOATS, smooth: Values | bool = True,
          min_rank: int = 0, name: str = "x", edges: Edge | None = EVERYTHING, **attributes: Any) -> Cases:  # fmt: skip
    """One operand of any shape.

    Args:
        values: its elements.
        dtypes: its dtypes.
        smooth: elements for gradients, False for none, True for the same ones.
        min_rank: its least rank.
        name: its name.
        edges: the edge values that the op defines, None for none.
        attributes: the op's other parameters: an Attribute, or a plain value.
    """
    domain = values if values is not None else Real()

    def case(elements: Values, names: Sequence[str]) -> CaseFunction:
        def draw(d: Draw) -> Arguments:
            x = d.array(d.shape(min_rank), d.dtype(names), elements)
            return with_attributes(d, {name: x}, attributes)

        return draw

    listed, errors = edge_values.elementwise, []
    if isinstance(attributes.get("axis"), Attribute):
        listed = edge_values.reductions if "keepdims" in attributes else edge_values.along
        x = {"shape": (2, 3), "dtype": dtypes[0]}
        errors = [Wrong(ShapeError, **{name: x, **_plain(attributes), "axis": n}) for n in (3, -4)]
    found = _listed(listed, dtypes, edges, attributes, name)
    return Cases(case(domain, dtypes), _smooth(case, smooth, domain, dtypes), edges=found, errors=errors)


def _plain(attributes: Arguments) -> Arguments:
    return with_attributes(NumpyDraw(0), {}, {k: v for k, v in attributes.items() if k != "axis"})


def _smooth(case: Any, smooth: Values | bool, domain: Values, dtypes: Sequence[str]) -> CaseFunction | bool:
    floats = [n for n in dtypes if n in FLOATS]
    if smooth is False or not floats:
        return False
    return case(_finite(domain) if smooth is True else smooth, floats)  # type: ignore[no-any-return]


def _finite(domain: Any) -> Any:
    if isinstance(domain, tuple):
        return tuple(_finite(values) for values in domain)
    return replace(domain, nonfinite=False) if isinstance(domain, Real) else domain


def broadcast_shapes(d: Draw, count: int = 2) -> list[tuple[int, ...]]:
    """Shapes that broadcast together, of different ranks and with ones."""
    full = d.shape(0, 3)
    shapes = []
    for _ in range(count):
        shape = full[d.integer(0, len(full)) :] if d.boolean() else full
        if shape and d.boolean():
            at = d.integer(0, len(shape) - 1)
            shape = (*shape[:at], 1, *shape[at + 1 :])
        shapes.append(shape)
    return shapes


def Binary(x: Values | None = None, y: Values | None = None, *, dtypes: Sequence[str] = NUMBERS,
           smooth: tuple[Values, Values] | bool = True, edges: Edge | None = EVERYTHING) -> Cases:  # fmt: skip
    """Two operands `x` and `y` of one dtype that broadcast together."""
    first = x if x is not None else Real()
    second = y if y is not None else first

    def case(domain: tuple[Values, Values], names: Sequence[str]) -> CaseFunction:
        def draw(d: Draw) -> Arguments:
            dtype = d.dtype(names)
            shapes = broadcast_shapes(d)
            return {"x": d.array(shapes[0], dtype, domain[0]), "y": d.array(shapes[1], dtype, domain[1])}

        return draw

    return Cases(
        case((first, second), dtypes), _smooth(case, smooth, (first, second), dtypes),  # type: ignore[arg-type]
        edges=pairwise_edges(dtypes, edges), errors=UNBROADCASTABLE,
    )  # fmt: skip


#: Operands `x` and `y` that do not broadcast together.
UNBROADCASTABLE = (Wrong(ShapeError, x=(2, 3), y=(2, 4)), Wrong(ShapeError, x=(3,), y=(2, 2)))


def pairwise_edges(dtypes: Sequence[str], edges: Edge | None = EVERYTHING) -> EdgeFunction:
    """All pairs of special values as operands `x` and `y`."""
    return _listed(edge_values.pairwise, dtypes, edges, {})


def reduction_edges(dtypes: Sequence[str], edges: Edge | None = EVERYTHING) -> EdgeFunction:
    """Pairs of special values, reduced."""
    return _listed(edge_values.reductions, dtypes, edges, {"axis": AxesOf(), "keepdims": FLAG}, "x")


def Reduction(values: Values | None = None, *, dtypes: Sequence[str] = (*FLOATS, *INTS),
              smooth: Values | bool = True, edges: Edge | None = EVERYTHING) -> Cases:  # fmt: skip
    """One operand `x` with `axis` and `keepdims`."""
    return Unary(values, dtypes=dtypes, smooth=smooth, edges=edges, axis=AxesOf(), keepdims=FLAG)


# --- drawing with NumPy -----------------------------------------------------------------------------------------------


class NumpyDraw:
    """A Draw from NumPy's generator, repeatable by its seed.

    Args:
        seed: of the generator.
        floats: floating-point dtypes to keep to; all that a case allows without.
    """

    def __init__(self, seed: int, floats: Sequence[str] | None = None) -> None:
        self.generator = np.random.Generator(np.random.Philox(seed))
        self._floats = floats

    def integer(self, low: int, high: int) -> int:
        """An integer, both bounds included."""
        return int(self.generator.integers(low, high + 1))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        """True or False."""
        return bool(self.integer(0, 1))

    def floats(self, low: float, high: float) -> float:
        """A number between the bounds."""
        return float(round(self.generator.uniform(low, high), 3))

    def shape(self, min_rank: int = 0, max_rank: int = 3, max_side: int = 4) -> tuple[int, ...]:
        """A shape without empty axes."""
        return tuple(self.integer(1, max_side) for _ in range(self.integer(min_rank, max_rank)))

    def dtype(self, names: Sequence[str]) -> str:
        """One of the names; a floating-point one must be among those to keep to."""
        allowed = [n for n in names if self._floats is None or not n.startswith("float") or n in self._floats]
        return str(self.choice(allowed or list(self._floats or names)))

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """An array of such values."""
        return np.asarray(self._values(tuple(shape), np.dtype(dtype).kind, values), dtype)

    def _values(self, size: tuple[int, ...], kind: str, values: Values) -> Any:
        if kind == "b":
            return self.generator.integers(0, 2, size)
        if kind in "iu" or isinstance(values, (Ints, Bools)):
            return self._integers(size, values, kind == "u")
        if isinstance(values, Ties):
            return self.generator.choice(values.values, size)
        if isinstance(values, Distinct):
            return self.generator.permutation(np.linspace(values.low, values.high, math.prod(size))).reshape(size)
        return self._reals(size, values)

    def _integers(self, size: tuple[int, ...], values: Values, unsigned: bool) -> np.ndarray:
        if isinstance(values, (Bools, Ties)):
            return self.generator.integers(0, 2, size)
        low, high = int(np.ceil(values.low)), int(np.floor(values.high))
        low = max(low, 0) if unsigned else low
        away = getattr(values, "away", ())
        pool = [n for n in range(low, high + 1) if n not in away]
        return self.generator.choice(pool, size)

    def _reals(self, size: tuple[int, ...], values: Real) -> np.ndarray:
        array = values.fix(self.generator.uniform(values.low, values.high, size))
        edges = [v for v in (*values.edges, values.low, values.high) if values.allows(v)]
        if values.nonfinite:
            edges += [np.inf, -np.inf, np.nan]
        if edges and self.integer(0, 2) == 0:
            array = np.where(self.generator.random(size) < 0.3, self.generator.choice(edges, size), array)
        return array


class EdgeDraw(NumpyDraw):
    """A Draw that puts special values among the numbers.

    Args:
        seed: of the generator.
        edge: which special values.
        names: the dtypes to keep to.
    """

    def __init__(self, seed: int, edge: Edge, names: frozenset[str]) -> None:
        super().__init__(seed)
        self._edge, self._names = edge, names

    def dtype(self, names: Sequence[str]) -> str:
        """One of the names that there are."""
        return str(self.choice([n for n in names if n in self._names] or ["float32"]))

    def array(self, shape: Sequence[int], dtype: str, values: Values) -> np.ndarray:
        """An array of such values; half of the real ones special."""
        array = super().array(shape, dtype, values)
        if not isinstance(values, Real) or dtype == "bool":
            return array
        special = self.generator.choice(specials(dtype, self._edge), array.shape)
        return np.where(self.generator.random(array.shape) < 0.5, special, array).astype(dtype)
