"""Variables and what runs: making them, reading and setting values, updates, gradients, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kcore import config, random
from kcore.backend.tensors import constant, int_shape
from kcore.errors import ArgumentError, GraphError
from kcore.graph import function as functions
from kcore.graph import gradients as derivatives
from kcore.graph import updates
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.ops import dtypes
from kcore.ops.elementwise import add, multiply, subtract
from kcore.ops.spec import constant_node, holds_symbolic
from kcore.ops.structural import cast
from kcore.sparse import as_sparse, is_sparse_data
from kcore.variables import Deferred, Variable, is_deferring


def variable(
    value: Any, dtype: Any = None, name: str | None = None, constraint: Callable[[Any], Any] | None = None
) -> Any:
    """A variable: a tensor that keeps its value between runs. Of sparse data: a sparse tensor with a fixed value.

    Args:
        value: the initial value: a number, array, a tensor that needs no feed; or a SciPy sparse matrix.
        dtype: name of the dtype; floatx by default, for sparse data their own.
        name: of the variable, put behind the open name scopes.
        constraint: projection that optimizers apply after an update.

    >>> v = K.variable(np.array([[1, 2], [3, 4]]), name="w")
    >>> v.name, K.dtype(v), K.int_shape(v)
    ('w:0', 'float32', (2, 2))
    """
    if is_sparse_data(value):
        array = as_sparse(value)
        return constant_node(array, dtypes.name_of(dtype or array.dtype))
    if not isinstance(value, (np.ndarray, np.generic, int, float, list, tuple, Deferred)):
        value = functions.evaluate([value])[0]
    return Variable(value, dtypes.name_of(dtype or config.floatx()), name, constraint)


def _filled(value: int, shape: Any, dtype: Any, name: str | None) -> Any:
    if holds_symbolic(shape):
        from kcore.ops.creation import full

        return full(shape, value, dtypes.name_of(dtype or config.floatx()))
    sizes = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if 0 in sizes:
        return constant(value, dtype, sizes)
    if is_deferring():
        return variable(Deferred(sizes, lambda: np.full(sizes, value), anytime=True), dtype, name)
    return variable(np.full(sizes, value), dtype, name)


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros; a tensor where `shape` holds symbolic sizes.

    >>> K.eval(K.zeros((2, 2)))
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    return _filled(0, shape, dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones; a tensor where `shape` holds symbolic sizes.

    >>> K.eval(K.ones((2,)))
    array([1., 1.], dtype=float32)
    """
    return _filled(1, shape, dtype, name)


def random_uniform_variable(
    shape: Sequence[int], low: float, high: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable of uniform draws from [low, high), the same on every backend for a given seed.

    >>> v = K.random_uniform_variable((2, 3), 0., 1., seed=1)
    >>> bool((K.get_value(v) < 1).all())
    True
    """
    return variable(random.generator(seed).uniform(low, high, tuple(shape)), dtype, name)


def random_normal_variable(
    shape: Sequence[int], mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable of normal draws with the given mean and standard deviation, the same on every backend for a seed.

    >>> K.int_shape(K.random_normal_variable((2, 3), 0., 1., seed=1))
    (2, 3)
    """
    return variable(random.generator(seed).normal(mean, scale, tuple(shape)), dtype, name)


# --- values -----------------------------------------------------------------------------------------------------------


def eval(x: Any) -> np.ndarray:
    """The value of a tensor that depends on no placeholder, as a NumPy array.

    Raises:
        GraphError: the tensor depends on a placeholder.

    >>> K.eval(K.variable([1., 2.]) + 1.)
    array([2., 3.], dtype=float32)
    """
    return functions.evaluate([x])[0]


def get_value(x: Any) -> Any:
    """The value of a variable, as a NumPy array of one's own; of a sparse tensor, as a `kcore.sparse.SparseArray`.

    >>> K.get_value(K.variable([1., 2.]))
    array([1., 2.], dtype=float32)
    """
    if isinstance(x, SymbolicTensor) and x.spec.sparse:
        return functions.Function([], [x], name="get_value")([])[0]
    return functions.evaluate([x])[0]


def batch_get_value(ops: Iterable[Any]) -> list[np.ndarray]:
    """The values of several variables or tensors.

    >>> K.batch_get_value([K.variable(1.), K.variable(2.)])
    [array(1., dtype=float32), array(2., dtype=float32)]
    """
    return functions.evaluate(list(ops))


def set_value(x: Variable, value: Any) -> None:
    """Set the value of a variable.

    Raises:
        ShapeError: the value has another shape.

    >>> v = K.variable(1.)
    >>> K.set_value(v, 5.)
    >>> K.eval(v + 1.)
    array(6., dtype=float32)
    """
    if not isinstance(x, Variable):
        raise GraphError(f"K.set_value sets variables; got {x!r}.")
    x.assign(functions.evaluate([value])[0])


def batch_set_value(tuples: Iterable[tuple[Variable, Any]]) -> None:
    """Set the values of several variables, given as `(variable, value)` pairs.

    >>> v = K.variable(1.)
    >>> K.batch_set_value([(v, 2.)])
    >>> K.get_value(v)
    array(2., dtype=float32)
    """
    for x, value in tuples:
        set_value(x, value)


def get_variable_shape(x: Any) -> tuple[int | None, ...]:
    """The shape of a variable (the name that old code uses for `K.int_shape`).

    >>> K.get_variable_shape(K.zeros((2, 3)))
    (2, 3)
    """
    return int_shape(x)


# --- updates ----------------------------------------------------------------------------------------------------------


def update(x: Variable, new_x: Any) -> SymbolicTensor:
    """A tensor of the value `new_x` that, when computed, also becomes the variable's value.

    Pass it to `K.function(updates=...)`, or compute it. All updates of one run see the values before it.

    >>> v = K.variable(1.)
    >>> _ = K.function([], [], updates=[K.update(v, v * 3.)])([])
    >>> K.get_value(v)
    array(3., dtype=float32)
    """
    return updates.update(x, new_x)


def update_add(x: Variable, increment: Any) -> SymbolicTensor:
    """`K.update` of a variable by adding to it.

    >>> v = K.variable(1.)
    >>> K.eval(K.update_add(v, 2.))
    array(3., dtype=float32)
    """
    return updates.update(x, add(x, increment))


def update_sub(x: Variable, decrement: Any) -> SymbolicTensor:
    """`K.update` of a variable by subtracting from it.

    >>> v = K.variable(1.)
    >>> K.eval(K.update_sub(v, 2.))
    array(-1., dtype=float32)
    """
    return updates.update(x, subtract(x, decrement))


def moving_average_update(x: Variable, value: Any, momentum: Any) -> SymbolicTensor:
    """`K.update` of a variable to `x * momentum + value * (1 - momentum)`.

    >>> v = K.variable(0.)
    >>> K.eval(K.moving_average_update(v, 1., momentum=0.75))
    array(0.25, dtype=float32)
    """
    if holds_symbolic(value) and value.dtype != x.dtype:
        value = cast(value, x.dtype)
    return updates.update(x, subtract(x, multiply(subtract(x, value), 1.0 - momentum)))


# --- what runs --------------------------------------------------------------------------------------------------------


def function(inputs: Sequence[Any], outputs: Any, updates: Sequence[Any] | None = None, **kwargs: Any) -> Any:
    """A callable that computes `outputs` from values for `inputs`, then applies `updates`.

    Args:
        inputs: list of placeholders or other symbolic tensors to feed, and `K.learning_phase()`.
        outputs: list of tensors, or one tensor.
        updates: results of `K.update(...)`, and `(variable, new value)` pairs.
        **kwargs: `name` of the function. Session options of TensorFlow 1 are refused.

    Returns:
        A function from a list of values to a list of NumPy arrays (to one array where `outputs` is one tensor).

    Raises:
        ArgumentError: an unknown keyword.
        GraphError: the outputs depend on a placeholder that is not among the inputs (found at the first call).

    >>> x = K.placeholder(shape=(None,))
    >>> K.function([x], [x * 2., K.sum(x)])([np.array([1., 2.])])
    [array([2., 4.], dtype=float32), array(3., dtype=float32)]
    """
    name = kwargs.pop("name", None) or "function"
    if kwargs:
        raise ArgumentError(
            f"Invalid argument {', '.join(map(repr, kwargs))} passed to K.function; it takes inputs, outputs, "
            "updates and name."
        )
    return functions.Function(inputs, outputs, updates, name=name)


def gradients(loss: Any, variables: Any) -> list[Symbolic | None]:
    """Gradients of the sum of `loss` with respect to each of `variables`.

    Args:
        loss: a tensor, or a list of tensors.
        variables: variables, placeholders or intermediate tensors; a list, or one.

    Returns:
        A list of tensors of the variables' shapes; None where the loss does not depend on one.

    >>> v = K.variable([1., 2.])
    >>> K.eval(K.gradients(K.sum(K.square(v)), [v])[0])
    array([2., 4.], dtype=float32)
    """
    return derivatives.gradients(loss, variables)
