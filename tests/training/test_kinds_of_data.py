"""What fit takes as data: whatever their kind, the training is the same."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np
import pytest
from regression import X, Y, Z, make, weights

from kcore.errors import DataError
from kcore.layers import Dense
from kcore.models import Sequential
from kcore.training import arrays
from kcore.utils.io_utils import HDF5Matrix


def test_kinds_of_data_train_alike(tmp_path):
    import h5py

    expected = make()
    expected.fit(X, Y, verbose=0, shuffle="batch", batch_size=8)
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["y"], file["flat"] = X, Y, Z[:, 0]
    matrices = HDF5Matrix(path, "x"), HDF5Matrix(path, "y", normalizer=lambda y: y)
    assert make().predict(HDF5Matrix(path, "x", 5, 20)).shape == (15, 2)
    with h5py.File(path, "r") as file:
        assert arrays.as_array(file["flat"], "data").shape == (40, 1)
        for x, y in (
            matrices, (X.tolist(), Y.tolist()), (X.astype("float64"), Y.astype("float64")), (file["x"], file["y"]),
        ):  # fmt: skip
            model = make()
            model.fit(x, y, verbose=0, shuffle="batch", batch_size=8)
            np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-5, atol=1e-7)


class Watched:
    """Like a dataset on disk; remembers how much was read at once."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.most = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        found = self.values[rows]
        self.most = max(self.most, len(found))
        return found


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_datasets_on_disk_are_read_batch_by_batch(shuffle):
    expected, model, x, y = make(), make(), Watched(X), Watched(Y)
    histories = []
    for m, data in ((expected, (X, Y)), (model, (x, y))):
        np.random.seed(1)
        run = m.fit(*data, batch_size=8, epochs=2, shuffle=shuffle, validation_split=0.25, verbose=0)
        m.evaluate(*data, batch_size=5, verbose=0)
        histories.append((run.history, m.predict(data[0], batch_size=6)))
    assert histories[0][0] == histories[1][0]
    np.testing.assert_array_equal(histories[0][1], histories[1][1])
    assert (x.most, y.most) == (8, 8)


def test_datasets_on_disk_may_be_shuffled(tmp_path):
    import h5py

    expected, model = make(), make()
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = X, Y
        for m, x, y in ((expected, X, Y), (model, file["x"], file["y"])):
            np.random.seed(1)
            m.fit(x, y, verbose=0, batch_size=8)
    np.testing.assert_array_equal(weights(model), weights(expected))


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    expected, model = make(), make()
    w = np.linspace(0.0, 1.0, 40)
    expected.fit(X, Y, verbose=0, shuffle=False, sample_weight=w)
    mixed = pandas.DataFrame(X).astype({0: object}), pandas.DataFrame(Y, index=range(40, 0, -1))
    model.fit(*mixed, verbose=0, shuffle=False, sample_weight=pandas.Series(w))
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)
    with pytest.raises(DataError, match="'green' in it.*integers"):
        model.predict(pandas.DataFrame(X).assign(colour="green").iloc[:, 1:])


def test_sparse_matrices_become_dense_batch_by_batch():
    sparse = pytest.importorskip("scipy.sparse")
    expected, model = make(), make()
    for m, x in ((expected, X), (model, sparse.csr_matrix(X))):
        np.random.seed(1)
        m.fit(x, Y, verbose=0)
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)


def test_flat_targets_are_columns():
    np.random.seed(0)
    model = Sequential([Dense(1, input_shape=(6,))])
    model.compile("sgd", "mse")
    assert model.evaluate(X, Z[:, 0], verbose=0) == model.evaluate(X, Z, verbose=0)
