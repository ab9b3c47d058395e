"""Sparse tensors in K: the same results on a backend with sparse tensors (NumPy's) and on one without."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from kcore import backend as K
from kcore import plugin
from kcore.backend import active
from kcore.backend.array_api import ArrayAPIBackend
from kcore.errors import DataError, ShapeError, SparseTensorError
from kcore.sparse import SparseArray

MATRIX = scipy_sparse.random(5, 4, 0.4, format="csr", random_state=0, dtype="float32")
DENSE = MATRIX.toarray()


class WithoutSparse(ArrayAPIBackend):
    name = "without-sparse"

    def __init__(self):
        super().__init__(np)


@pytest.fixture(params=["numpy", "without-sparse"])
def backend(request):
    plugin._loaded["without-sparse"] = WithoutSparse()
    with K.backend_scope(request.param) as chosen:
        yield chosen
    del plugin._loaded["without-sparse"]


def test_a_sparse_variable_is_a_sparse_tensor_with_a_fixed_value(backend):
    v = K.variable(MATRIX)
    assert K.is_sparse(v)
    assert K.is_tensor(v)
    assert not K.is_variable(v)
    assert (K.int_shape(v), K.ndim(v), K.dtype(v)) == ((5, 4), 2, "float32")
    assert K.dtype(K.variable(MATRIX.astype("float64"))) == "float64"
    assert K.dtype(K.variable(MATRIX, dtype="float16")) == "float16"
    np.testing.assert_array_equal(K.eval(v), DENSE)
    value = K.get_value(v)
    assert isinstance(value, SparseArray)
    np.testing.assert_array_equal(value.toarray(), DENSE)
    np.testing.assert_array_equal(K.eval(K.to_dense(v)), DENSE)
    assert not K.is_sparse(K.to_dense(v))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "array", "triple", "dense", "own", "repeated"])
def test_what_a_sparse_placeholder_is_fed_with(form, backend):
    x = K.placeholder((None, 4), sparse=True)
    assert K.is_sparse(x)
    assert K.is_placeholder(x)
    where = np.argwhere(DENSE)
    triple = (where[::-1], DENSE[DENSE != 0][::-1], DENSE.shape)
    halves = scipy_sparse.coo_matrix((np.tile(MATRIX.data, 2) / 2, tuple(np.tile(where.T, 2))))
    fed = {"array": scipy_sparse.csr_array(MATRIX), "triple": triple, "dense": DENSE, "own": SparseArray.of(*triple),
           "repeated": halves}  # fmt: skip
    value = fed[form] if form in fed else MATRIX.asformat(form)
    dense, same = K.function([x], [K.to_dense(x), x])([value])
    np.testing.assert_array_equal(dense, DENSE)
    np.testing.assert_array_equal(same.toarray(), DENSE)
    assert dense.dtype == "float32"


def test_values_that_do_not_fit_are_refused(backend):
    x, y = K.placeholder((None, 3), sparse=True, name="x"), K.placeholder((None, 4), name="y")
    with pytest.raises(ShapeError, match=r"shape \(5, 4\) for 'x:0'"):
        K.function([x], [K.to_dense(x)])([MATRIX])
    with pytest.raises(DataError, match="sparse=True"):
        K.function([y], [y * 2.0])([MATRIX])


@pytest.mark.parametrize("call", [K.sum, K.relu, K.transpose, K.exp, K.flatten, lambda x: x + 1.0, lambda x: x * x,
                                  lambda x: K.dot(x, x), lambda x: x * K.ones((4,)), lambda x: 1.0 / x,
                                  lambda x: K.stack([x, x])])  # fmt: skip
def test_other_ops_point_to_to_dense(call, backend):
    for x in (K.placeholder((None, 4), sparse=True), K.variable(MATRIX), MATRIX):
        if x is MATRIX and call.__name__ == "<lambda>":
            continue  # SciPy's own operators
        with pytest.raises(TypeError, match="to_dense"):
            call(x)
    assert issubclass(SparseTensorError, TypeError)


def test_products_of_mixed_dtypes_are_promoted(backend):
    product = K.dot(K.variable(MATRIX), K.variable(DENSE.T, dtype="float64"))
    assert K.dtype(product) == "float64"
    np.testing.assert_allclose(K.eval(product), DENSE.astype("float64") @ DENSE.T.astype("float64"))
    with pytest.raises(ShapeError, match="sparse"):
        K.dot(K.variable(MATRIX), K.ones((3, 2)))


def test_products_of_any_rank(backend):
    x, rng = K.placeholder((None, 4), sparse=True), np.random.default_rng(0)
    for shape in ((4,), (4, 2), (3, 4, 2), (2, 3, 4, 5)):
        y = rng.standard_normal(shape).astype("float32")
        product = K.dot(x, K.constant(y))
        got = K.function([x], [product])([MATRIX])[0]
        want = K.eval(K.dot(K.constant(DENSE), K.constant(y)))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        assert K.int_shape(product) == (None, *want.shape[1:])


def test_operands_at_once(backend):
    native = active.backend().asarray(DENSE.T)
    np.testing.assert_allclose(np.asarray(K.dot(MATRIX, native)), DENSE @ DENSE.T, rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(K.to_dense(MATRIX)), DENSE)
    np.testing.assert_array_equal(K.eval(MATRIX), DENSE)


def test_sparse_tensors_of_other_ranks(backend):
    cube = np.arange(24.0, dtype="float32").reshape(2, 3, 4) * (np.arange(24).reshape(2, 3, 4) % 3 == 0)
    x = K.placeholder((None, 3, 4), sparse=True)
    dense, joined, size = K.function([x], [K.to_dense(x), K.concatenate([x, x], axis=1), K.shape(x)])([cube])
    np.testing.assert_array_equal(dense, cube)
    np.testing.assert_array_equal(joined.toarray(), np.concatenate([cube, cube], 1))
    assert size.tolist() == [2, 3, 4]


def test_labels_become_sparse(backend):
    labels = np.array([[1, 0, 2], [3, 4, 5]], "int32")
    for lengths in (np.array([2, 0]), np.array([[2], [0]])):
        found = K.ctc_label_dense_to_sparse(K.constant(labels, "int32"), K.constant(lengths, "int32"))
        assert K.is_sparse(found)
        assert K.eval(found).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_a_label_of_0_is_an_entry():
    found = K.get_value(K.ctc_label_dense_to_sparse(K.constant([[0, 0]], "int32"), K.constant([1], "int32")))
    assert (found.indices.tolist(), found.values.tolist(), found.dense_shape) == ([[0, 0]], [0], (1, 2))


def test_second_gradients(backend):
    x, w = K.placeholder((None, 4), sparse=True), K.variable(np.ones((4, 2)))
    (g,) = K.gradients(K.sum(K.square(K.dot(x, w))), [w])
    (second,) = K.gradients(K.sum(K.square(g)), [w])
    gram = 2 * DENSE.T @ DENSE
    got = K.function([x], [g, second])([MATRIX])
    np.testing.assert_allclose(got[0], gram @ np.ones((4, 2)), rtol=1e-5)
    np.testing.assert_allclose(got[1], 2 * gram.T @ gram @ np.ones((4, 2)), rtol=1e-5)
    assert K.gradients(K.sum(K.to_dense(x)), x) == [None]
