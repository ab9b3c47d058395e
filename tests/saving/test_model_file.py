"""A saved model comes back the same: predictions, training, optimizer state; damage and mistakes are told."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import kcore as keras
from kcore import layers
from kcore.errors import FileFormatError, ShapeError

X = np.random.RandomState(0).rand(24, 6).astype("float32")
Y = np.eye(3, dtype="float32")[np.arange(24) % 3]


@pytest.fixture(autouse=True)
def _numpy_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    with keras.backend_scope("numpy"):
        keras.backend.clear_session()
        yield


def build(optimizer: object = "adam") -> keras.models.Sequential:
    model = keras.models.Sequential([
        layers.Dense(5, activation="tanh", input_shape=(6,), kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dense(3, activation="softmax", name="out"),
    ])  # fmt: skip
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_training_goes_on_where_it_stopped(tmp_path: Path, optimizer: str) -> None:
    model = build(optimizer)
    for _ in range(3):
        model.train_on_batch(X, Y)
    model.save(str(tmp_path / "m.h5"))
    again = keras.models.load_model(str(tmp_path / "m.h5"))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for _ in range(3):
        assert again.train_on_batch(X, Y) == model.train_on_batch(X, Y)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_functions_in_loss_and_metric_objects_come_back(tmp_path: Path) -> None:
    from kcore import losses, metrics

    model = build()
    loss = losses.LossFunctionWrapper(losses.categorical_crossentropy, name="cross")
    model.compile("sgd", loss, metrics=[metrics.MeanMetricWrapper(metrics.categorical_accuracy, name="right")])
    model.save(tmp_path / "m.h5")
    again = keras.models.load_model(tmp_path / "m.h5")
    assert again.metrics_names == model.metrics_names
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_weights_by_position_and_by_name(tmp_path: Path) -> None:
    model, other = build(), build()
    model.save_weights(str(tmp_path / "w.h5"))
    other.load_weights(str(tmp_path / "w.h5"))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    named = keras.models.Sequential([layers.Dense(5, input_shape=(6,)), layers.Dense(3, name="out")])
    before = named.layers[0].get_weights()[0].copy()
    named.load_weights(str(tmp_path / "w.h5"), by_name=True)
    np.testing.assert_array_equal(named.layers[1].get_weights()[0], model.layers[2].get_weights()[0])
    np.testing.assert_array_equal(named.layers[0].get_weights()[0], before)


def test_wrong_shapes_name_layer_and_shapes(tmp_path: Path) -> None:
    build().save_weights(str(tmp_path / "w.h5"))
    wrong = keras.models.Sequential([layers.Dense(4, input_shape=(6,)), layers.BatchNormalization(), layers.Dense(3)])
    with pytest.raises(ShapeError, match=r"\(6, 4\).*\(6, 5\)"):
        wrong.load_weights(str(tmp_path / "w.h5"))
    with pytest.raises(FileFormatError, match="3 layers"):
        keras.models.Sequential([layers.Dense(4, input_shape=(6,))]).load_weights(str(tmp_path / "w.h5"))


def test_an_uncompiled_model_warns(tmp_path: Path) -> None:
    keras.models.Sequential([layers.Dense(2, input_shape=(3,))]).save(str(tmp_path / "m.h5"))
    with pytest.warns(UserWarning, match="not compiled"):
        keras.models.load_model(str(tmp_path / "m.h5"))


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.h5"
    model = build()
    model.save(str(path))
    before = path.read_bytes()
    monkeypatch.setattr("kcore.saving.hdf5.write_array", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(str(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["m.h5"]


@pytest.mark.parametrize("content", [b"", b"not hdf5", b"\x89HDF\r\n\x1a\n" + bytes(50)])
def test_other_files_are_refused_with_their_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.h5").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"broken\.h5"):
        keras.models.load_model(str(tmp_path / "broken.h5"))


def test_a_weight_file_is_no_model(tmp_path: Path) -> None:
    build().save_weights(str(tmp_path / "w.h5"))
    with pytest.raises(FileFormatError, match="load_weights"):
        keras.models.load_model(str(tmp_path / "w.h5"))


def test_open_files_and_groups_serve(tmp_path: Path) -> None:
    model = build()
    with h5py.File(tmp_path / "all.h5", "w") as file:
        model.save(file.create_group("inner"))
    with h5py.File(tmp_path / "all.h5") as file:
        np.testing.assert_array_equal(keras.models.load_model(file["inner"]).predict(X), model.predict(X))


def test_layers_of_one_name_get_arrays_of_their_own(tmp_path: Path) -> None:
    keras.models.Sequential([layers.Dense(3, input_shape=(3,), name="a")]).save_weights(str(tmp_path / "w.h5"))
    left, right = layers.Dense(3, input_shape=(3,), name="a"), layers.Dense(3, input_shape=(3,), name="a")
    for layer in (left, right):
        layer.build((None, 3))

    class Both:
        layers = (left, right)

    keras.saving.load_weights(Both, str(tmp_path / "w.h5"), by_name=True)
    for mine, other in zip(left.weights, right.weights, strict=True):
        np.testing.assert_array_equal(mine.view(), other.view())
        assert not np.shares_memory(mine.view(), other.view())
