"""One-hot targets undo argmax; normalised vectors have length one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kcore.errors import DataError
from kcore.utils import normalize, to_categorical


@given(hnp.arrays("int64", hnp.array_shapes(max_dims=3, min_side=2), elements=st.integers(0, 6)))
def test_argmax_undoes_to_categorical(y: np.ndarray) -> None:
    encoded = to_categorical(y, 7)
    assert encoded.shape == (*y.shape, 7)
    np.testing.assert_array_equal(encoded.argmax(-1), y)
    np.testing.assert_array_equal(encoded.sum(-1), 1)


def test_a_column_of_indices_gives_rows() -> None:
    assert to_categorical([[0], [1]]).shape == (2, 2)


def test_indices_out_of_range_are_told() -> None:
    with pytest.raises(DataError, match="0 to 2"):
        to_categorical([0, 3], 3)


@given(hnp.arrays("float64", (3, 4), elements=st.floats(-5, 5).filter(lambda v: abs(v) > 1e-3)))
def test_normalised_rows_have_length_one(x: np.ndarray) -> None:
    np.testing.assert_allclose(np.linalg.norm(normalize(x), axis=-1), 1)
