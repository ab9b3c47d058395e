"""Weights alone: one file for Keras 2, tf.keras and Keras 3; files of Keras 3, whole and in shards."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kcore as keras
from kcore import layers as L
from kcore.errors import FileFormatError, NotBuiltError, ShapeError, UnsafeFileError
from kcore.saving import doors
from kcore.saving.keras3 import weights


def net(units: int = 3, name: str = "middle") -> Any:
    return keras.models.Sequential([
        L.Bidirectional(L.LSTM(2), input_shape=(4, 3)), L.Dense(units, name=name), L.BatchNormalization(), L.Dense(2),
    ])  # fmt: skip


def keras3_file(model: Any, path: Path) -> Path:
    """The model's weights as Keras 3 writes them: its paths alone."""
    with h5py.File(path, "w") as file:
        weights.write(file, model)
    return path


def zeroed(model: Any) -> Any:
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    return model


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


# --- the file of both layouts -----------------------------------------------------------------------------------------


def test_the_arrays_are_stored_once(tmp_path):
    model = keras.models.Sequential([L.Dense(400, input_shape=(300,))])
    model.save_weights(tmp_path / "both.weights.h5")
    model.save_weights(tmp_path / "keras2.h5")
    sizes = [(tmp_path / name).stat().st_size for name in ("both.weights.h5", "keras2.h5")]
    assert sizes[0] < sizes[1] + 20_000
    with h5py.File(tmp_path / "both.weights.h5") as file:
        names = [n.decode() if isinstance(n, bytes) else n for n in file.attrs["layer_names"]]
        assert file["layers/dense/vars/0"] == file[f"{names[0]}/{names[0]}/kernel:0"]
        assert file["layers/dense/vars"].attrs["name"] == names[0]


def test_only_this_ending_means_both_layouts(tmp_path):
    model = net()
    for name, both in (("a.weights.h5", True), ("a.h5", False), ("a.weights.hdf5", False)):
        model.save_weights(str(tmp_path / name))
        with h5py.File(tmp_path / name) as file:
            assert ("layers" in file) == both
            assert "layer_names" in file.attrs


def test_a_layer_may_be_called_as_a_group_of_the_other_layout(tmp_path):
    model = keras.models.Sequential([L.Dense(2, input_shape=(3,), name="layers"), L.Dense(2, name="vars")])
    model.save_weights(tmp_path / "m.weights.h5")
    kept = [w.copy() for w in model.get_weights()]
    zeroed(model).load_weights(tmp_path / "m.weights.h5")
    for one, other in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_models_own_weights_are_in_it(tmp_path):
    class Scaled(keras.models.Model):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(2)
            self.scale = self.add_weight("scale", (2,), initializer="ones")

        def call(self, x):
            return self.inner(x) * self.scale

    model = Scaled()
    model.build((None, 3))
    model.set_weights([np.full_like(w, i + 2) for i, w in enumerate(model.get_weights())])
    path = keras3_file(model, tmp_path / "m.weights.h5")
    other = Scaled()
    other.build((None, 3))
    other.load_weights(path)
    assert same(model, other)


# --- files of Keras 3 -------------------------------------------------------------------------------------------------


def test_by_order(tmp_path):
    path = keras3_file(model := net(), tmp_path / "m.weights.h5")
    other = zeroed(net(name="renamed"))
    other.load_weights(path)
    assert same(model, other)


def test_by_name(tmp_path):
    path = keras3_file(model := net(), tmp_path / "m.weights.h5")
    other = keras.models.Sequential([L.Dense(5, input_shape=(4,), name="other"), L.Dense(3, name="middle")])
    kept = other.layers[0].get_weights()
    with pytest.raises(ShapeError, match="middle"):
        other.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="Skipping layer 'middle'"):
        other.load_weights(path, by_name=True, skip_mismatch=True)
    fitting = keras.models.Sequential([L.Dense(4, input_shape=(7,)), L.Dense(3, name="middle")])
    fitting.load_weights(path, by_name=True)
    for one, two in zip(fitting.layers[1].get_weights(), model.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(kept, other.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: net(units=4), ShapeError, r"shape \(4, 4\); the file holds shape \(4, 3\)"),
        (lambda: keras.models.Sequential(net().layers[:2]), FileFormatError, "a layer that the model does not have"),
        (lambda: keras.models.Sequential([L.Conv1D(2, 2, input_shape=(4, 3))]), FileFormatError, "layers/conv1d/vars"),
        (lambda: keras.models.Sequential([L.Dense(2)]), NotBuiltError, "no weights yet"),
    ],
)
def test_another_model_is_told_and_keeps_its_weights(tmp_path, build, error, message):
    path = keras3_file(net(), tmp_path / "m.weights.h5")
    model = build()
    kept = model.get_weights()
    with pytest.raises(error, match=message):
        model.load_weights(path)
    for one, other in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_shapes_are_compared_before_anything_is_read(tmp_path):
    """A file that declares an enormous array costs nothing."""
    model = keras.models.Sequential([L.Dense(2, input_shape=(3,))])
    path = keras3_file(model, tmp_path / "m.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")
    with pytest.raises((ShapeError, UnsafeFileError, FileFormatError)):
        model.load_weights(path)


@pytest.mark.parametrize("link", [h5py.SoftLink("/elsewhere"), h5py.ExternalLink("other.h5", "/x")])
def test_links_are_refused(tmp_path, link):
    model = keras.models.Sequential([L.Dense(2, input_shape=(3,))])
    path = keras3_file(model, tmp_path / "m.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = link
    with pytest.raises(UnsafeFileError):
        model.load_weights(path)
    assert doors.describe(path).findings


def test_bfloat16_is_read(tmp_path):
    model = keras.models.Sequential([L.Dense(2, input_shape=(3,))])
    path = keras3_file(model, tmp_path / "m.weights.h5")
    values = np.float32([[1, -2], [0.5, 3], [256, 0]])
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        raw = (values.view(np.uint32) >> 16).astype("<u2").view("V2")
        group.create_dataset("0", data=raw).attrs["dtype"] = "bfloat16"
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], values)
    assert doors.describe(path).weights[0].dtype == "bfloat16"


def test_a_description_lists_the_arrays(tmp_path):
    description = doors.describe(keras3_file(net(), tmp_path / "m.weights.h5"))
    assert description.format == "Keras 3's .weights.h5"
    assert ("layers/dense/vars/0", (4, 3), "middle") in [(a.name, a.shape, a.owner) for a in description.weights]


# --- shards -----------------------------------------------------------------------------------------------------------


def sharded(model: Any, folder: Path) -> Path:
    """The weights in two files, as Keras 3 divides them: one layer after another."""
    keras3_file(model, folder / "whole.h5")
    places = {}
    with h5py.File(folder / "whole.h5") as whole:
        for number, names in enumerate((["bidirectional", "dense"], ["batch_normalization", "dense_1"])):
            name = f"m_{number:05}.weights.h5"
            with h5py.File(folder / name, "w") as shard:
                for layer in names:
                    whole.copy(f"layers/{layer}", shard.require_group("layers"))
                    places[f"/layers/{layer}/vars"] = name
    (folder / "whole.h5").unlink()
    path = folder / "m.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def test_shards_are_put_together(tmp_path):
    path = sharded(model := net(), tmp_path)
    other = zeroed(net())
    other.load_weights(path)
    assert same(model, other)
    assert len(doors.describe(path).weights) == len(model.weights)


@pytest.mark.parametrize("name", ["../m_00000.weights.h5", "/tmp/m.weights.h5", "a\\b.weights.h5", "keys.txt", 3])
def test_shards_lie_beside_their_map(tmp_path, name):
    path = sharded(model := net(), tmp_path)
    content = json.loads(path.read_text())
    content["weight_map"]["/layers/dense/vars"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(UnsafeFileError, match="shard"):
        model.load_weights(path)


def test_a_shard_that_is_a_link_is_refused(tmp_path):
    path = sharded(model := net(), tmp_path)
    (tmp_path / "m_00001.weights.h5").rename(tmp_path / "elsewhere")
    (tmp_path / "m_00001.weights.h5").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFileError, match="leads out"):
        model.load_weights(path)


def test_a_missing_shard_is_named(tmp_path):
    path = sharded(model := net(), tmp_path)
    (tmp_path / "m_00001.weights.h5").unlink()
    with pytest.raises(FileFormatError, match="m_00001"):
        model.load_weights(path)


def test_a_map_without_a_folder_is_told(tmp_path):
    content = sharded(model := net(), tmp_path).read_bytes()
    with pytest.raises(FileFormatError, match="give its path"):
        model.load_weights(io.BytesIO(content))
