"""Architectures as text: the words of Keras 2.3.1, letter by letter, and what comes back from them.

`keras2_architectures.json.gz` holds what `model.to_json()` of Keras 2.3.1 gave for each of `kinds`;
`keras2_architectures.py` writes it.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import kinds
import numpy as np
import pytest
import yaml

import kcore as keras
from kcore import layers
from kcore.errors import FileFormatError
from kcore.models import model_from_config, model_from_json, model_from_yaml

KERAS2 = json.loads(gzip.decompress(Path(__file__).with_name("keras2_architectures.json.gz").read_bytes()))

#: Where kcore says more: without the shape of an InputLayer at the bottom Keras 2.3.1 cannot load its own file.
SAYS_MORE = {"stateful"}
#: Whose text Keras 2.3.1 itself does not give back: names of initializers become their configurations.
CHANGES_ONCE = {"objects_as_arguments"}


def expected(name: str) -> str:
    return KERAS2[name].replace('"backend": "tensorflow"', '"backend": "numpy"')


@pytest.mark.parametrize("name", sorted(set(KERAS2) - SAYS_MORE))
def test_the_text_of_a_model_is_that_of_keras_2_and_gives_it_back(name):
    objects = kinds.KINDS[name].objects(keras)
    assert kinds.KINDS[name].build(keras).to_json() == expected(name)
    with keras.utils.CustomObjectScope(objects):
        again = model_from_json(expected(name))
    if name not in CHANGES_ONCE:
        assert again.to_json() == expected(name)
        text = again.to_yaml()
        assert model_from_yaml(text, custom_objects=objects).to_json() == expected(name)
        # Keras 2 writes the same tree, with tags for tuples, which safe loaders of other programs refuse.
        assert yaml.safe_load(text) == json.loads(expected(name))


def small() -> keras.models.Sequential:
    return keras.models.Sequential([layers.Dense(2, input_shape=(3,), name="a"), layers.Dense(1, name="b")], name="m")


def test_keras_2_tags_for_tuples_are_read():
    text = small().to_yaml().replace("batch_input_shape:", "batch_input_shape: !!python/tuple")
    assert model_from_yaml(text).input_shape == (None, 3)
    with pytest.raises(FileFormatError, match="asks for .*plain data"):
        model_from_yaml(text.replace("!!python/tuple", "!!python/object/apply:os.listdir"))


def test_options_go_to_the_writers():
    assert json.loads(small().to_json(indent=2)) == json.loads(small().to_json())
    assert small().to_json(indent=2).startswith('{\n  "class_name"')
    assert small().to_json(sort_keys=True).startswith('{"backend"')
    assert yaml.safe_load(small().to_yaml(default_flow_style=True)) == json.loads(small().to_json())


def test_values_of_numpy_in_configurations_become_plain():
    class Scaled(layers.Layer):
        def __init__(self, scale, shift=(), **kwargs):
            super().__init__(**kwargs)
            self.scale, self.shift = scale, shift

        def call(self, inputs):
            return inputs * self.scale

        def get_config(self):
            more = {"scale": np.float32(0.5), "shift": np.arange(2)}
            return {**super().get_config(), **more}

    model = keras.models.Sequential([Scaled(0.5, input_shape=(2,))])
    config = json.loads(model.to_json())["config"]["layers"][0]["config"]
    assert (config["scale"], config["shift"]) == (0.5, [0, 1])
    assert model_from_json(model.to_json(), {"Scaled": Scaled}).layers[0].scale == 0.5


def test_a_configuration_goes_back_through_its_own_class():
    sequential = small()
    functional = keras.Model(sequential.inputs, sequential.outputs, name="f")
    assert type(keras.models.Sequential.from_config(sequential.get_config())) is keras.models.Sequential
    assert keras.models.Sequential.from_config(sequential.get_config()).get_config() == sequential.get_config()
    assert keras.Model.from_config(functional.get_config()).get_config() == functional.get_config()
    # Keras 1 had the list of layers alone.
    assert len(keras.models.Sequential.from_config(sequential.get_config()["layers"]).layers) == 2
    with pytest.raises(FileFormatError, match="needs 'input_layers'"):
        keras.Model.from_config(sequential.get_config())
    with pytest.raises(TypeError, match="Sequential.from_config"):
        model_from_config(sequential.get_config()["layers"])


def test_a_configuration_shares_nothing_with_the_model():
    model = small()
    before = model.to_json()
    config = model.get_config()
    config["layers"][0]["config"]["units"] = 99
    config["layers"][0]["config"]["kernel_initializer"]["config"]["scale"] = 99
    assert model.to_json() == before


def test_new_models_have_new_weights():
    model = small()
    for again in (model_from_json(model.to_json()), keras.models.clone_model(model)):
        assert all(a.shape == b.shape for a, b in zip(again.get_weights(), model.get_weights(), strict=True))
        assert not np.array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("text", ["", "{", "[1]", '"a"', "null", '{"class_name": "Model"}', '{"config": {}}'])
def test_what_is_no_model_is_told(text):
    for read in (model_from_json, model_from_yaml):
        with pytest.raises((FileFormatError, TypeError)):
            read(text)
