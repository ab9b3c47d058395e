"""Random stacks and graphs of layers: save, load, and everything is as it was."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kcore as keras
from kcore import layers as L

OPTIMIZERS = ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"]


@st.composite
def layer(draw: Any, rank: int) -> tuple[Any, int]:
    """A layer for inputs (batch, 4, features) or (batch, features), and the rank of what it gives."""
    units = draw(st.integers(1, 4))
    activation = draw(st.sampled_from(["relu", "tanh", "hard_sigmoid", "selu", "gelu", "keras3>hard_sigmoid"]))
    anywhere = [
        (L.Dense(units, activation=activation, use_bias=draw(st.booleans()), kernel_regularizer="l2"), rank),
        (L.BatchNormalization(scale=draw(st.booleans())), rank),
        (L.LayerNormalization(), rank),
        (L.Dropout(0.2, trainable=draw(st.booleans())), rank),
        (L.Activation(activation), rank),
        (L.LeakyReLU(draw(st.sampled_from([0.1, 0.5]))), rank),
        (L.Dense(units, kernel_constraint="nonneg", trainable=False), rank),
    ]
    sequences = [
        (L.LSTM(units, implementation=2, return_sequences=True), 3),
        (L.GRU(units, reset_after=draw(st.booleans())), 2),
        (L.Bidirectional(L.SimpleRNN(units), merge_mode=draw(st.sampled_from(["sum", "concat"]))), 2),
        (L.RNN([L.LSTMCell(units), L.GRUCell(2)], return_sequences=True), 3),
        (L.TimeDistributed(L.Dense(units)), 3),
        (L.Conv1D(units, 2, padding="same"), 3),
        (L.SeparableConv1D(units, 2, padding="same"), 3),
        (L.Flatten(), 2),
        (L.GlobalMaxPooling1D(), 2),
    ]
    return draw(st.sampled_from(anywhere + (sequences if rank == 3 else [(L.RepeatVector(4), 3)])))


@st.composite
def stack(draw: Any) -> Any:
    """A Sequential model, or one with a branch that joins again, or one model inside another."""
    rank = draw(st.sampled_from([2, 3]))
    shape = (3,) if rank == 2 else (4, 3)
    found = []
    for _ in range(draw(st.integers(1, 4))):
        one, rank = draw(layer(rank))
        found.append(one)
    kind = draw(st.sampled_from(["sequential", "explicit", "functional", "branched", "nested"]))
    if kind == "explicit":
        return keras.models.Sequential([L.InputLayer(shape), *found])
    x = y = L.Input(shape)
    if kind == "sequential":
        model = keras.models.Sequential(found)
        model.build((None, *shape))
        return model
    for one in found:
        y = one(y)
    model = keras.models.Model(x, y)
    if kind == "branched":
        last = L.Dense(2)
        return keras.models.Model(x, L.concatenate([last(y), L.add([last(y), L.Dense(2)(y)])]))
    return keras.models.Sequential([model, L.Dense(2)]) if kind == "nested" else model


def saved(model: Any) -> Any:
    buffer = io.BytesIO()
    model.save(buffer, save_format="keras3")
    return keras.models.load_model(buffer.getvalue())


def train(model: Any, steps: int) -> list[float]:
    rng = np.random.RandomState(0)
    x = rng.rand(3, *(n for n in model.input_shape[1:]))
    y = rng.rand(3, *(n for n in model.output_shape[1:]))
    return [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(steps)]


@settings(max_examples=40, deadline=None)
@given(stack(), st.sampled_from(OPTIMIZERS), st.integers(0, 2))
@pytest.mark.filterwarnings("ignore")
def test_save_then_load_is_the_same_model(model, optimizer, steps):
    model.compile(optimizer, "mse", metrics=["mae"])
    train(model, steps)
    again = saved(model)
    assert _plain(again.get_config()) == _plain(model.get_config())
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    again._make_train_function()
    model._make_train_function()
    state = slice(1) if optimizer == "sgd" else slice(None)  # without momentum, Keras 3 keeps no last step
    for one, other in zip(model.optimizer.get_weights()[state], again.optimizer.get_weights()[state], strict=True):
        np.testing.assert_array_equal(one, other)
    x = np.random.RandomState(1).rand(2, *model.input_shape[1:])
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def _plain(value: Any) -> Any:
    """Shapes as lists; without what says nothing to a loaded model."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ("seed", "implementation")}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


@settings(max_examples=15, deadline=None)
@given(stack(), st.sampled_from(OPTIMIZERS))
@pytest.mark.filterwarnings("ignore")
def test_training_goes_on_bit_for_bit(model, optimizer):
    if any(isinstance(one, L.Dropout) for one in _every(model)):
        return
    model.compile(optimizer, "mse")
    train(model, 2)
    again = saved(model)
    assert train(again, 2) == train(model, 2)


def _every(model: Any) -> list[Any]:
    return [one for layer in model.layers for one in ([layer, *_every(layer)] if hasattr(layer, "layers") else [layer])]


@settings(max_examples=25, deadline=None)
@given(stack())
@pytest.mark.filterwarnings("ignore")
def test_weights_alone_come_back_by_both_layouts(model):
    buffer = io.BytesIO()
    model.save_weights(buffer, save_format="weights")
    kept = model.get_weights()
    for hide in (False, True):
        model.set_weights([np.zeros_like(w) for w in kept])
        model.load_weights(_without_keras2(buffer.getvalue()) if hide else buffer.getvalue())
        for one, other in zip(kept, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def _without_keras2(content: bytes) -> bytes:
    """The file as Keras 3 sees it: without the list of layers that Keras 2 reads."""
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        for name in [n for n in file.attrs if n.startswith("layer_names")]:
            del file.attrs[name]
    return buffer.getvalue()
