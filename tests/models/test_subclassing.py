"""Subclassed models: layers found in attributes, traced on first data, both phases of `training`."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.layers import BatchNormalization, Dense, Dropout, Input
from kcore.models import Model, clone_model


class Net(Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Dense(8, activation="relu"), Dense(4, activity_regularizer="l2")]
        self.heads = {"main": Dense(2)}
        self._norm = BatchNormalization()

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x)
        if training:
            x = Dropout(0.9, seed=1)(x, training=True)
        return self.heads["main"](self._norm(x, training=training))


X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")


def traced(model, x=X):
    model._set_inputs(x)
    return K.function([*model.inputs, K.learning_phase()], [*model.outputs, *model.losses])


def test_layers_in_lists_and_dictionaries_are_found():
    assert [layer.name for layer in Net().layers] == ["dense_1", "dense_2", "dense_3", "batch_normalization_1"]


def test_it_is_built_by_its_first_data():
    model = Net()
    assert (model.built, model.weights, model.inputs) == (False, [], None)
    traced(model)
    assert model.built
    assert model.input_names == ["input_1"]
    assert model.output_names == ["output_1"]
    assert model._feed_input_shapes == [(None, 3)]
    assert len(model.weights) == 10
    assert model.weights[0].name == "dense_1/kernel:0"
    with pytest.raises(ValueError, match="inputs of model net_1 are already set"):
        model._set_inputs(X)


def test_a_python_choice_by_training_works_in_both_phases():
    f = traced(Net())
    first, second = f([X, 0]), f([X, 0])
    np.testing.assert_array_equal(first[0], second[0])
    assert len(first) == 2  # one output, one penalty: not one for each trace
    assert np.abs(f([X, 1])[0] - first[0]).max() > 1e-3


def test_updates_come_from_the_training_trace():
    model = Net()
    traced(model)
    assert len(model.updates) == 2
    K.function([*model.inputs, K.learning_phase()], [], model.updates)([X, 1])
    assert np.abs(model._norm.get_weights()[2]).max() > 0


def test_a_call_without_training_is_traced_once():
    calls = []

    class Plain(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2)

        def call(self, x):
            calls.append(x)
            return self.dense(x)

    traced(Plain())
    assert len(calls) == 1


def test_several_inputs_and_outputs():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(2)

        def call(self, inputs):
            a, b = inputs
            return self.dense(a), self.dense(b)

    model = Two()
    model._set_inputs([X, X[:, :3]])
    assert model.input_names == ["input_1", "input_2"]
    assert model.output_names == ["output_1", "output_2"]


def test_a_subclassed_model_as_a_layer():
    x = Input((3,))
    net = Net()
    model = Model(x, net(x))
    assert model.output_shape == (None, 2)
    assert len(model.weights) == 10
    assert model.get_layer("net_1") is net


def test_a_forgotten_constructor_is_named():
    class Forgetful(Model):
        def __init__(self):
            self.dense = Dense(2)

    with pytest.raises(RuntimeError, match=r"forgot to call `super\(\).__init__\(\)`"):
        Forgetful()


def test_a_call_that_returns_no_tensor_is_named():
    class Silent(Model):
        def call(self, x):
            pass

    with pytest.raises(ValueError, match="`call` of silent_1 returned None"):
        traced(Silent())


def test_structure_that_is_code_is_not_data():
    model = Net()
    with pytest.raises(NotImplementedError, match="subclassed model: its structure is its code"):
        model.get_config()
    with pytest.raises(ValueError, match="Cannot clone net_1"):
        clone_model(model)


def test_a_subclass_may_also_be_a_graph():
    class Graph(Model):
        def __init__(self, units):
            x = Input((3,))
            super().__init__(x, Dense(units)(x), name="graph")

    assert Graph(5).output_shape == (None, 5)


def test_a_shape_builds_it_without_data():
    model = Net()
    model.build((None, 3))
    assert len(model.weights) == 10
    assert model.count_params() == 3 * 8 + 8 + 8 * 4 + 4 + 4 * 2 + 2 + 16
    model.build((None, 3))  # once is enough


def test_it_trains_on_arrays_and_frozen_layers_stay():
    np.random.seed(0)
    model = Net()
    model.blocks[0].trainable = False
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((20, 2)), epochs=1, verbose=0)
    before = model.blocks[0].get_weights()
    history = model.fit(X, np.zeros((20, 2)), epochs=20, verbose=0).history["loss"]
    assert np.mean(history[-5:]) < np.mean(history[:5])
    np.testing.assert_array_equal(before[0], model.blocks[0].get_weights()[0])
    np.testing.assert_array_equal(model.predict(X), model.predict(X))


def test_it_can_be_fitted_after_it_was_used_as_a_layer():
    net = Net()
    net(Input((3,)))
    assert len(net.weights) == 10
    net.compile("sgd", "mse")
    net.fit(X, np.zeros((20, 2)), verbose=0)
    assert net.predict(X).shape == (20, 2)
