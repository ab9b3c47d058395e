"""Ops on sparse tensors, and what other ops do when they are given one.

Few ops have kernels for sparse tensors: those declared here, and `shape`. `FORMS` expresses some others in them;
all the rest raise an error that points to K.to_dense. Every op here is a composite whose body says the same of dense
tensors: a backend without sparse tensors is fed dense ones, and runs the bodies. One with sparse tensors overrides all
(the body of `sparse_dot` serves where a kernel declines). No gradient flows through a sparse tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import sparse
from kcore.errors import ShapeError, SparseTensorError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import arithmetic, exponential, structural
from kcore.ops.comparison import where
from kcore.ops.joining import concatenate
from kcore.ops.linalg import matmul
from kcore.ops.products import reshaped
from kcore.ops.shaping import expand_dims, join, reshape, shape_of, squeeze, transpose
from kcore.ops.sparse_operands import FORMS
from kcore.ops.spec import REGISTRY, Tensor, Tensors, composite, spec_of


@composite(infer=lambda x: TensorSpec(x.shape, x.dtype), sparse=("x",), differentiable=False,
           reference=lambda x: x.toarray())  # fmt: skip
def to_dense(x: Tensor) -> Any:
    """The dense tensor of a sparse one.

    Args:
        x: sparse tensor of any shape and dtype.
    """
    return x


@composite(infer=lambda x: TensorSpec((None,), x.dtype), sparse=("x",), differentiable=False,
           reference=lambda x: x.values)  # fmt: skip
def sparse_values(x: Tensor) -> Any:
    """The entries of a sparse tensor (with zeros among them where a backend pads), in an order of the backend's.

    Args:
        x: sparse tensor of any shape and dtype.
    """
    return x


def _same_places(x: TensorSpec, values: TensorSpec) -> TensorSpec:
    return TensorSpec(x.shape, values.dtype, sparse=True)


@composite(infer=_same_places, sparse=("x",), promote=(), differentiable=False,
           reference=lambda x, values: sparse.SparseArray(x.indices, values, x.shape))  # fmt: skip
def with_values(x: Tensor, values: Tensor) -> Any:
    """A sparse tensor with other entries at the same positions.

    Args:
        x: sparse tensor.
        values: what was made of `sparse_values(x)` entry by entry, zero of zero.
    """
    return values


def _sparse_dot_spec(x: TensorSpec, y: TensorSpec, adjoint: bool) -> TensorSpec:
    rows, inner = x.shape[::-1] if adjoint else x.shape
    if y.rank != 2 or (inner is not None and y.shape[0] is not None and inner != y.shape[0]):
        raise ShapeError(
            f"dot of shapes {x.shape} (sparse) and {y.shape}: the last axis of the first and the first of the second "
            "must be equal."
        )
    return TensorSpec((rows, y.shape[1]), y.dtype)


def _sparse_dot_vjp(g: Any, out: Any, x: Any, y: Any, adjoint: bool) -> Any:
    return None, sparse_dot(x, g, not adjoint)


@composite(infer=_sparse_dot_spec, sparse=("x",), vjp=_sparse_dot_vjp,
           reference=lambda x, y, adjoint: x.dot(y, adjoint))  # fmt: skip
def sparse_dot(x: Tensor, y: Tensor, adjoint: bool = False) -> Any:
    """Product of a sparse matrix, or of its transpose, with a dense one; gradients flow to the dense one.

    Args:
        x: sparse (n, k); with `adjoint` (k, n).
        y: (k, m).
        adjoint: whether x is transposed.

    Returns:
        Dense tensor (n, m).

    Raises:
        ShapeError: sizes that differ.
    """
    dense = to_dense(x)
    return matmul(transpose(dense, (1, 0)) if adjoint else dense, y)


def _joined_spec(xs: Sequence[TensorSpec], axis: int) -> TensorSpec:
    spec: TensorSpec = _concatenation.infer(xs=xs, axis=axis)  # type: ignore[misc]
    return TensorSpec(spec.shape, spec.dtype, sparse=True)


_concatenation = REGISTRY["concatenate"]


@composite(infer=_joined_spec, normalize=_concatenation.normalize, sparse=("xs",), differentiable=False,
           reference=sparse.concatenate)  # fmt: skip
def sparse_concatenate(xs: Tensors, axis: int = -1) -> Any:
    """Sparse tensors joined along an axis, as a sparse tensor.

    Args:
        xs: a list of sparse tensors whose other axes are equal.
        axis: where to join.
    """
    return concatenate(xs, axis)


def _np_mask(x: np.ndarray, mask: np.ndarray) -> sparse.SparseArray:
    indices = np.argwhere(mask)
    return sparse.SparseArray(indices, x[tuple(indices.T)], x.shape)


@composite(infer=lambda x, mask: TensorSpec(x.shape, x.dtype, sparse=True), promote=(), differentiable=False,
           reference=_np_mask)  # fmt: skip
def sparse_mask(x: Tensor, mask: Tensor) -> Any:
    """A sparse tensor of those elements of a dense one where a mask of the same shape is true.

    Args:
        x: tensor of any shape and dtype.
        mask: bool tensor of that shape.
    """
    return where(mask, x, structural.zeros_like(x))


# --- other ops, given sparse tensors ----------------------------------------------------------------------------------


def _form_of(op: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        FORMS[op] = function
        return function

    return enter


def _is_sparse(x: Any) -> bool:
    return spec_of(x).sparse


@_form_of("dot")
def _dot(x: Any, y: Any) -> Any:
    """K.dot with a sparse matrix on one side."""
    a, b = spec_of(x), spec_of(y)
    if (a.sparse and (b.sparse or a.rank != 2)) or (b.sparse and (a.rank != 2 or b.rank != 2)):
        raise SparseTensorError(
            f"K.dot multiplies a sparse matrix with a dense tensor; got {_described(a)} and {_described(b)}. Use "
            "K.to_dense on one of them."
        )
    if b.sparse:
        return transpose(sparse_dot(y, transpose(x, (1, 0)), True), (1, 0))
    if b.rank == 2:
        return sparse_dot(x, y)
    if b.rank == 1:
        return squeeze(sparse_dot(x, expand_dims(y, 1)), 1)
    at, sizes = b.rank - 2, shape_of(y)
    front = transpose(y, (at, *(i for i in range(b.rank) if i != at)))
    product = sparse_dot(x, reshaped(front, (sizes[at], -1)))
    return reshape(product, join(shape_of(x)[:1], sizes[:at], sizes[at + 1 :]))


def _described(spec: TensorSpec) -> str:
    return f"a {'sparse' if spec.sparse else 'dense'} tensor of shape {spec.shape}"


@_form_of("concatenate")
def _concatenate(xs: Any, axis: int) -> Any:
    """Sparse if all are; otherwise the sparse ones become dense."""
    if all(_is_sparse(x) for x in xs):
        return sparse_concatenate(xs, axis)
    return concatenate([to_dense(x) if _is_sparse(x) else x for x in xs], axis)


@_form_of("cast")
def _cast(x: Any, dtype: str) -> Any:
    return with_values(x, structural.cast(sparse_values(x), dtype))


@_form_of("multiply")
def _multiply(x: Any, y: Any) -> Any:
    return _with_number(arithmetic.multiply, *((x, y) if _is_sparse(x) else (y, x)))


@_form_of("divide")
def _divide(x: Any, y: Any) -> Any:
    if not _is_sparse(x):
        raise SparseTensorError("A dense tensor cannot be divided by a sparse one; use K.to_dense on it.")
    return _with_number(arithmetic.divide, x, y)


def _with_number(op: Callable[..., Any], x: Any, number: Any) -> Any:
    if _is_sparse(number) or spec_of(number).rank or (isinstance(number, Symbolic) and not _is_constant(number)):
        raise SparseTensorError(
            f"A sparse tensor can be multiplied or divided by a number only; got {_described(spec_of(number))}. Use "
            "K.to_dense, or K.dot for a product of matrices."
        )
    return with_values(x, op(sparse_values(x), number))


def _is_constant(number: Symbolic) -> bool:
    node = getattr(number, "node", None)
    return node is not None and node.op.name == "constant"


def _by_entry(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: with_values(x, op(sparse_values(x)))


for _op in (arithmetic.abs_, arithmetic.negative, arithmetic.sign, arithmetic.square, exponential.tanh):
    FORMS[_op.op.name] = _by_entry(_op)  # type: ignore[attr-defined]
