"""Lambda: functions as layers, their shapes, masks and configurations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kcore import backend as K
from kcore.layers import Input, Lambda, Masking, deserialize, serialize
from kcore.models import Model, clone_model, model_from_json


def double(x, factor=2.0):
    return x * factor


def evaluate(model, x):
    return K.function(model.inputs, model.outputs)([x])[0]


def test_shapes_are_found_by_running_the_function():
    x = Input((3, 4))
    y = Lambda(lambda t: K.sum(t, axis=1))(x)
    assert y._keras_shape == (None, 4)
    assert y._keras_history[0].compute_output_shape((5, 3, 4)) == (5, 4)


def test_given_shapes():
    x = Input((4,))
    assert Lambda(double, output_shape=(4,))(x)._keras_shape == (None, 4)
    assert Lambda(double, output_shape=lambda s: s)(x)._keras_shape == (None, 4)
    with pytest.raises(TypeError, match="`output_shape` must be a list, a tuple, or a function"):
        Lambda(double, output_shape=3)


def test_several_outputs():
    a, b = Lambda(lambda t: [t, K.sum(t, axis=-1)])(Input((4,)))
    assert (a._keras_shape, b._keras_shape) == ((None, 4), (None,))


def test_arguments_and_masks():
    x = Masking()(Input((3, 2)))
    seen = {}

    def fn(t, mask=None, factor=1.0):
        seen.update(mask=mask, factor=factor)
        return t * factor

    layer = Lambda(fn, arguments={"factor": 3.0})
    layer(x)
    assert seen["mask"] is not None
    assert seen["factor"] == 3.0
    assert layer.output_mask is None
    keeps = Lambda(double, mask=lambda inputs, mask: mask)
    keeps(x)
    assert keeps.output_mask is x._keras_history[0].output_mask


def test_a_file_holds_the_name_and_reading_needs_the_function():
    x = Input((2,))
    model = Model(x, Lambda(double, arguments={"factor": np.array([1.0, 3.0])}, name="twice")(x))
    text = model.to_json()
    config = json.loads(text)["config"]["layers"][1]["config"]
    assert (config["function"], config["function_type"]) == ("double", "function")
    with pytest.raises(ValueError, match="Unknown function in Lambda layer 'twice': double.*custom_objects"):
        model_from_json(text)
    again = model_from_json(text, custom_objects={"double": double})
    assert evaluate(again, np.ones((1, 2))).tolist() == [[1, 3]]


def test_lambdas_without_a_name_are_given_by_the_layers_name():
    x = Input((2,))
    text = Model(x, Lambda(lambda t: t + 1, name="plus")(x)).to_json()
    with pytest.raises(ValueError, match="function without a name.*custom_objects={'plus': my_function}"):
        model_from_json(text)
    again = model_from_json(text, custom_objects={"plus": lambda t: t + 1})
    assert evaluate(again, np.ones((1, 2))).tolist() == [[2, 2]]


def test_copies_in_this_process_keep_the_function():
    x = Input((2,))
    model = Model(x, Lambda(lambda t: t + 1)(x))
    assert evaluate(clone_model(model), np.ones((1, 2))).tolist() == [[2, 2]]
    layer = Lambda(double, output_shape=lambda s: s)
    again = deserialize(serialize(layer))
    assert again.function is double


def test_byte_code_in_a_file_is_refused():
    config = {"name": "evil", "function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda", "output_shape": None}
    with pytest.raises(ValueError, match="'evil' was saved with its function as Python byte code, which kcore never"):
        Lambda.from_config(config)
    assert Lambda.from_config(config, custom_objects={"evil": double}).function is double


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="expected a function"):
        Lambda(3)
    with pytest.raises(TypeError, match="unknown function type 'source'"):
        Lambda.from_config({"function": "x", "function_type": "source"})
