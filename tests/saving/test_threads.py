"""Saving while other threads train and predict: a file holds the model as it was between two steps."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import pytest

import kcore
from kcore import layers, plugin
from kcore.backend.active import backend_scope

BACKENDS = sorted(name for name, info in plugin.discover().items() if name == "numpy" or info.installed_framework())
X, Y = np.ones((8, 40), "float32"), np.zeros((8, 30), "float32")


def build() -> Any:
    """A model that counts: each step adds 1 to every weight of every layer (the gradient of each is -1)."""
    inputs = layers.Input((40,))
    outputs = layers.Dense(30, use_bias=False, kernel_initializer="zeros")(inputs)
    for _ in range(4):
        branch = layers.Dense(30, use_bias=False, kernel_initializer="zeros")(inputs)
        outputs = layers.add([outputs, branch])
    model = kcore.Model(inputs, outputs)
    model.compile(kcore.optimizers.SGD(1.0, momentum=0.0), lambda y, p: -30.0 * kcore.backend.mean(p, axis=-1))
    return model


@contextmanager
def meanwhile(action: Callable[[], Any], backend: str) -> Iterator[None]:
    """Repeat the action in another thread."""
    stop, errors = threading.Event(), []

    def run() -> None:
        try:
            with backend_scope(backend):
                while not stop.is_set():
                    action()
        except BaseException as error:  # noqa: BLE001 - raised by the test
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def saved_steps(model: Any) -> tuple[list[np.ndarray], int]:
    """The weights in a file, and the number of steps that the optimizer had made."""
    buffer = io.BytesIO()
    model.save(buffer)
    loaded = kcore.models.load_model(buffer.getvalue(), compile=False)
    with h5py.File(buffer) as file:
        names = [n.decode() for n in file["optimizer_weights"].attrs["weight_names"]]
        steps = int(next(file["optimizer_weights"][n][()] for n in names if "iterations" in n))
    return loaded.get_weights(), steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_holds_one_moment_of_a_model_that_is_trained_meanwhile(backend: str) -> None:
    with backend_scope(backend):
        model = build()
        model.train_on_batch(X, Y)
        x = np.repeat(X, 20, axis=0)
        with meanwhile(lambda: model.fit(x, np.repeat(Y, 20, axis=0), batch_size=8, verbose=0), backend):
            found = [saved_steps(model) for _ in range(15)]
    for weights, steps in found:
        values = {float(v) for w in weights for v in (w.min(), w.max())}
        assert len(values) == 1, f"weights of several steps in one file: {values}"
        assert values == {float(steps)}, "weights and optimizer state belong to one step"
    assert found[-1][1] > found[0][1], "training went on"


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_go_on_while_a_model_is_saved(backend: str) -> None:
    with backend_scope(backend):
        model = build()
        model.train_on_batch(X, Y)
        want = model.predict(X)
        got: list[np.ndarray] = []
        with meanwhile(lambda: got.append(model.predict(X)), backend):
            for _ in range(10):
                assert saved_steps(model)[1] == 1
    for value in got:
        np.testing.assert_array_equal(value, want)
