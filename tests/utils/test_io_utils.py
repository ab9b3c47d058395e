"""HDF5 data in place of arrays and of dictionaries."""

from __future__ import annotations

import gc
import io

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kcore.errors import UnsafeFileError
from kcore.utils import H5Dict, HDF5Matrix
from kcore.utils.io_utils import h5dict, load_from_binary_h5py, save_to_binary_h5py

DATA = np.arange(60.0).reshape(20, 3)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = DATA
    return tmp_path / "data.h5"


rows = st.integers(-15, 15)
keys = (
    st.builds(slice, st.none() | rows, st.none() | rows, st.none() | st.sampled_from([1, 2, 3, -1, -2]))
    | rows
    | st.lists(rows, min_size=1, max_size=6)
    | st.lists(rows, min_size=1, max_size=6).map(np.array)
    | st.lists(st.booleans(), min_size=15, max_size=15).map(np.array)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys, st.booleans())
def test_a_range_is_indexed_as_an_array_is(path, key, normalized):
    matrix = HDF5Matrix(path, "x", 2, 17, (lambda x: x + 1) if normalized else None)
    array = DATA[2:17] + normalized
    assert (matrix.shape, matrix.ndim, matrix.size, matrix.dtype) == ((15, 3), 2, 45, np.float64)
    try:
        expected = array[key]
    except IndexError:
        with pytest.raises(IndexError):
            matrix[key]
        return
    np.testing.assert_array_equal(matrix[key], expected)


def test_rows_beyond_the_range_are_an_error(path):
    matrix = HDF5Matrix(path, "x", 2, 17)
    for key in (15, -16, slice(10, 16), [3, 15], np.array([15])):
        with pytest.raises(IndexError, match="asked for; there are 15"):
            matrix[key]
    with pytest.raises(IndexError, match=r"mask of shape \(2,\)"):
        matrix[np.array([True, False])]
    assert len(list(matrix)) == 15, "iteration ends"


def test_ranges_and_files_that_are_not_there(path, tmp_path):
    with pytest.raises(ValueError, match="Rows 5 to 21 of 'x' were asked for, which has 20"):
        HDF5Matrix(path, "x", 5, 21)
    with pytest.raises(OSError, match="There is no file"):
        HDF5Matrix(tmp_path / "none.h5", "x")


def test_a_file_is_shared_and_closed_in_the_end(path):
    first, second = HDF5Matrix(path, "x"), HDF5Matrix(str(path), "x", 1)
    assert first._file is second._file
    first._file.close()
    third = HDF5Matrix(path, "x")
    np.testing.assert_array_equal(third[0], DATA[0])
    del first, second, third
    gc.collect()
    with h5py.File(path, "a") as file:  # would fail while it is open
        file["y"] = 1
    normalizer_sees_shapes = HDF5Matrix(path, "x", normalizer=lambda x: x.sum(axis=-1).astype("float32"))
    assert (normalizer_sees_shapes.shape, normalizer_sees_shapes.dtype) == ((20,), np.float32)


def test_models_train_and_predict_from_files(path):
    from kcore import backend as K
    from kcore.layers import Dense
    from kcore.models import Sequential

    with K.backend_scope("numpy"):
        model = Sequential([Dense(1, input_shape=(3,))])
        model.compile("sgd", "mse")
        x = HDF5Matrix(path, "x", normalizer=lambda x: x.astype("float32") / 60)
        y = np.ones((20, 1), "float32")
        for shuffle in ("batch", True, False):
            model.fit(x, y, batch_size=6, shuffle=shuffle, verbose=0)
        np.testing.assert_allclose(model.predict(x), model.predict((DATA / 60).astype("float32")), rtol=1e-5)


STORES = {
    "an open file": lambda folder: H5Dict(h5py.File(folder / "open.h5", "w")),
    "a path": lambda folder: H5Dict(folder / "new.h5", "w"),
    "a dictionary": lambda folder: h5dict({}),
}


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
def test_values_come_back(make, tmp_path):
    store = make(tmp_path)
    store["array"] = DATA
    store["scalar"] = np.float32(3)
    store["text"] = "déjà"
    store["names"] = ["a", "b"]
    store[b"bytes"] = 1.5
    store["group"]["inner"]["x"] = DATA[0]
    store.update({"more": 7})
    np.testing.assert_array_equal(store["array"], DATA)
    assert store["scalar"] == 3
    assert store["text"] == "déjà"
    assert [n.decode() if isinstance(n, bytes) else n for n in store["names"]] == ["a", "b"]
    assert store["bytes"] == 1.5
    np.testing.assert_array_equal(store["group"]["inner"]["x"], DATA[0])
    assert store["more"] == store.get("more") == 7
    assert "group" in store
    assert "text" in store
    assert store.get("none", 5) == 5
    assert "array" in set(store) & set(store.iter()) & set(store.keys())
    assert len(store) >= 2
    store.close()


def test_long_lists_are_cut_into_parts(tmp_path):
    names = [f"layer_{i:05d}" for i in range(9000)]
    with H5Dict(tmp_path / "a.h5", "w") as store:
        store["names"] = names
        assert store["names"] == names
    assert "names0" in h5py.File(tmp_path / "a.h5").attrs


def test_reading_changes_nothing(tmp_path):
    with H5Dict(tmp_path / "a.h5", "w") as store:
        store["group"]["x"] = DATA
        with pytest.raises(KeyError, match="already"):
            store["group"] = DATA
    plain = {"group": {"_is_group": True, "x": 1}}
    for store in (H5Dict(tmp_path / "a.h5", "r"), H5Dict(plain, "r")):
        assert "x" in store["group"]
        for at in (store, store["group"]):
            with pytest.raises(ValueError, match="There is no 'none', and it cannot be made"):
                at["none"]
            with pytest.raises(ValueError, match="opened for reading"):
                at["none"] = 1
    assert plain == {"group": {"_is_group": True, "x": 1}}


def test_pickles_links_and_foreign_types_are_refused(tmp_path):
    with pytest.raises(UnsafeFileError, match="'x' is a pickle"):
        H5Dict({"x": b"cos\nsystem\n.", "_x_pickled": True})["x"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("b.h5", "/x")
        with pytest.raises(UnsafeFileError, match="ExternalLink"):
            H5Dict(file)["link"]
    with pytest.raises(TypeError, match="Expected a path, an h5py.Group or a dictionary, got int"):
        H5Dict(3)
    assert H5Dict.is_supported_type(tmp_path)


def test_files_travel_in_streams():
    stream = io.BytesIO()
    assert save_to_binary_h5py(lambda file: file.create_dataset("x", data=DATA).shape, stream) == (20, 3)
    stream.seek(0)
    np.testing.assert_array_equal(load_from_binary_h5py(lambda file: file["x"][()], stream), DATA)
