"""Tensors that are not variables: placeholders, constants, and what can be asked about any value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.backend import active
from kcore.errors import ArgumentError, ShapeError
from kcore.graph import function, ir, phase
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.ops import creation_like, structural
from kcore.ops import dtypes as dtype_table
from kcore.ops import sparse as sparse_ops
from kcore.ops.spec import constant_node, spec_of
from kcore.sparse import SparseArray, is_sparse_data
from kcore.variables import Variable


def placeholder(
    shape: Sequence[int | None] | None = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False,
    name: str | None = None,
) -> SymbolicTensor:  # fmt: skip
    """A tensor to be fed when a `K.function` is called.

    Args:
        shape: sizes; None for one that is not known yet.
        ndim: number of dimensions, all of unknown size; used when `shape` is not given.
        dtype: name of the dtype; floatx by default.
        sparse: whether it is a sparse tensor; it is fed with a SciPy sparse matrix or a `kcore.sparse.SparseArray`,
            and goes to K.dot, K.concatenate, K.cast, and through K.to_dense to everything.
        name: of the tensor.

    Raises:
        ArgumentError: neither `shape` nor `ndim`.

    >>> K.int_shape(K.placeholder(shape=(None, 4)))
    (None, 4)
    """
    if shape is None:
        if ndim is None:
            raise ArgumentError("K.placeholder needs a shape, for instance (None, 3), or a number of dimensions, ndim.")
        shape = (None,) * ndim
    sizes = tuple(None if n is None else int(n) for n in shape)
    label = ir.scoped(name or "Placeholder") + ":0"
    tensor = function.placeholder(sizes, dtype_table.name_of(dtype or config.floatx()), name=label, sparse=sparse)
    tensor._keras_shape = sizes  # type: ignore[attr-defined]
    return tensor


def constant(
    value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None
) -> SymbolicTensor:
    """A symbolic tensor with a fixed value.

    Args:
        value: a number, list or array.
        dtype: name of the dtype; floatx by default.
        shape: a number is repeated to fill this shape; values of the right size are reshaped to it.
        name: ignored; constants are named after their place in the graph.

    Raises:
        ShapeError: `value` has neither one element nor as many as `shape`.

    >>> K.eval(K.constant(2., shape=(2, 2)))
    array([[2., 2.],
           [2., 2.]], dtype=float32)
    """
    target = dtype_table.name_of(dtype or config.floatx())
    array = function.evaluate([value])[0] if isinstance(value, Symbolic) else np.asarray(value)
    if shape is not None:
        sizes = tuple(int(n) for n in shape)
        if array.size != 1 and array.size != int(np.prod(sizes)):
            raise ShapeError(f"A constant of shape {sizes} was given a value of shape {array.shape}.")
        array = np.full(sizes, array.reshape(())) if array.size == 1 else array.reshape(sizes)
    return constant_node(array, target)


# --- what can be asked ------------------------------------------------------------------------------------------------


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor: symbolic, a variable, or a backend's own (NumPy arrays are not).

    >>> K.is_tensor(K.variable(1.)), K.is_tensor(np.ones(3))
    (True, False)
    """
    if isinstance(x, Symbolic):
        return True
    return not isinstance(x, (np.ndarray, np.generic)) and any(b.is_native(x) for b in active.loaded())


def is_keras_tensor(x: Any) -> bool:
    """Whether a layer or `Input` made the tensor.

    Raises:
        ArgumentError: `x` is no symbolic tensor at all.

    >>> K.is_keras_tensor(K.placeholder(shape=(2,)))
    False
    """
    if not is_tensor(x):
        raise ArgumentError(f"K.is_keras_tensor expects a symbolic tensor, got {type(x).__name__}: {x!r}.")
    return hasattr(x, "_keras_history")


def is_placeholder(x: Any) -> bool:
    """Whether `x` is a placeholder.

    >>> K.is_placeholder(K.placeholder(shape=(2,))), K.is_placeholder(K.variable(1.))
    (True, False)
    """
    return isinstance(x, SymbolicTensor) and x.node is None and not phase.is_phase(x)


def is_variable(x: Any) -> bool:
    """Whether `x` is a variable.

    >>> K.is_variable(K.variable(1.)), K.is_variable(K.constant(1.))
    (True, False)
    """
    return isinstance(x, Variable)


def is_sparse(tensor: Any) -> bool:
    """Whether `tensor` is a sparse one: a symbolic tensor, or a backend's own.

    >>> K.is_sparse(K.placeholder((2, 2), sparse=True)), K.is_sparse(K.placeholder((2, 2)))
    (True, False)
    """
    if isinstance(tensor, Symbolic):
        return tensor.spec.sparse
    tests = (getattr(b, "is_sparse", None) for b in active.loaded())
    return isinstance(tensor, SparseArray) or any(test is not None and test(tensor) for test in tests)


def to_dense(tensor: Any) -> Any:
    """A sparse tensor as a dense one; a dense tensor itself.

    >>> x = K.placeholder((1, 2), sparse=True)
    >>> K.function([x], [K.to_dense(x)])([([[0, 1]], [5.], (1, 2))])
    [array([[0., 5.]], dtype=float32)]
    """
    return sparse_ops.to_dense(tensor) if is_sparse(tensor) or is_sparse_data(tensor) else tensor


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape as a tuple; unknown sizes are None.

    >>> K.int_shape(K.placeholder(shape=(None, 2)) * 3.)
    (None, 2)
    """
    shape = getattr(x, "_keras_shape", None)
    return shape if shape is not None else tuple(spec_of(x).shape)


def ndim(x: Any) -> int:
    """The number of dimensions.

    >>> K.ndim(K.zeros((2, 3)))
    2
    """
    return spec_of(x).rank


def dtype(x: Any) -> str:
    """The name of the dtype.

    >>> K.dtype(K.constant(1.)), K.dtype(K.constant([1, 2], dtype="int32"))
    ('float32', 'int32')
    """
    return spec_of(x).dtype


def count_params(x: Any) -> Any:
    """The number of elements of a tensor or variable whose shape is known.

    >>> int(K.count_params(K.zeros((2, 3))))
    6
    """
    return np.prod(int_shape(x))  # type: ignore[arg-type]


def size(x: Any, name: str | None = None) -> Any:
    """The number of elements, as an int32 tensor.

    >>> int(K.size(K.zeros((2, 3))))
    6
    """
    return creation_like.size(x)


# --- tensors like others ----------------------------------------------------------------------------------------------


def cast_to_floatx(x: Any) -> Any:
    """A tensor or array in floatx.

    >>> K.cast_to_floatx(np.array([1, 2]))
    array([1., 2.], dtype=float32)
    """
    if is_tensor(x):
        return structural.cast(x, config.floatx())
    return config.cast_to_floatx(x)


def identity(x: Any, name: str | None = None) -> Any:
    """A tensor with the same value.

    >>> K.eval(K.identity(K.constant([1., 2.])))
    array([1., 2.], dtype=float32)
    """
    return structural.identity(x)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the shape of `x`, in floatx unless `dtype` is given.

    >>> K.eval(K.zeros_like(K.constant([1., 2.])))
    array([0., 0.], dtype=float32)
    """
    return structural.zeros_like(structural.cast(x, dtype_table.name_of(dtype or config.floatx())))


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the shape of `x`, in floatx unless `dtype` is given.

    >>> K.eval(K.ones_like(K.constant([1., 2.])))
    array([1., 1.], dtype=float32)
    """
    return creation_like.ones_like(structural.cast(x, dtype_table.name_of(dtype or config.floatx())))


def eye(size: int | Sequence[int], dtype: Any = None, name: str | None = None) -> SymbolicTensor:
    """An identity matrix.

    Args:
        size: number of rows and columns, or a pair of both.
        dtype: name of the dtype; floatx by default.
        name: ignored.

    >>> K.eval(K.eye(2))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows, columns = size if isinstance(size, (list, tuple)) else (size, size)
    return constant(np.eye(rows, columns), dtype=dtype)


def stop_gradient(variables: Any) -> Any:
    """The tensor, or each of a list of tensors, as a constant to `K.gradients`.

    >>> v = K.variable(3.)
    >>> K.eval(K.gradients(v * K.stop_gradient(v), v)[0])
    array(3., dtype=float32)
    """
    if isinstance(variables, (list, tuple)):
        return [structural.stop_gradient(x) for x in variables]
    return structural.stop_gradient(variables)
