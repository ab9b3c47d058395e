"""Sparse tensors: `tf.SparseTensor`, in row-major order."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import kernel

_PRODUCTS = ("float32", "float64", "int32", "bfloat16")


def _shaped(x: Any, shape: Any) -> Any:
    """The tensor with the static shape that TensorFlow's sparse kernels lose."""
    return tf.ensure_shape(x, shape)


@kernel
def to_dense(x: tf.SparseTensor) -> Any:
    if x.dtype == tf.bool:
        return tf.cast(to_dense(tf.cast(x, tf.uint8)), tf.bool)
    return _shaped(tf.sparse.to_dense(x), x.shape)


@kernel
def sparse_values(x: tf.SparseTensor) -> Any:
    return x.values


@kernel
def with_values(x: tf.SparseTensor, values: Any) -> tf.SparseTensor:
    return x.with_values(values)


@kernel
def sparse_dot(x: tf.SparseTensor, y: Any, adjoint: bool) -> Any:
    product = tf.sparse.sparse_dense_matmul(x, y, adjoint_a=adjoint)
    return _shaped(product, (x.shape[1 if adjoint else 0], y.shape[1]))


sparse_dot.supports = lambda x, y, adjoint: y.dtype in _PRODUCTS  # type: ignore[attr-defined]


@kernel
def sparse_concatenate(xs: list[tf.SparseTensor], axis: int) -> tf.SparseTensor:
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    joined = tf.sparse.concat(axis, xs)
    joined.set_shape(shape)
    return joined


@kernel
def sparse_mask(x: Any, mask: Any) -> tf.SparseTensor:
    indices = tf.where(mask)
    return tf.SparseTensor(indices, tf.gather_nd(x, indices), x.shape)
