"""Sparse tensors are BCOO, padded so that executables are seldom compiled anew; padding is never seen."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from kcore import backend as K
from kcore.backend.active import backend_scope, load
from kcore.sparse import SparseArray

backend = load("jax")


@pytest.fixture(autouse=True)
def on_jax():
    with backend_scope("jax"):
        yield


def with_entries(n, shape=(4, 8)):
    dense = np.zeros(shape, "float32")
    dense.ravel()[:n] = np.arange(1, n + 1)
    return SparseArray.from_dense(dense)


def test_the_number_of_entries_is_rounded_up():
    rounded = {n: backend.from_sparse(with_entries(n), "float32").nse for n in (0, 1, 2, 3, 5, 8, 9)}
    assert rounded == {0: 1, 1: 1, 2: 2, 3: 4, 5: 8, 8: 8, 9: 16}
    assert backend.to_sparse(backend.from_sparse(with_entries(5), "float32")).nnz == 5


def test_batches_of_about_as_many_entries_share_an_executable():
    x = K.placeholder((None, 8), sparse=True)
    f = K.function([x], [K.dot(x, K.ones((8, 1)))])
    for n in (9, 12, 16):
        f([with_entries(n)])
    assert f._executables["jax", 0, False]._code.call.shapes() == 1
    f([with_entries(17)])
    assert f._executables["jax", 0, False]._code.call.shapes() == 2


def test_padding_stays_outside_joined_tensors():
    x, y = K.placeholder((None, 8), sparse=True), K.placeholder((None, 8), sparse=True)
    f = K.function([x, y], [K.concatenate([x, y], 0), K.concatenate([x, y], 1)])
    a, b = with_entries(5), with_entries(3)
    for got, axis in zip(f([a, b]), (0, 1), strict=True):
        np.testing.assert_array_equal(got.toarray(), np.concatenate([a.toarray(), b.toarray()], axis))
        assert got.nnz == 8


def test_native_tensors_are_operands_at_once():
    native = BCOO.fromdense(jnp.eye(3))
    assert K.is_sparse(native)
    assert K.dot(native, jnp.ones((3, 2))).tolist() == np.ones((3, 2)).tolist()
