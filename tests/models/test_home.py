"""`model.to_backend`: the model's state moves, and its own methods run there."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore.errors import BackendError
from kcore.hookspecs import hookimpl
from kcore.layers import Dense
from kcore.models import Sequential
from kcore.variables import Variable


class Other(NumpyBackend):
    """NumPy once more, under another name."""

    name = "other"


class OtherPlugin:
    @hookimpl
    def kcore_backend_info(self):
        return plugin.BackendInfo("other", "0", "numpy", "numpy", plugin.BACKEND_API)

    @hookimpl
    def kcore_load_backend(self):
        return Other()


@pytest.fixture
def other():
    plugin.register(OtherPlugin())
    yield active.load("other")
    plugin.unregister("other")


X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
Y = np.eye(4, dtype="float32")[:, :2]


def trained():
    np.random.seed(0)  # noqa: NPY002 - initial weights come from it
    model = Sequential([Dense(2, input_shape=(3,))])
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(X, Y)
    return model


def homes(model):
    variables = [*model.weights, *model.optimizer.weights]
    assert all(isinstance(v, Variable) for v in variables)
    # Adam keeps placeholders for amsgrad that no step reads: they are on no backend until they are moved.
    return {v._backend.name for v in variables if v._backend is not None}


def test_moving_keeps_values_and_moves_all_state(other):
    model = trained()
    weights, state, want = model.get_weights(), model.optimizer.get_weights(), model.predict(X)
    assert model.to_backend("other") is model
    assert homes(model) == {"other"}
    for a, b in zip([*weights, *state], [*model.get_weights(), *model.optimizer.get_weights()], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-6)


def test_training_goes_on_there_as_if_it_had_not_moved(other):
    stayed, moved = trained(), trained()
    moved.to_backend("other")
    for _ in range(3):
        np.testing.assert_allclose(moved.train_on_batch(X, Y), stayed.train_on_batch(X, Y), rtol=1e-6)
    moved.fit(X, Y, epochs=1, verbose=0)
    assert homes(moved) == {"other"}
    assert homes(stayed) == {"numpy"}


def test_none_lets_the_model_follow_the_active_backend(other):
    model = trained().to_backend("other").to_backend(None)
    model.train_on_batch(X, Y)
    assert {w._backend.name for w in model.weights} == {"numpy"}


def test_an_unknown_backend_is_refused_and_nothing_moves():
    model = trained()
    with pytest.raises(BackendError, match="nonsense"):
        model.to_backend("nonsense")
    assert homes(model) == {"numpy"}
    assert K.backend() == "numpy"
    model.train_on_batch(X, Y)
