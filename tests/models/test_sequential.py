"""Sequential: growing, deferred building, pop, configuration."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kcore import backend as K
from kcore.layers import Activation, Dense, Flatten, Input, InputLayer, Lambda, Reshape
from kcore.models import Model, Sequential, clone_model, model_from_json


def evaluate(model, x):
    return K.function(model.inputs, model.outputs)([x])[0]


def test_a_model_with_an_input_shape_grows_layer_by_layer():
    model = Sequential()
    model.add(Dense(3, input_shape=(4,)))
    assert model.output_shape == (None, 3)
    model.add(Dense(2))
    assert model.output_shape == (None, 2)
    assert [layer.name for layer in model.layers] == ["dense_1", "dense_2"]
    assert model.input_names == ["dense_1_input"]
    assert model.built
    assert len(model.weights) == 4


def functional():
    x = Input((4,))
    return Model(x, Dense(2)(x))


@pytest.mark.parametrize(
    "first",
    [
        lambda: Dense(3, input_shape=(4,)),
        lambda: Dense(3, input_dim=4),
        lambda: Dense(3, batch_input_shape=(None, 4)),
        lambda: InputLayer((4,)),
        lambda: Input((4,)),
        lambda: Sequential([Dense(3, input_shape=(4,))]),
        functional,
    ],
)
def test_the_first_layer_may_say_its_input_in_many_ways(first):
    model = Sequential([first(), Dense(2)])
    assert model.input_shape == (None, 4)
    assert evaluate(model, np.ones((2, 4))).shape == (2, 2)


def test_batch_sizes_can_be_fixed():
    assert Sequential([Dense(3, input_shape=(4,), batch_size=8)]).output_shape == (8, 3)


def test_without_a_shape_there_are_no_weights_until_it_is_built():
    model = Sequential([Dense(3), Dense(2)])
    assert model.weights == []
    assert not model.built
    with pytest.raises(ValueError, match="sequential_1 has not yet been built. Build the model first"):
        model.summary()
    model.build((None, 4))
    assert len(model.weights) == 4
    assert model.get_config()["build_input_shape"] == (None, 4)
    again = model_from_json(model.to_json())
    assert again.output_shape == (None, 2)


def test_a_call_builds_it_too():
    inner = Sequential([Dense(3), Dense(2)])
    x = Input((4,))
    assert Model(x, inner(x)).output_shape == (None, 2)
    assert len(inner.weights) == 4


def test_pop_takes_layers_off_again():
    model = Sequential([Dense(3, input_shape=(4,)), Activation("relu"), Dense(2)])
    expected = evaluate(Model(model.inputs, model.layers[1].output), np.ones((1, 4)))
    model.pop()
    assert model.output_shape == (None, 3)
    np.testing.assert_array_equal(evaluate(model, np.ones((1, 4))), expected)
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    assert len(model.layers) == 3
    for _ in range(3):
        model.pop()
    assert model.layers == []
    with pytest.raises(TypeError, match="There are no layers in the model"):
        model.pop()
    model.add(Dense(5, input_shape=(2,)))
    assert model.output_shape == (None, 5)


def test_pop_of_an_unbuilt_model():
    model = Sequential([Dense(3), Dense(2)])
    model.pop()
    model.build((None, 4))
    assert model.output_shape == (None, 3)


def test_one_layer_twice():
    shared = Dense(4, input_shape=(4,))
    model = Sequential([shared, shared])
    assert len(model.weights) == 2 or len({id(w) for w in model.weights}) == 2
    assert evaluate(model, np.ones((1, 4))).shape == (1, 4)


def test_what_cannot_be_added():
    with pytest.raises(TypeError, match="must be an instance of class Layer. Found: 3"):
        Sequential([3])
    with pytest.raises(TypeError, match="single output tensor; lambda_1 has 2"):
        Sequential([Dense(2, input_shape=(2,)), Lambda(lambda x: [x, x])])
    with pytest.raises(ValueError, match=r"Cannot add an empty model \(sequential_3\)"):
        Sequential([Sequential()])


def test_configurations_make_equal_models():
    model = Sequential([Dense(4, input_shape=(6,)), Reshape((2, 2)), Flatten()], name="seq")
    copy = Sequential.from_config(model.get_config())
    assert json.loads(copy.to_json()) == json.loads(model.to_json())
    old = Sequential.from_config(model.get_config()["layers"])
    assert old.output_shape == (None, 4)
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(evaluate(clone, np.ones((1, 6))), evaluate(model, np.ones((1, 6))))


def test_cloning_on_other_inputs():
    model = Sequential([Dense(4, input_shape=(6,))])
    x = Input((6,))
    clone = clone_model(model, x)
    assert clone.inputs[0] is x
    with pytest.raises(ValueError, match="other than an `InputLayer`"):
        clone_model(model, Dense(6)(x))
    with pytest.raises(ValueError, match="`Model` instance, got 3"):
        clone_model(3)


def test_freezing_survives_growing():
    model = Sequential([Dense(4, input_shape=(6,))])
    model.trainable = False
    model.add(Dense(2))
    assert model.trainable_weights == []


def test_copies_and_pickles_keep_weights_and_training_state():
    import copy
    import pickle

    model = Sequential([Dense(2, input_shape=(3,))])
    x = np.ones((4, 3))
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
        assert again.weights[0] is not model.weights[0]
    model.compile("adam", "mse")
    model.fit(x, np.ones((4, 2)), verbose=0)
    again = copy.deepcopy(model)
    assert again.train_on_batch(x, np.ones((4, 2))) == model.train_on_batch(x, np.ones((4, 2)))


def test_a_model_that_begins_with_an_input_layer_comes_back_from_its_configuration():
    from kcore.layers import InputLayer

    model = Sequential([InputLayer(input_shape=(3,)), Dense(2)])
    again = Sequential.from_config(model.get_config())
    assert [w.shape for w in again.get_weights()] == [(3, 2), (2,)]
    assert again.input_shape == (None, 3)
