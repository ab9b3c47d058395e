"""Edge values that ops are tried with, as neutral data: empty arrays, infinities and NaN, extremes, wrong arguments.

`Edge` in a declaration says which of them an op defines. Subnormal numbers are never drawn: backends may flush them to
zero. Nothing here knows a test framework, ops, graphs or backends.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Edge:
    """Which edge values an op defines; all backends must then give the same answer.

    Attributes:
        nonfinite: which of the infinities and NaN.
        large: the largest and smallest magnitudes of a dtype, integers that overflow (and wrap around) among them.
        empty: operands without elements.
        also: further arguments, as they are.
    """

    nonfinite: tuple[float, ...] = (math.inf, -math.inf, math.nan)
    large: bool = True
    empty: bool = True
    also: tuple[Arguments, ...] = ()


class Wrong:
    """Arguments that an op refuses, in a graph and at once, with the same words.

    Args:
        kind: the class of the error.
        arguments: a tensor operand is given by its shape (a tuple; it is float32), a list of them by a list of shapes;
            a dict {"shape": ..., "dtype": ...} gives one another dtype. Everything else is taken as it is.

    >>> Wrong(ValueError, x=(2, 3), axis=7).arguments["axis"]
    7
    """

    def __init__(self, kind: type[Exception], /, **arguments: Any) -> None:
        self.kind, self.arguments = kind, arguments

    def made(self, tensors: Mapping[str, str]) -> Arguments:
        """The arguments with arrays of ones for the operands, whose names `tensors` maps to their kinds."""
        return {name: self._operand(value, tensors[name]) if name in tensors else value
                for name, value in self.arguments.items()}  # fmt: skip

    def _operand(self, value: Any, kind: str) -> Any:
        if kind == "tensors" and isinstance(value, list):
            return [self._operand(v, "tensor") for v in value]
        if isinstance(value, dict):
            return np.ones(**value)
        return np.ones(value, "float32") if isinstance(value, tuple) else value


# --- values -----------------------------------------------------------------------------------------------------------


def specials(dtype: str, edge: Edge) -> np.ndarray:
    """Values of the dtype at which functions turn, overflow or lose digits, as a vector.

    >>> specials("uint8", Edge())
    array([  0,   1,   7, 255], dtype=uint8)
    """
    if dtype == "bool":
        return np.array([False, True])
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        values = [0, 1, 7, -1, -7]
        values += [np.iinfo(kind).max, np.iinfo(kind).min] if edge.large else []
        values = [v for v in values if v >= np.iinfo(kind).min]
        return np.array(list(dict.fromkeys(values)), dtype)
    limits = np.finfo(kind)
    reals = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-4, 12.0, -12.0]
    if edge.large:
        over = math.ceil(math.log(float(limits.max))) + 2
        most = float(limits.max) / 8  # its reciprocal is no subnormal number
        reals += [most, -most, float(limits.tiny), over, -over]
    return np.array([*reals, *edge.nonfinite], dtype)


def rows(dtype: str, edge: Edge) -> np.ndarray:
    """Pairs of special values, one a row: for ops along an axis."""
    few = [v for v in specials(dtype, edge).tolist() if v not in (0.5, -2.5, 1e-4, -12.0, 7, -7)]
    return np.array(list(itertools.product(few, repeat=2)), dtype)


def elementwise(name: str, names: tuple[str, ...], edge: Edge) -> Iterator[Arguments]:
    """One operand: every special value of each dtype, scalars, and empty arrays."""
    for dtype in names:
        yield {name: specials(dtype, edge)}
    if edge.nonfinite and names[0].startswith("float"):
        yield {name: np.array(edge.nonfinite[-1], names[0])}
    if edge.empty:
        yield from ({name: np.zeros(shape, names[0])} for shape in ((0,), (2, 0)))


def pairwise(names: tuple[str, ...], edge: Edge) -> Iterator[Arguments]:
    """Two operands: every pair of special values of each dtype, and empty arrays."""
    for dtype in names:
        values = specials(dtype, edge)
        yield {"x": values[:, None], "y": values}
    if edge.empty:
        for x, y in (((0,), (1,)), ((2, 0), (0,)), ((), (0, 3))):
            yield {"x": np.ones(x, names[0]), "y": np.ones(y, names[0])}


def along(name: str, names: tuple[str, ...], edge: Edge) -> Iterator[Arguments]:
    """One operand of an op along an axis: pairs of special values in the last one, and a long mixed row."""
    for dtype in names:
        yield {name: rows(dtype, edge), "axis": -1}
    if edge.empty:
        yield {name: np.zeros((0, 3), names[0]), "axis": -1}
        yield {name: np.zeros((2, 0), names[0]), "axis": 0}


def reductions(name: str, names: tuple[str, ...], edge: Edge) -> Iterator[Arguments]:
    """One operand of a reduction; `edge.empty` says whether the reduced axes themselves may be empty."""
    for dtype in names:
        yield {name: rows(dtype, edge), "axis": -1}
    empty: list[tuple[tuple[int, ...], Any, bool]] = [((0, 3), -1, False), ((2, 0, 1), [0, 2], True)]
    if edge.empty:
        empty += [((0,), None, False), ((2, 0), 1, False), ((0, 3), 0, True)]
    for shape, axis, keepdims in empty:
        yield {name: np.zeros(shape, names[0]), "axis": axis, "keepdims": keepdims}
