"""Sparse tensors are `tf.SparseTensor`s; shapes stay known in traces, which take any number of entries."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kcore import backend as K
from kcore.sparse import SparseArray

DENSE = np.array([[0, 2, 0], [1, 0, 3]], "float32")


def test_native_tensors_are_operands_and_feeds():
    native = tf.sparse.from_dense(DENSE)
    assert K.is_sparse(native)
    assert K.dot(native, tf.ones((3, 2))).numpy().tolist() == (DENSE @ np.ones((3, 2))).tolist()
    x = K.placeholder((None, 3), sparse=True)
    (same,) = K.function([x], [x])([native])
    assert same.toarray().tolist() == DENSE.tolist()


def test_a_trace_serves_any_number_of_entries_and_knows_shapes():
    x = K.placeholder((None, 3), sparse=True)
    joined = K.concatenate([x, x], 1)
    outputs = [joined, K.shape(joined), K.dot(joined, K.ones((6, 2))), K.concatenate([x, K.to_dense(x)], 0)]
    f = K.function([x], outputs)
    for dense in (DENSE, DENSE * [[0], [1]], DENSE * 0):
        got, shape, product, mixed = f([SparseArray.from_dense(dense)])
        twice = np.concatenate([dense, dense], 1)
        assert got.toarray().tolist() == twice.tolist()
        assert shape.tolist() == [2, 6]
        assert product.tolist() == (twice @ np.ones((6, 2))).tolist()
        assert mixed.tolist() == np.concatenate([dense, dense], 0).tolist()


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16", "int64", "int32", "bool"])
def test_all_dtypes(dtype):
    v = K.variable(SparseArray.from_dense(DENSE), dtype=dtype)
    assert K.eval(v).tolist() == DENSE.astype(bool if dtype == "bool" else float).tolist()
    if dtype != "bool":
        assert K.eval(K.dot(v, K.ones((3, 2), dtype=dtype))).tolist() == (DENSE @ np.ones((3, 2))).tolist()
