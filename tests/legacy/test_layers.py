"""Layers of Keras 1: their formulas, configurations, and recurrent layers that define their own step."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import layers
from kcore.layers import Input, InputSpec
from kcore.models import Model


@pytest.fixture(autouse=True)
def on_numpy(keras_home):
    with K.backend_scope("numpy"):
        K.clear_session()
        yield


def data(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def with_random_weights(layer, x):
    inputs = Input(batch_shape=(None, *x.shape[1:]))
    model = Model(inputs, layer(inputs))
    layer.set_weights([data(*w.shape) for w in layer.get_weights()])
    return model.predict(x), layer.get_weights()


@pytest.mark.filterwarnings("ignore:The layer")
@pytest.mark.parametrize("bias", [True, False])
def test_maxout_takes_the_largest_of_its_linear_features(bias):
    layer, x = layers.MaxoutDense(3, nb_feature=5, bias=bias, W_regularizer="l2"), data(4, 2)
    y, weights = with_random_weights(layer, x)
    features = np.einsum("bi,fio->bfo", x, weights[0]) + (weights[1] if bias else 0)
    np.testing.assert_allclose(y, features.max(axis=1), rtol=1e-5, atol=1e-6)
    assert y.shape[1:] == layer.output_shape[1:] == (3,)
    assert len(layer.losses) == 1


@pytest.mark.filterwarnings("ignore:The layer")
@pytest.mark.parametrize("bias", [True, False])
def test_highway_mixes_its_input_and_a_dense_layer(bias):
    layer, x = layers.Highway(activation="tanh", bias=bias), data(4, 3)
    y, weights = with_random_weights(layer, x)
    assert [w.name for w in layer.weights] == [
        f"highway_1/{name}:0" for name in ("W", "W_carry", "b", "b_carry")[: len(weights)]
    ]
    kernel, carry, b, b_carry = weights if bias else (*weights, 0, 0)
    gate = sigmoid(x @ carry + b_carry)
    np.testing.assert_allclose(y, gate * np.tanh(x @ kernel + b) + (1 - gate) * x, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:The layer")
@pytest.mark.parametrize("name", ["MaxoutDense", "Highway"])
def test_configurations_make_an_equal_layer(name):
    first = {"output_dim": 2} if name == "MaxoutDense" else {}
    layer = getattr(layers, name)(**first, W_constraint="max_norm", b_regularizer="l1", input_dim=4)
    config = layers.serialize(layer)
    assert layers.serialize(layers.deserialize(config)) == config
    assert layer.batch_input_shape == (None, 4)


def test_the_layers_of_keras_1_say_that_they_are_old():
    with pytest.warns(UserWarning, match="MaxoutDense is of Keras 1 and is deprecated"):
        layers.MaxoutDense(2)


class Decaying(layers.Recurrent):
    """h = decay * h + x, with the decay as a constant of the pass."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        input_shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.input_spec[0] = InputSpec(shape=(input_shape[0] if self.stateful else None, None, input_shape[2]))
        self.states = [None]
        if self.stateful:
            self.reset_states()
        self.built = True

    def get_constants(self, inputs, training=None):
        return [K.constant(0.5)]

    def preprocess_input(self, inputs, training=None):
        return inputs * 2

    def step(self, inputs, states):
        h = states[1] * states[0] + inputs
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def decayed(x, h=0.0):
    steps = []
    for i in range(x.shape[1]):
        h = 0.5 * h + 2 * x[:, i]
        steps.append(h)
    return np.stack(steps, axis=1)


def test_a_recurrent_layer_may_define_its_own_step():
    x = data(2, 4, 3)
    inputs = Input((4, 3))
    layer = Decaying(3, return_sequences=True, return_state=True)
    y, state = Model(inputs, layer(inputs)).predict(x)
    np.testing.assert_allclose(y, decayed(x), rtol=1e-5)
    np.testing.assert_allclose(state, decayed(x)[:, -1], rtol=1e-5)
    assert Decaying.from_config(layer.get_config()).get_config() == layer.get_config()


def test_its_own_step_starts_from_given_states():
    x, start = data(2, 4, 3), data(2, 3)
    inputs, initial = Input((4, 3)), Input((3,))
    y = Decaying(3)(inputs, initial_state=initial)
    np.testing.assert_allclose(Model([inputs, initial], y).predict([x, start]), decayed(x, start)[:, -1], rtol=1e-5)


def test_its_own_step_keeps_states():
    x = data(2, 4, 3)
    inputs = Input(batch_shape=(2, 4, 3))
    model = Model(inputs, Decaying(3, stateful=True)(inputs))
    first = model.predict(x, batch_size=2)
    np.testing.assert_allclose(model.predict(x, batch_size=2), decayed(x, first)[:, -1], rtol=1e-5)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, batch_size=2), first, rtol=1e-6)


def test_its_own_step_may_see_images():
    class Summed(layers.ConvRecurrent2D):
        def build(self, input_shape):
            self.states, self.built = [None], True

        def step(self, inputs, states):
            h = states[0] + K.sum(inputs, axis=-1, keepdims=True)
            return h, [h]

    x = data(2, 3, 4, 5, 2)
    inputs = Input((3, 4, 5, 2))
    layer = Summed(1, 1, return_sequences=True)
    y = Model(inputs, layer(inputs)).predict(x)
    np.testing.assert_allclose(y, x.sum(-1, keepdims=True).cumsum(1), rtol=1e-4, atol=1e-5)
    assert layer.output_shape == (None, 3, 4, 5, 1)
    assert Summed.from_config(layer.get_config()).kernel_size == (1, 1)
