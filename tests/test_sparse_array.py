"""SparseArray: its canonical form, rows, joins and products are those of the dense array."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore.errors import DataError, ShapeError
from kcore.sparse import SparseArray, as_sparse, concatenate


@st.composite
def sparse_arrays(draw, shape=None):
    """Entries in any order, some positions twice, some of them zero."""
    shape = shape or tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    entry = st.tuples(*(st.integers(0, n - 1) for n in shape))
    indices = draw(st.lists(entry, max_size=8))
    values = draw(st.lists(st.integers(-3, 3), min_size=len(indices), max_size=len(indices)))
    return indices, np.asarray(values, "float64"), shape


@given(sparse_arrays())
def test_any_entries_get_the_canonical_form_of_the_same_array(entries):
    indices, values, shape = entries
    dense = np.zeros(shape)
    np.add.at(dense, tuple(np.asarray(indices, int).reshape(-1, len(shape)).T), values)
    made = SparseArray.of(*entries)
    np.testing.assert_array_equal(made.toarray(), dense)
    assert sorted({tuple(i) for i in made.indices}) == [tuple(i) for i in made.indices]
    np.testing.assert_array_equal(as_sparse(dense).toarray(), dense)


@given(sparse_arrays(), st.data())
def test_rows_are_those_of_the_dense_array(entries, data):
    made = SparseArray.of(*entries)
    rows = made.shape[0]
    indices = st.lists(st.integers(-rows, rows - 1), max_size=5).map(lambda x: np.asarray(x, int))
    chosen = data.draw(st.one_of(st.slices(rows), indices))
    part = made[chosen]
    np.testing.assert_array_equal(part.toarray(), made.toarray()[chosen])
    np.testing.assert_array_equal(SparseArray.of(part.indices, part.values, part.shape).indices, part.indices)


@given(sparse_arrays((3, 2)), sparse_arrays((3, 2)), st.sampled_from([0, 1]))
def test_joins_and_products_are_those_of_the_dense_arrays(first, second, axis):
    a, b = SparseArray.of(*first), SparseArray.of(*second)
    np.testing.assert_array_equal(concatenate([a, b, a], axis).toarray(),
                                  np.concatenate([a.toarray(), b.toarray(), a.toarray()], axis))  # fmt: skip
    np.testing.assert_allclose(a.dot(b.toarray().T), a.toarray() @ b.toarray().T)
    np.testing.assert_allclose(a.dot(b.toarray(), adjoint=True), a.toarray().T @ b.toarray())


def test_entries_outside_and_sizes_that_differ_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(2, 2\) has an entry outside"):
        SparseArray.of([[0, 2]], [1.0], (2, 2))
    with pytest.raises(ShapeError, match=r"values of shape"):
        SparseArray.of([[0, 1]], [1.0, 2.0], (2, 2))
    with pytest.raises(DataError, match="SciPy"):
        as_sparse([[1, 2], [3]])


def test_flags_are_joined_by_or():
    made = SparseArray.of([[1], [1]], [True, True], (2,))
    assert made.dtype == bool
    assert made.toarray().tolist() == [False, True]


def test_scipy_is_not_imported():
    code = "import sys, kcore.sparse, kcore.ops, kcore.backend; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
