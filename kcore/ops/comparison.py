"""Comparisons, logic, rounding, tests for NaN, and elementwise choice. No gradient flows but through `where`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.ops import rules
from kcore.ops.broadcasting import unbroadcast, zeros_of
from kcore.ops.cases import EVERYTHING, FLOATS, NUMBERS, Binary, Bools, Cases, Draw, Real, Ties, Unary, broadcast_shapes
from kcore.ops.spec import F, Tensor, primitive

#: Few values, so that ties are met as often as not.
_TIES = Binary(Ties(), dtypes=(*NUMBERS, "bool"), smooth=False)
_ORDERED = Binary(Ties(), dtypes=NUMBERS, smooth=False)
_BOOLS = Binary(Bools(), dtypes=("bool",), smooth=False)
_ROUNDED = Unary(Real(-4, 4, edges=(-0.5, 0.5, 1.5, 2.5, 0.0)), dtypes=(*FLOATS, "float16"), smooth=False)
_TESTED = Unary(Real(nonfinite=True), smooth=False)


def _comparison(cases: Any) -> Callable[[F], F]:
    return primitive(infer=rules.broadcast("x", "y", dtype="bool"), differentiable=False, host=True, cases=cases)


def _step() -> Callable[[F], F]:
    return primitive(infer=rules.same("x"), differentiable=False, cases=_ROUNDED)


# --- comparison and logic ---------------------------------------------------------------------------------------------


@_comparison(_TIES)
def equal(x: Tensor, y: Tensor) -> Any:
    """Where x == y, with broadcasting; NaN equals nothing.

    Args:
        x, y: tensors that broadcast together.

    Returns:
        bool tensor.

    >>> equal(np.array([1, 2]), 2)
    array([False,  True])
    """
    return np.equal(x, y)


@_comparison(_TIES)
def not_equal(x: Tensor, y: Tensor) -> Any:
    """Where x != y, with broadcasting; as bool.

    >>> not_equal(np.array([1, 2]), 2)
    array([ True, False])
    """
    return np.not_equal(x, y)


@_comparison(_ORDERED)
def greater(x: Tensor, y: Tensor) -> Any:
    """Where x > y, with broadcasting; as bool.

    >>> greater(np.array([1, 2, 3]), 2)
    array([False, False,  True])
    """
    return np.greater(x, y)


@_comparison(_ORDERED)
def greater_equal(x: Tensor, y: Tensor) -> Any:
    """Where x >= y, with broadcasting; as bool.

    >>> greater_equal(np.array([1, 2, 3]), 2)
    array([False,  True,  True])
    """
    return np.greater_equal(x, y)


@_comparison(_ORDERED)
def less(x: Tensor, y: Tensor) -> Any:
    """Where x < y, with broadcasting; as bool.

    >>> less(np.array([1, 2, 3]), 2)
    array([ True, False, False])
    """
    return np.less(x, y)


@_comparison(_ORDERED)
def less_equal(x: Tensor, y: Tensor) -> Any:
    """Where x <= y, with broadcasting; as bool.

    >>> less_equal(np.array([1, 2, 3]), 2)
    array([ True,  True, False])
    """
    return np.less_equal(x, y)


@_comparison(_BOOLS)
def logical_and(x: Tensor, y: Tensor) -> Any:
    """Where both are true (nonzero), with broadcasting; as bool.

    >>> logical_and(np.array([True, False]), True)
    array([ True, False])
    """
    return np.logical_and(x, y)


@_comparison(_BOOLS)
def logical_or(x: Tensor, y: Tensor) -> Any:
    """Where either is true (nonzero), with broadcasting; as bool.

    >>> logical_or(np.array([True, False]), False)
    array([ True, False])
    """
    return np.logical_or(x, y)


@primitive(infer=rules.same("x", "bool"), differentiable=False, host=True,
           cases=Unary(Bools(), dtypes=("bool",), smooth=False))  # fmt: skip
def logical_not(x: Tensor) -> Any:
    """Where x is false (zero); as bool.

    >>> logical_not(np.array([True, False]))
    array([False,  True])
    """
    return np.logical_not(x)


# --- rounding and tests -----------------------------------------------------------------------------------------------


@_step()
def floor(x: Tensor) -> Any:
    """Largest integer not above x, in x's dtype.

    >>> floor(np.array([1.7, -1.7]))
    array([ 1., -2.])
    """
    return np.floor(x).astype(np.asarray(x).dtype)


@_step()
def ceil(x: Tensor) -> Any:
    """Smallest integer not below x, in x's dtype.

    >>> ceil(np.array([1.2, -1.7]))
    array([ 2., -1.])
    """
    return np.ceil(x).astype(np.asarray(x).dtype)


@_step()
def round_(x: Tensor) -> Any:
    """Nearest integer, halves to the even one, in x's dtype.

    >>> round_(np.array([0.5, 1.5, 1.6]))
    array([0., 2., 2.])
    """
    return np.round(x).astype(np.asarray(x).dtype)


@primitive(infer=rules.same("x", "bool"), differentiable=False, cases=_TESTED)
def isnan(x: Tensor) -> Any:
    """Where x is NaN; as bool.

    >>> isnan(np.array([1., np.nan]))
    array([False,  True])
    """
    return np.isnan(x)


@primitive(infer=rules.same("x", "bool"), differentiable=False, cases=_TESTED)
def isfinite(x: Tensor) -> Any:
    """Where x is neither infinite nor NaN; as bool.

    >>> isfinite(np.array([1., np.inf, np.nan]))
    array([ True, False, False])
    """
    return np.isfinite(x)


# --- choice -----------------------------------------------------------------------------------------------------------


def _where_vjp(g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
    zero = zeros_of(g)
    return None, unbroadcast(where(condition, g, zero), x), unbroadcast(where(condition, zero, g), y)


def _where_cases(names: Any) -> Any:
    def draw(d: Draw) -> Any:
        dtype, shapes = d.dtype(names), broadcast_shapes(d, 3)
        values = Real()
        return {"condition": d.array(shapes[0], "bool", Bools()), "x": d.array(shapes[1], dtype, values),
                "y": d.array(shapes[2], dtype, values)}  # fmt: skip

    return draw


@primitive(infer=rules.broadcast("condition", "x", "y"), vjp=_where_vjp, promote=("x", "y"), host=True,
           cases=Cases(_where_cases(NUMBERS), smooth=_where_cases(FLOATS), edges=EVERYTHING))  # fmt: skip
def where(condition: Tensor, x: Tensor, y: Tensor) -> Any:
    """x where the condition holds, y elsewhere; all three broadcast together.

    Args:
        condition: bool tensor.
        x, y: tensors that get one common dtype.

    >>> where(np.array([True, False]), np.array([1, 2]), 0)
    array([1, 0])
    """
    return np.where(condition, x, y)
