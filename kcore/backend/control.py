"""Choices and loops over the first axis: switch, map_fn, foldl, foldr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.backend import nest
from kcore.backend.tensors import int_shape, ndim
from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.ops import control, elementwise, shaping, structural
from kcore.ops import dtypes as dtype_table
from kcore.ops.spec import as_symbolic, spec_of


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors, by a scalar condition or element by element.

    Args:
        condition: tensor; nonzero is true. A scalar chooses between the two expressions, and only the chosen one is
            computed. Otherwise the rank is at most that of the expressions, and axes are added behind it.
        then_expression: tensor, or a function without arguments that makes one.
        else_expression: tensor, or a function without arguments that makes one, of the same shape.

    Raises:
        ShapeError: the condition has more dimensions than the expressions.

    >>> x = K.constant([1., -2.])
    >>> K.eval(K.switch(K.greater(x, 0.), x, 10. * x))
    array([  1., -20.], dtype=float32)
    >>> K.eval(K.switch(K.sum(x) > 0., lambda: x, lambda: -x))
    array([-1.,  2.], dtype=float32)
    """
    if ndim(condition) == 0:
        return _choose(condition, then_expression, else_expression)
    then = then_expression() if callable(then_expression) else then_expression
    otherwise = else_expression() if callable(else_expression) else else_expression
    missing = ndim(then) - ndim(condition)
    if missing < 0:
        raise ShapeError(
            f"The condition of K.switch has shape {int_shape(condition)}, more dimensions than the expressions, "
            f"which have shape {int_shape(then)}."
        )
    condition = structural.cast(condition, "bool")
    for _ in range(missing):
        condition = shaping.expand_dims(condition, -1)
    return elementwise.where(condition, then, otherwise)


def _choose(condition: Any, then: Any, otherwise: Any) -> Any:
    if not isinstance(condition, Symbolic):
        chosen = then if bool(condition) else otherwise
        return chosen() if callable(chosen) else chosen
    if not callable(then) and not callable(otherwise):
        dtype = spec_of(then if isinstance(then, Symbolic) else otherwise).dtype
        then, otherwise = as_symbolic(then, dtype), as_symbolic(otherwise, dtype)
    return control.branch(condition, _thunk(then), _thunk(otherwise))


def _thunk(expression: Any) -> Callable[[], Any]:
    return expression if callable(expression) else lambda: expression


# --- loops over the first axis ----------------------------------------------------------------------------------------


def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """A function applied to each slice along the first axis, the results stacked.

    Args:
        fn: takes one slice (a nest of slices where `elems` is a nest), returns a tensor or a nest of tensors.
        elems: tensor, or a list or tuple of tensors with equal first sizes.
        name: ignored.
        dtype: dtype of the results (a nest of them where `fn` returns a nest), if another than that of `fn`'s.

    >>> K.eval(K.map_fn(lambda row: K.sum(row), K.constant([[1., 2.], [3., 4.]])))
    array([3., 7.], dtype=float32)
    """
    leaves = _leaves(elems, "K.map_fn")
    results: list[Any] = []

    def step(slices: list[Any]) -> list[Any]:
        out = fn(nest.pack(elems, slices))
        results[:] = [out]
        return nest.flatten(out)

    if not any(isinstance(x, Symbolic) for x in leaves):
        columns = zip(*(step([x[i] for x in leaves]) for i in range(_length(leaves))), strict=True)
        stacked = [shaping.stack(list(column)) for column in columns]
    else:
        _, stacked = control.loop(lambda _, slices, i: ([], step(slices)), [], leaves)
    if dtype is not None:
        wanted = nest.flatten(dtype) if isinstance(dtype, (list, tuple)) else [dtype] * len(stacked)
        stacked = [structural.cast(x, dtype_table.name_of(d)) for x, d in zip(stacked, wanted, strict=True)]
    return nest.pack(results[0], stacked)


def foldl(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Slices along the first axis combined from the first to the last.

    Args:
        fn: takes the result so far and one slice, returns the next result.
        elems: tensor, or a list or tuple of tensors with equal first sizes.
        initializer: the first result so far; the first slice when not given.
        name: ignored.

    >>> K.eval(K.foldl(lambda total, x: total * 0.5 + x, K.constant([1., 2., 3.])))
    array(4.25, dtype=float32)
    """
    return _fold(fn, elems, initializer, backwards=False)


def foldr(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """Slices along the first axis combined from the last to the first.

    Args:
        fn: takes the result so far and one slice, returns the next result.
        elems: tensor, or a list or tuple of tensors with equal first sizes.
        initializer: the first result so far; the last slice when not given.
        name: ignored.

    >>> K.eval(K.foldr(lambda total, x: total * 0.5 + x, K.constant([1., 2., 3.])))
    array(2.75, dtype=float32)
    """
    return _fold(fn, elems, initializer, backwards=True)


def _fold(fn: Callable[[Any, Any], Any], elems: Any, initializer: Any, *, backwards: bool) -> Any:
    leaves = _leaves(elems, "K.foldr" if backwards else "K.foldl")
    if initializer is None:
        first, rest = (-1, slice(0, -1)) if backwards else (0, slice(1, None))
        initializer = nest.pack(elems, [shaping.strided_slice(x, (first,)) for x in leaves])
        leaves = [shaping.strided_slice(x, (rest,)) for x in leaves]
    count = spec_of(leaves[0]).shape[0]
    if count == 0:
        return initializer
    state = nest.flatten(initializer)
    if not any(isinstance(x, Symbolic) for x in [*leaves, *state]):
        total = initializer
        for i in reversed(range(_length(leaves))) if backwards else range(_length(leaves)):
            total = fn(total, nest.pack(elems, [x[i] for x in leaves]))
        return total

    def step(carry: list[Any], slices: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
        return nest.flatten(fn(nest.pack(initializer, carry), nest.pack(elems, slices))), []

    final, _ = control.loop(step, state, leaves, reverse=backwards)
    return nest.pack(initializer, final)


def _leaves(elems: Any, who: str) -> list[Any]:
    leaves = [np.asarray(x) if isinstance(x, (int, float)) else x for x in nest.flatten(elems)]
    if not leaves or any(ndim(x) == 0 for x in leaves):
        raise ArgumentError(f"{who} loops over the first axis of tensors; got {elems!r}.")
    return leaves


def _length(leaves: list[Any]) -> int:
    return int(spec_of(leaves[0]).shape[0] or 0)
