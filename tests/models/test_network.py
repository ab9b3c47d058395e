"""Functional models: their graph, order of layers, names, calling them, configurations, errors."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from kcore import backend as K
from kcore.layers import (
    Activation,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Input,
    InputLayer,
    Lambda,
    Layer,
    Masking,
    add,
    concatenate,
)
from kcore.models import Model, Sequential, clone_model, model_from_config, model_from_json, model_from_yaml


def evaluate(model, *arrays):
    values = K.function([*model.inputs, K.learning_phase()], model.outputs)([*arrays, 0])
    return values[0] if len(values) == 1 else values


def branching():
    a, b = Input((4,), name="a"), Input((3,), name="b")
    shared = Dense(5, name="shared", activation="tanh")
    left = shared(a)
    right = shared(Dense(4, name="widen")(b))
    joined = concatenate([left, right], name="joined")
    return Model([a, b], [Dense(2, name="out")(joined), right], name="branching")


X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(3, 3)).astype("float32")


# --- structure ----------------------------------------------------------------------------------------------------


def test_layers_run_from_inputs_to_outputs():
    model = branching()
    assert [layer.name for layer in model.layers] == ["b", "a", "widen", "shared", "joined", "out"]
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["out", "shared"]
    assert model.input_shape == [(None, 4), (None, 3)]
    assert model.output_shape == [(None, 2), (None, 5)]
    assert [x.name for x in model._feed_inputs] == ["a:0", "b:0"]
    assert model.get_layer("shared") is model.layers[3]
    assert model.get_layer(index=0).name == "b"
    assert len(model.weights) == 6


def test_the_order_is_that_of_keras_2_on_a_deep_branch():
    x = Input((2,))
    short = Dense(2, name="short")(x)
    deep = Dense(2, name="deep2")(Dense(2, name="deep1")(x))
    model = Model(x, add([short, deep]))
    assert [layer.name for layer in model.layers] == ["input_1", "deep1", "short", "deep2", "add_1"]


def test_a_graph_of_two_thousand_layers_is_built():
    x = y = Input((1,))
    for _ in range(2000):
        y = Activation("linear")(y)
    assert len(Model(x, y).layers) == 2001


def test_models_are_numbered_by_class():
    x = Input((2,))
    assert [Model(x, Dense(1)(x)).name, Model(x, Dense(1)(x), name="mine").name, Sequential().name] == [
        "model_1", "mine", "sequential_1",
    ]  # fmt: skip


def test_keyword_names_of_keras_1():
    x = Input((2,))
    with pytest.warns(UserWarning, match="`input` of models is called `inputs`"):
        assert Model(input=x, output=Dense(1)(x)).inputs[0] is x


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x, y: Model([x, x], y), ValueError, "list of inputs passed to the model is redundant"),
        (lambda x, y: Model(K.placeholder((None, 2)), y), ValueError, "must come from `keras.layers.Input`"),
        (lambda x, y: Model(x, y * 2.0), ValueError, "must be the output of a Keras `Layer`.*`Lambda` layer"),
        (lambda x, y: Model(Input((2,)), y), ValueError,
         'Graph disconnected.*at layer "input_1".*accessed without issue'),
        (lambda x, y: Model(y, Dense(1)(y)), TypeError, "must be `InputLayer` objects.*comes from layer dense_1"),
        (lambda x, y: Model(inputs=x), TypeError, "needs both `inputs` and `outputs`; got only `inputs`"),
        (lambda x, y: Model(x, Dense(1, name="dense_1")(y)), ValueError, '"dense_1" is used 2 times in the model'),
        (lambda x, y: Model(x, Dense(1)(y * 2.0)), ValueError, "does not come from a layer.*`Lambda` layer"),
    ],
)
def test_what_is_no_graph_of_layers(make, error, message):
    x = Input((2,))
    y = Dense(2)(x)
    with pytest.raises(error, match=message):
        make(x, y)


def test_unknown_layers_list_the_known_ones():
    model = branching()
    with pytest.raises(ValueError, match="No such layer: shred. Did you mean 'shared'.*Known: b, a, widen"):
        model.get_layer("shred")
    with pytest.raises(ValueError, match="layer at index 9 but model only has 6"):
        model.get_layer(index=9)
    with pytest.raises(ValueError, match="Provide either a layer name or layer index"):
        model.get_layer()


# --- calling ------------------------------------------------------------------------------------------------------


def test_a_called_model_computes_the_same_with_the_same_weights():
    inner = branching()
    a, b = Input((4,)), Input((3,))
    outer = Model([a, b], inner([a, b]))
    assert outer.weights == inner.weights
    for got, expected in zip(evaluate(outer, X, Y), evaluate(inner, X, Y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert outer.get_layer("branching") is inner
    with pytest.raises(ValueError, match="branching expects 2 inputs, but it received 1"):
        inner(a)
    with pytest.raises(ValueError, match="layer widen: expected axis -1 of input shape to have value 3 but got shape"):
        inner([a, a])


def test_a_model_called_twice_on_one_tensor_gives_two_tensors():
    x = Input((4,))
    inner = Sequential([Dense(2, input_shape=(4,))])
    first, second = inner(x), inner(x)
    assert first is not second
    np.testing.assert_allclose(*evaluate(Model(x, [first, second]), X))


def test_masks_pass_through_called_models():
    inner_in = Input((3,), dtype="int32")
    inner = Model(inner_in, Embedding(5, 2, mask_zero=True)(inner_in))
    x = Input((3,), dtype="int32")
    y = inner(x)
    mask = y._keras_history[0].get_output_mask_at(1)
    assert K.function([x], [mask])([[[1, 0, 2]]])[0].tolist() == [[True, False, True]]
    assert inner.compute_mask(inner.inputs, None) is not None


def test_shapes_of_called_models():
    model = branching()
    assert model.compute_output_shape([(7, 4), (7, 3)]) == [(7, 2), (7, 5)]
    with pytest.raises(ValueError, match="model branching has 2 tensor inputs"):
        model.compute_output_shape((7, 4))


def test_updates_and_losses_of_called_models_belong_to_the_new_inputs():
    inner = Sequential([Dense(3, input_shape=(4,), kernel_regularizer="l2", activity_regularizer="l1"),
                        BatchNormalization()])  # fmt: skip
    assert (len(inner.losses), len(inner.updates)) == (2, 2)
    x = Input((4,))
    outer = Model(x, inner(x))
    assert (len(outer.losses), len(outer.updates)) == (2, 2)
    K.function([x], outer.losses, outer.updates)([X])  # needs no other input
    outer.trainable = False
    assert outer.updates == []
    inner.trainable = False
    assert inner.trainable_weights == []
    assert len(outer.non_trainable_weights) == 6


def test_add_loss_of_a_model():
    x = Input((4,))
    hidden = Dense(2)(x)
    model = Model(x, hidden)
    model.add_loss(K.mean(hidden))
    assert len(model.losses) == 1


# --- configuration ------------------------------------------------------------------------------------------------


def nested():
    x = Input((4,), name="x")
    block = Sequential([Dense(4, activation="relu", input_shape=(4,), name="inner"), Dropout(0.5)], name="block")
    y = block(block(x))
    return Model(x, [Dense(2, name="head")(y), Lambda(K.identity, name="raw")(y)], name="nested")


@pytest.mark.parametrize("make", [branching, nested])
@pytest.mark.parametrize("via", ["config", "json", "yaml", "clone"])
def test_a_model_made_from_its_configuration_computes_the_same(make, via):
    model = make()
    custom = {"identity": K.identity}
    copies = {
        "config": lambda: Model.from_config(model.get_config()),
        "json": lambda: model_from_json(model.to_json(), custom_objects=custom),
        "yaml": lambda: model_from_yaml(model.to_yaml(), custom_objects=custom),
        "clone": lambda: clone_model(model),
    }
    copy = copies[via]()
    assert copy.name == model.name
    assert json.loads(copy.to_json()) == json.loads(model.to_json())
    assert not {id(w) for w in copy.weights} & {id(w) for w in model.weights}
    copy.set_weights(model.get_weights())
    arrays = [X, Y][: len(model.inputs)]
    for got, expected in zip(evaluate(copy, *arrays), evaluate(model, *arrays), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_json_says_what_keras_2_says():
    config = json.loads(branching().to_json())
    assert config["class_name"] == "Model"
    assert config["keras_version"] == "2.3.1"
    assert config["backend"] == "numpy"
    entries = {entry["name"]: entry for entry in config["config"]["layers"]}
    assert entries["shared"]["inbound_nodes"] == [[["a", 0, 0, {}]], [["widen", 0, 0, {}]]]
    assert config["config"]["output_layers"] == [["out", 0, 0], ["shared", 1, 0]]


def test_arguments_of_calls_are_kept_when_they_are_plain():
    x = Input((4,))
    model = Model(x, Dropout(0.5)(x, training=True))
    (call,) = json.loads(model.to_json())["config"]["layers"][1]["inbound_nodes"]
    assert call == [["input_1", 0, 0, {"training": True}]]
    copy = model_from_json(model.to_json())
    assert (K.function([*copy.inputs, K.learning_phase()], copy.outputs)([np.ones((9, 4)), 0])[0] == 0).any()


def test_tensors_as_arguments_are_left_out_with_a_warning():
    class Adds(Layer):
        def call(self, x, other=None):
            return x if other is None else x + other

    x = Input((4,))
    model = Model(x, Adds()(x, other=K.ones((4,))))
    with pytest.warns(UserWarning, match="adds_1 was passed non-serializable keyword arguments"):
        model.get_config()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_name": "Model"}, "keys 'class_name' and 'config'"),
        ({"class_name": "Model", "config": {"name": "m"}}, "a model needs 'layers'"),
        ({"class_name": "Modell", "config": {}}, "Unknown layer: Modell"),
        ("text", "keys 'class_name' and 'config'"),
    ],
)
def test_configurations_that_are_none(config, message):
    with pytest.raises(ValueError, match=message):
        model_from_config(config)


def test_a_list_is_a_configuration_of_a_sequential():
    with pytest.raises(TypeError, match="Sequential.from_config"):
        model_from_config([])


def test_layers_that_nothing_feeds_are_an_error_not_an_endless_loop():
    x = Input((2,), name="i")
    config = Model(x, Dense(1, name="d")(x)).get_config()
    config["layers"][1]["inbound_nodes"] = [[["i", 1, 0, {}]]]
    with pytest.raises(ValueError, match="the inputs of d are computed by no layer"):
        Model.from_config(config)
    config["layers"][1]["inbound_nodes"] = [[["j", 0, 0, {}]]]
    with pytest.raises(ValueError, match="d takes the output of 'j', but the model has no such layer"):
        Model.from_config(config)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_text_that_is_no_json(text):
    with pytest.raises(ValueError, match="not valid JSON"):
        model_from_json(text)


def test_yaml_runs_nothing():
    with pytest.raises(ValueError, match="not valid YAML"):
        model_from_yaml("!!python/object/apply:os.system ['true']")
    text = """
class_name: Sequential
config: {name: s, layers: [{class_name: Dense, config: {units: 1, batch_input_shape: !!python/tuple [null, 3]}}]}
"""
    assert model_from_yaml(text).output_shape == (None, 1)


# --- state --------------------------------------------------------------------------------------------------------


def test_weights_travel_in_the_order_of_the_layers():
    model = branching()
    values = [np.full(w.shape, float(i)) for i, w in enumerate(model.get_weights())]
    model.set_weights(values)
    for got, expected in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match="weight list of length 1, but the layer was expecting 6"):
        model.set_weights([1.0])


def test_freezing_part_of_a_model():
    model = branching()
    model.get_layer("shared").trainable = False
    assert [w.name for w in model.trainable_weights] == ["widen/kernel:0", "widen/bias:0", "out/kernel:0", "out/bias:0"]
    assert [w.name for w in model.non_trainable_weights] == ["shared/kernel:0", "shared/bias:0"]
    assert model.count_params() == 25 + 16 + 22


def test_a_model_with_masking_supports_it():
    x = Input((3, 2))
    y = Concatenate()([Masking()(x), x])
    assert Model(x, y).compute_mask([x], None) is not None


def test_building_and_describing_needs_no_framework():
    code = """
import sys
from kcore.layers import *
from kcore.models import Model, Sequential, model_from_json
x = Input((4,))
m = Model(x, Dense(2)(BatchNormalization()(Dropout(.5)(x))))
m.summary(print_fn=lambda s: None)
model_from_json(m.to_json())
Sequential([Dense(2, input_shape=(3,), kernel_regularizer='l2')]).get_weights()
from kcore.backend import active
assert not active.loaded(), active.loaded()
print(sorted({'torch', 'jax', 'tensorflow', 'h5py', 'yaml'} & set(sys.modules)))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# --- copies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_layers_of_a_copy_may_be_made_by_a_function(kind):
    model = branching() if kind == "functional" else Sequential([Dense(3, input_shape=(4,)), Dropout(0.5), Dense(2)])
    layers = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    seen = []

    def keep_the_last(layer):
        seen.append(layer)
        return layer if layer is layers[-1] else type(layer).from_config({**layer.get_config(), "trainable": False})

    copy = clone_model(model, clone_function=keep_the_last)
    assert sorted(map(id, seen)) == sorted(map(id, layers))  # each once, however often it is called
    assert copy.layers[-1] is layers[-1]
    assert copy.trainable_weights == layers[-1].trainable_weights
    copy.set_weights(model.get_weights())
    arrays = (X, Y) if kind == "functional" else (X,)
    for a, b in zip(evaluate(model, *arrays), evaluate(copy, *arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_copy_needs_a_tensor_for_each_input():
    with pytest.raises(ValueError, match=r"each of its 2 inputs \(a, b\), got 1"):
        clone_model(branching(), [Input((4,))])
