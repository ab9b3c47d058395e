"""`keras.engine.saving` and what Keras 2 saves to: dictionaries, `H5Dict`, groups, streams, bytes, paths."""

from __future__ import annotations

import inspect
import io
import json

import h5py
import kinds
import numpy as np
import pytest

import kcore
from kcore.engine import saving
from kcore.errors import UnsafeFileError
from kcore.utils.io_utils import H5Dict

NAMES = {
    "allow_read_from_gcs": "load_function",
    "allow_write_to_gcs": "save_function",
    "load_attributes_from_hdf5_group": "group name",
    "load_model": "filepath custom_objects compile",
    "load_weights_from_hdf5_group": "f layers reshape",
    "load_weights_from_hdf5_group_by_name": "f layers skip_mismatch reshape",
    "model_from_config": "config custom_objects",
    "model_from_json": "json_string custom_objects",
    "model_from_yaml": "yaml_string custom_objects",
    "pickle_model": "model",
    "preprocess_weights_for_loading": "layer weights original_keras_version original_backend reshape",
    "save_attributes_to_hdf5_group": "group name data",
    "save_model": "model filepath overwrite include_optimizer",
    "save_weights_to_hdf5_group": "group layers",
    "unpickle_model": "state",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_keras_engine_saving_is_there_with_its_arguments(name):
    arguments = list(inspect.signature(getattr(saving, name)).parameters)
    assert arguments[: len(NAMES[name].split())] == NAMES[name].split()


def same(model, other, name):
    batch = kinds.data(name)
    for one, two in zip(kinds.predict(model, batch), kinds.predict(other, batch), strict=True):
        np.testing.assert_array_equal(one, two)
    assert kinds.losses(model, batch) == kinds.losses(other, batch)


@pytest.mark.parametrize("name", ["optimizer_adam", "nested_twice", "uncompiled"])
def test_a_pickled_model_is_plain_data_and_comes_back_the_same(name):
    model = kinds.prepared(kcore, name)
    state = saving.pickle_model(model)
    assert state["_is_group"] is True
    assert json.loads(state["model_config"])["class_name"] == "Sequential"
    first = model.layers[0].name
    assert state["model_weights"]["layer_names"][0] == first.encode()
    if name != "uncompiled":
        same(model, saving.unpickle_model(state), name)
    else:
        with pytest.warns(UserWarning, match="not compiled"):
            assert saving.unpickle_model(state).get_config() == model.get_config()


def test_an_h5dict_serves_for_a_file_and_for_a_dictionary(tmp_path):
    content = {}
    for place in (content, str(tmp_path / "a.h5")):
        model = kinds.prepared(kcore, "dense")
        with H5Dict(place, "w") as store:
            saving.save_model(model, store)
        with H5Dict(place, "r") as store:
            same(model, saving.load_model(store), "dense")


def test_pickles_in_a_dictionary_are_refused():
    state = saving.pickle_model(kinds.prepared(kcore, "uncompiled"))
    name = state["model_weights"]["layer_names"][0].decode()
    state["model_weights"][name]["_x_pickled"] = True
    with pytest.raises(UnsafeFileError, match="pickle"):
        saving.unpickle_model(state)


def test_paths_streams_bytes_files_and_groups_serve(tmp_path):
    model = kinds.prepared(kcore, "dense")
    model.save(tmp_path / "m.h5")
    stream = io.BytesIO()
    model.save(stream)
    with h5py.File(tmp_path / "g.h5", "w") as file:
        model.save(file.create_group("inner"))
    with h5py.File(tmp_path / "m.h5") as file, h5py.File(tmp_path / "g.h5") as other:
        sources = [str(tmp_path / "m.h5"), tmp_path / "m.h5", (tmp_path / "m.h5").read_bytes(), stream, file,
                   other["inner"], stream.getvalue()]  # fmt: skip
        for source in sources:
            again = kcore.models.load_model(source)
            np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
            fresh = kinds.KINDS["dense"].build(kcore)
            fresh.load_weights(source)
            np.testing.assert_array_equal(fresh.get_weights()[-1], model.get_weights()[-1])


def test_functions_on_groups_are_those_of_load_weights():
    model, other, named = (kinds.prepared(kcore, "dense", steps=0) for _ in range(3))
    kinds.stir(model, 5)
    with h5py.File(io.BytesIO(), "w") as file:
        saving.save_weights_to_hdf5_group(file, model.layers)
        assert saving.load_attributes_from_hdf5_group(file, "layer_names") == [x.name for x in model.layers]
        assert saving.load_attributes_from_hdf5_group(file, "nothing") == []
        saving.load_weights_from_hdf5_group(file, other.layers)
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
        saving.load_weights_from_hdf5_group_by_name(file, named.layers)  # none of its layers has such a name


def test_names_that_are_too_long_are_a_runtime_error():
    with h5py.File(io.BytesIO(), "w") as file, pytest.raises(RuntimeError, match="64512"):
        saving.save_attributes_to_hdf5_group(file, "names", ["x" * 70000])


@pytest.mark.parametrize("decorate", [saving.allow_read_from_gcs, saving.allow_write_to_gcs])
def test_cloud_paths_say_what_to_do(decorate):
    with pytest.raises(ValueError, match="gsutil"):
        decorate(lambda model, filepath, overwrite=True: None)(None, "gs://bucket/m.h5")
    assert decorate(lambda model, filepath, overwrite=True: filepath)(None, "m.h5") == "m.h5"
