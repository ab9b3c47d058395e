"""Registered classes and functions: called `package>Name` in configurations, found again without custom objects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kcore as keras
from kcore import layers
from kcore.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from kcore.utils import custom_objects
from kcore.utils.generic_utils import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

X = np.random.RandomState(0).rand(8, 5, 6).astype("float32")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(custom_objects, "_custom_objects", {})
    monkeypatch.setattr(custom_objects, "_registered_names", {})
    with keras.backend_scope("numpy"):
        keras.backend.clear_session()
        yield


def own_objects() -> dict[str, Any]:
    """A class or function for every place that a configuration has."""

    def swish(x):
        return x * keras.backend.sigmoid(x)

    def small(shape, dtype=None):
        return np.full(shape, 0.01, dtype or "float32")

    def cube(y_true, y_pred):
        return keras.backend.mean(keras.backend.abs(y_true - y_pred) ** 3, axis=-1)

    def largest(y_true, y_pred):
        return keras.backend.max(y_pred, axis=-1)

    class Ramp(keras.initializers.Initializer):
        def __init__(self, top=1.0):
            self.top = top

        def __call__(self, shape, dtype=None):
            return np.linspace(0, self.top, int(np.prod(shape))).reshape(shape).astype(dtype or "float32")

        def get_config(self):
            return {"top": self.top}

    class Quartic(keras.regularizers.Regularizer):
        def __init__(self, rate=0.1):
            self.rate = rate

        def __call__(self, x):
            return self.rate * keras.backend.sum(x**4)

        def get_config(self):
            return {"rate": self.rate}

    class Capped(keras.constraints.Constraint):
        def __call__(self, w):
            return keras.backend.clip(w, -1.0, 1.0)

    class Twice(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    class Cell(layers.SimpleRNNCell):
        pass

    class Slow(keras.optimizers.SGD):
        pass

    return {item.__name__: item for item in (swish, small, cube, largest, Ramp, Quartic, Capped, Twice, Cell, Slow)}


def model_of(own: Mapping[str, Any]) -> Any:
    """A compiled model made of `own_objects`."""
    Twice, Cell = own["Twice"], own["Cell"]
    model = keras.models.Sequential([
        layers.TimeDistributed(
            Twice(4, activation=own["swish"], kernel_initializer=own["Ramp"](2.0), bias_initializer=own["small"],
                  kernel_regularizer=own["Quartic"](0.5), bias_constraint=own["Capped"]()), input_shape=(5, 6)),
        layers.RNN([Cell(3), Cell(2)], return_sequences=True),
        layers.Bidirectional(layers.RNN(Cell(3))),
        Twice(2, name="out"),
    ])  # fmt: skip
    model.compile(own["Slow"](0.05), own["cube"], metrics=[own["largest"]])
    return model


def test_names_are_those_of_keras() -> None:
    @register_keras_serializable()
    def plain(x):
        return x

    @register_keras_serializable(package="shop", name="Other")
    class Thing(layers.Layer):
        pass

    assert get_registered_name(plain) == "Custom>plain"
    assert get_registered_name(Thing) == "shop>Other"
    assert get_registered_name(layers.Dense) == "Dense"
    assert get_registered_object("shop>Other") is Thing
    assert get_registered_object("shop>None") is None
    assert get_registered_object("a", {"a": 1}, {"a": 2}) == 1
    assert get_registered_object("a", {"b": 1}, {"a": 2}) == 2
    assert get_custom_objects() == {"Custom>plain": plain, "shop>Other": Thing}
    assert keras.utils.register_keras_serializable is register_keras_serializable
    assert keras.saving.register_keras_serializable is register_keras_serializable


def test_what_is_registered_in_a_scope_stays() -> None:
    with CustomObjectScope({"a": 1}):
        kept = register_keras_serializable()(abs)
        assert get_custom_objects() == {"a": 1, "Custom>abs": kept}
    assert get_custom_objects() == {"Custom>abs": kept}
    custom_objects.forget_registered("Custom>abs")
    assert get_custom_objects() == {}
    assert get_registered_name(abs) == "abs"


def test_what_cannot_be_registered_is_told() -> None:
    with pytest.raises(ArgumentTypeError, match="with parentheses"):

        @register_keras_serializable
        class _Layer(layers.Layer):
            pass

    with pytest.raises(ArgumentError, match=r"does not have a get_config\(\) method"):
        register_keras_serializable()(dict)
    with pytest.raises(ArgumentTypeError, match="a class or a function"):
        register_keras_serializable()(3)
    with pytest.raises(ArgumentError, match="cannot contain '>'"):
        register_keras_serializable("a>b")(abs)


def class_names(config: object) -> set[str]:
    """Every class and function that a nest of configurations names."""
    if isinstance(config, dict):
        own = {config["class_name"]} if "class_name" in config else set()
        own |= {value for key, value in config.items() if key.endswith("activation")}
        return own.union(*map(class_names, config.values()))
    return set().union(*map(class_names, config)) if isinstance(config, list) else set()


@pytest.mark.parametrize("registered", [True, False])
def test_own_objects_everywhere_come_back(tmp_path: Path, registered: bool) -> None:
    objects = own_objects()
    if registered:
        for item in objects.values():
            register_keras_serializable("shop")(item)
    given = {} if registered else objects
    with CustomObjectScope(given):  # Bidirectional makes the layer for the other direction from the configuration
        model = model_of(objects)
    names = class_names(json.loads(model.to_json()))
    prefix = "shop>" if registered else ""
    assert {f"{prefix}{name}" for name in ("swish", "Ramp", "Quartic", "Capped", "Twice", "Cell")} <= names
    model.train_on_batch(X, np.zeros((8, 2)))
    model.save(tmp_path / "m.h5")
    again = keras.models.load_model(tmp_path / "m.h5", custom_objects=given)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.train_on_batch(X, np.ones((8, 2))) == model.train_on_batch(X, np.ones((8, 2)))
    assert again.get_config() == model.get_config()
    assert type(again.optimizer) is type(model.optimizer)
    assert again.metrics_names == model.metrics_names
    for text, read in ((model.to_json(), "model_from_json"), (model.to_yaml(), "model_from_yaml")):
        assert getattr(keras.models, read)(text, custom_objects=given).get_config() == model.get_config()
    with CustomObjectScope(given):
        assert keras.models.clone_model(model).get_config() == model.get_config()
        assert keras.models.load_model(tmp_path / "m.h5").get_config() == model.get_config()


def test_a_registered_name_may_be_given_by_its_own_part(tmp_path: Path) -> None:
    @register_keras_serializable("shop")
    class Twice(layers.Dense):
        pass

    keras.models.Sequential([Twice(2, input_shape=(3,))]).save(tmp_path / "m.h5")
    custom_objects.forget_registered("shop>Twice")
    with pytest.raises(UnknownNameError, match="shop>Twice"):
        keras.models.load_model(tmp_path / "m.h5", compile=False)
    for name in ("shop>Twice", "Twice"):
        model = keras.models.load_model(tmp_path / "m.h5", custom_objects={name: Twice}, compile=False)
        assert type(model.layers[0]) is Twice


#: A program of another package that makes the same registrations, reads the model and prints its predictions.
READER = """
import json, os, sys
os.environ["KERAS_BACKEND"] = "numpy"
import {package} as keras
import numpy as np
ops = keras.ops if hasattr(keras, "ops") else __import__("tensorflow")

@keras.saving.register_keras_serializable("shop")
class Twice(keras.layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)

@keras.saving.register_keras_serializable("shop")
def swish(x):
    return x * ops.sigmoid(x)

model = keras.models.load_model(sys.argv[1], compile=False)
print(json.dumps(model.predict(np.arange(6.0).reshape(2, 3), verbose=0).tolist()))
"""


@pytest.mark.parametrize(("package", "name"), [("tf_keras", "m.h5"), ("keras", "m.keras")])
def test_other_packages_find_what_they_registered_alike(tmp_path: Path, package: str, name: str) -> None:
    @register_keras_serializable("shop")
    class Twice(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    @register_keras_serializable("shop")
    def swish(x):
        return x * keras.backend.sigmoid(x)

    model = keras.models.Sequential([Twice(4, activation=swish, input_shape=(3,)), layers.Dense(2)])
    model.save(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", READER.format(package=package), str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        json.loads(done.stdout.splitlines()[-1]), model.predict(np.arange(6.0).reshape(2, 3)), rtol=1e-5
    )
