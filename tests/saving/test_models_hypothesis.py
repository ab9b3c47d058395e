"""A random model that is saved and loaded is the same: configuration, weights, predictions, optimizer, the next steps.

`KCORE_STACKS=300` draws that many models (a tenth of it where each one is compiled), other ones each time.
"""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import kcore
from kcore import backend as K
from kcore import layers, plugin
from kcore.backend.active import backend_scope
from kcore.models.configuration import json_value

sys.path.insert(0, str(Path(__file__).parents[1] / "properties"))

from stacks import Move, Stack, build, data, stacks

BACKENDS = sorted(name for name, info in plugin.discover().items() if name == "numpy" or info.installed_framework())
FORMATS = ("keras2", "keras3")
WANTED = int(os.environ.get("KCORE_STACKS", "0"))
FEW = {"numpy": 15, "torch": 10, "jax": 1, "tensorflow": 1}
#: A masked sequence that is flattened.
FUNCTIONS = {"batch_flatten": K.batch_flatten}


def quiet(stack: Stack) -> Stack:
    """The stack without what files do not hold: the states of random generators, and a Lambda's mask function."""

    def move(given: Move) -> Move:
        return replace(given, layers={rank: layer(*named) for rank, named in given.layers.items()})

    def layer(name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if name == "Lambda":
            return "Activation", {"activation": "tanh"}
        rates = ("rate", "stddev", "dropout", "recurrent_dropout")
        # Recurrent layers of Keras 3 have one implementation, so that its files do not say which.
        calm = {key: 0.0 if key in rates else value for key, value in arguments.items()}
        return name, calm | ({"implementation": 2} if "implementation" in calm else {})

    return replace(stack, moves=tuple(move(given) for given in stack.moves))


def predictions(model: Any, x: Any) -> list[np.ndarray]:
    found = model.predict(x)
    return found if isinstance(found, list) else [found]


def state(model: Any, x: Any) -> dict[str, list[np.ndarray]]:
    return {
        "weights": model.get_weights(), "optimizer": model.optimizer.get_weights(), "predictions": predictions(model, x)
    }  # fmt: skip


def check_equal(found: dict[str, list[np.ndarray]], expected: dict[str, list[np.ndarray]]) -> None:
    """Bit for bit."""
    for what, arrays in expected.items():
        assert len(found[what]) == len(arrays), what
        for i, (a, b) in enumerate(zip(found[what], arrays, strict=True)):
            assert np.shape(a) == np.shape(b)
            np.testing.assert_array_equal(a, b, f"{what} {i}")


def described(model: Any) -> Any:
    """What the model and its training are, as plain data."""
    losses = model.loss if isinstance(model.loss, list) else [model.loss] * len(model.outputs)
    training = [model.optimizer.get_config(), losses, model._compile_metrics, model.loss_weights]
    return json.loads(json.dumps([model.get_config(), training], default=json_value))


def saved(model: Any, form: str) -> bytes:
    buffer = io.BytesIO()
    model.save(buffer, save_format=form)
    return buffer.getvalue()


def check(stack: Stack, steps: int) -> None:
    model = build(quiet(stack))
    x, y = data(stack, model)
    for _ in range(steps):
        model.train_on_batch(x, y)
    files = {form: saved(model, form) for form in FORMATS}
    before = state(model, x)
    models = {form: kcore.models.load_model(content, FUNCTIONS) for form, content in files.items()}
    for form, loaded in models.items():
        assert described(loaded) == described(model)
        found = state(loaded, x)
        if form == "keras3" and stack.optimizer[1].get("momentum") == 0.0:
            found["optimizer"] = before["optimizer"]  # moments that nothing reads, which Keras 3 does not have
        check_equal(found, before)
    for _ in range(steps):
        losses = model.train_on_batch(x, y)
        for loaded in models.values():
            np.testing.assert_array_equal(loaded.train_on_batch(x, y), losses)
    after = state(model, x)
    for loaded in models.values():
        check_equal(state(loaded, x), after)


def property_of(backend: str) -> None:
    count = FEW.get(backend, 2) if not WANTED else WANTED if backend in ("numpy", "torch") else max(1, WANTED // 10)

    @settings(
        max_examples=count, derandomize=not WANTED, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink] if WANTED else [Phase.generate],
    )  # fmt: skip
    @given(stacks)
    def holds(stack: Stack) -> None:
        with backend_scope(backend):
            check(stack, steps=3)

    holds()


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_models_come_back_and_go_on(backend: str) -> None:
    property_of(backend)


# --- ten steps and ten steps ------------------------------------------------------------------------------------------


def convnet() -> Any:
    """With everything that has a state in training: moving averages, an optimizer with momenta, metrics."""
    model = kcore.Sequential([
        layers.Conv2D(6, 3, activation="relu", input_shape=(8, 8, 2)), layers.BatchNormalization(),
        layers.MaxPooling2D(), layers.SeparableConv2D(5, 2), layers.BatchNormalization(scale=False), layers.PReLU(),
        layers.Flatten(), layers.Dense(7, activation="tanh", kernel_constraint="max_norm"), layers.Dropout(0.0),
        layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
    ])  # fmt: skip
    optimizer = kcore.optimizers.Nadam(0.01, clipnorm=1.0)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_steps_a_file_and_ten_steps_are_twenty(backend: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((20, 16, 8, 8, 2), "float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, (20, 16))]
    with backend_scope(backend):
        K.clear_session()
        kcore.set_random_seed(7)
        model = convnet()
        losses = []
        for i in range(20):
            losses.append(model.train_on_batch(x[i], y[i]))
            if i == 9:
                content = saved(model, "keras2")
        again = kcore.models.load_model(content)
        assert [again.train_on_batch(x[i], y[i]) for i in range(10, 20)] == losses[10:]
        check_equal(state(again, x[0]), state(model, x[0]))


# --- from one backend to another --------------------------------------------------------------------------------------


def pictures() -> tuple[Any, np.ndarray]:
    return convnet(), np.random.default_rng(1).random((16, 8, 8, 2), "float32")


def words() -> tuple[Any, np.ndarray]:
    inputs = layers.Input((7,), dtype="int32")
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(layers.Embedding(20, 5, mask_zero=True)(inputs))
    model = kcore.Model(inputs, layers.Dense(2)(layers.GRU(4)(x)))
    model.compile("rmsprop", "mse")
    return model, np.random.default_rng(1).integers(0, 20, (16, 7)).astype("int32")


@pytest.mark.parametrize("make", [pictures, words])
def test_a_file_of_one_backend_gives_the_same_predictions_on_another(make: Any) -> None:
    kept: dict[str, bytes] = {}
    for backend in BACKENDS:
        with backend_scope(backend):
            K.clear_session()
            model, x = make()
            if backend in ("numpy", "torch"):  # elsewhere a step is compiled, which takes its time
                model.train_on_batch(x, np.ones((16, *model.output_shape[1:]), "float32"))
            kept[backend] = saved(model, "keras2")
    for backend, content in kept.items():
        found = {}
        for reader in BACKENDS:
            with backend_scope(reader):
                found[reader] = state(kcore.models.load_model(content), x)
        expected = found[backend].pop("predictions")[0]
        for reader in set(BACKENDS) - {backend}:
            (got,) = found[reader].pop("predictions")
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6 * float(np.abs(expected).max()))
            check_equal(found[reader], found[backend])
