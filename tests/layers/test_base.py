"""Layers: weights and names, calls and their records, checks of inputs, losses and updates."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import regularizers
from kcore.layers import Activation, BatchNormalization, Dense, Embedding, Flatten, Input, InputSpec, Layer, Masking
from kcore.models import Model


class Scale(Layer):
    """y = x * s, with a penalty on s and one on x."""

    def build(self, input_shape):
        self.s = self.add_weight("s", (input_shape[-1],), initializer="ones", regularizer=regularizers.l2(0.5))
        self.count = self.add_weight("count", (), initializer="zeros", trainable=False)
        self.built = True

    def call(self, inputs):
        self.add_loss(K.sum(inputs))
        self.add_update(K.update_add(self.count, 1.0))
        self.add_update(K.update_add(self.count, K.sum(inputs)))
        return inputs * self.s


class Twice(Layer):
    """Layers inside a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(3)
        self.others = [Dense(2), {"deep": Dense(4)}]

    def call(self, x):
        return self.others[1]["deep"](self.others[0](self.first(x)))

    def compute_output_shape(self, shape):
        return (shape[0], 4)


# --- names and weights --------------------------------------------------------------------------------------------


def test_layers_and_weights_are_named_as_in_keras_2():
    x = Input((4,))
    names = [w.name for layer in (Dense(2), Dense(3)) for w in (layer(x), layer.weights)[1]]
    assert names == ["dense_1/kernel:0", "dense_1/bias:0", "dense_2/kernel:0", "dense_2/bias:0"]
    assert Layer().name == "layer_1"


def test_weights_of_layers_inside_carry_both_names():
    layer = Twice(name="twice")
    layer(Input((5,)))
    assert [w.name for w in layer.weights][:2] == ["twice/dense_1/kernel:0", "twice/dense_1/bias:0"]
    assert len(layer.trainable_weights) == 6
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 6


def test_two_weights_of_one_name_are_numbered():
    layer = Layer(name="own")
    with K.name_scope("own"):
        names = [layer.add_weight("w", (1,)).name for _ in range(2)] + [layer.add_weight(shape=(1,)).name]
    assert names == ["own/w:0", "own/w_1:0", "own/Variable:0"]


def test_add_weight_takes_the_old_order_of_arguments():
    assert Layer().add_weight((2, 3), initializer="zeros", name="w").shape == (2, 3)


def test_add_weight_accepts_any_initializer():
    layer = Layer()
    by_graph = layer.add_weight("g", (2,), initializer=lambda shape, dtype=None: K.ones(shape, dtype) * 3)
    by_array = layer.add_weight("a", (2,), initializer=lambda shape, dtype=None: np.full(shape, 2.0))
    assert [w.numpy().tolist() for w in (by_graph, by_array)] == [[3, 3], [2, 2]]
    assert by_array.dtype == "float32"


def test_an_unknown_dimension_of_a_weight_is_named():
    with pytest.raises(ValueError, match="dense_1 .Dense. must be known"):
        Dense(2)(Input((None,)))


def test_set_weights_says_what_it_expected():
    layer = Dense(2)
    layer(Input((3,)))
    with pytest.raises(ValueError, match=r"weight list of length 1, but the layer was expecting 2 weights"):
        layer.set_weights([np.ones((3, 2))])
    with pytest.raises(ValueError, match=r"\(3, 2\) of dense_1/kernel:0 not compatible .* \(2, 3\)"):
        layer.set_weights([np.ones((2, 3)), np.ones(2)])
    layer.set_weights([np.ones((3, 2)), np.zeros(2)])
    assert layer.get_weights()[0].sum() == 6


def test_weights_given_to_the_constructor_are_set_when_it_is_built():
    layer = Dense(1, weights=[np.full((2, 1), 7.0), np.ones(1)])
    layer(Input((2,)))
    assert layer.get_weights()[0].ravel().tolist() == [7, 7]


def test_count_params_needs_a_built_layer():
    with pytest.raises(RuntimeError, match="dense_1, but the layer isn't built"):
        Dense(2).count_params()


def test_an_unknown_argument_suggests_the_right_one():
    with pytest.raises(TypeError, match="not understood by Dense: 'activaton'. Did you mean 'activation'"):
        Dense(2, activaton="relu")


@pytest.mark.parametrize("units", [0, -1, 2.5, True, "2"])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="Dense: `units` must be a positive integer"):
        Dense(units)


# --- calls --------------------------------------------------------------------------------------------------------


def test_a_call_is_recorded():
    x = Input((4,))
    layer = Dense(2)
    y = layer(x)
    assert layer.input is x
    assert layer.output is y
    assert layer.input_shape == (None, 4)
    assert layer.output_shape == (None, 2)
    assert y._keras_history == (layer, 0, 0)
    assert y._keras_shape == (None, 2)
    assert layer._inbound_nodes[0].inbound_layers == [x._keras_history[0]]
    assert layer._inbound_nodes[0].get_config()["inbound_layers"] == ["input_1"]


def test_a_shared_layer_has_no_single_input():
    layer = Dense(2)
    a, b = Input((4,)), Input((4,))
    outputs = [layer(a), layer(b)]
    assert [layer.get_output_at(i) is y for i, y in enumerate(outputs)] == [True, True]
    assert layer.output_shape == (None, 2)
    with pytest.raises(AttributeError, match='notion of "layer input" is ill-defined'):
        layer.input  # noqa: B018
    with pytest.raises(ValueError, match="Asked to get output at node 2"):
        layer.get_output_at(2)


def test_a_layer_that_was_never_called_has_no_output():
    with pytest.raises(AttributeError, match="not connected"):
        Dense(2).output  # noqa: B018
    with pytest.raises(RuntimeError, match="never been called"):
        Dense(2).get_output_at(0)
    with pytest.raises(AttributeError, match="never been called"):
        Dense(2).output_shape  # noqa: B018


def test_a_layer_that_hands_its_input_on_makes_a_tensor_of_its_own():
    x = Input((4,))
    y = Activation("linear")(x)
    assert y is not x
    assert x._keras_history[0].name == "input_1"
    assert y._keras_history[0].name == "activation_1"


def test_tuples_of_inputs_are_lists_of_inputs():
    from kcore.layers import Add

    assert Add()((Input((4,)), Input((4,))))._keras_shape == (None, 4)


@pytest.mark.parametrize("value", [np.ones((2, 4)), [[1.0]], "x", None])
def test_what_is_no_tensor_is_refused(value):
    with pytest.raises(ValueError, match="dense_1 was called with an input that isn't a symbolic tensor"):
        Dense(2)(value)


def test_a_call_without_return_is_named():
    class Forgetful(Layer):
        def call(self, x):
            K.sum(x)

    with pytest.raises(ValueError, match="`call` of layer forgetful_1 gave None.*`return` missing"):
        Forgetful()(Input((2,)))


# --- input_spec ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (InputSpec(ndim=3), "expected ndim=3, found ndim=2"),
        (InputSpec(min_ndim=3), "expected min_ndim=3, found ndim=2"),
        (InputSpec(max_ndim=1), "expected max_ndim=1, found ndim=2"),
        (InputSpec(axes={-1: 5}), r"expected axis -1 of input shape to have value 5 but got shape \(None, 4\)"),
        (InputSpec(shape=(None, 6)), r"expected shape=\(None, 6\), found shape=\(None, 4\)"),
    ],
)
def test_an_input_that_does_not_fit_names_layer_expected_and_received(spec, message):
    layer = Layer(name="picky")
    layer.input_spec = spec
    with pytest.raises(ValueError, match=f"Input 0 is incompatible with layer picky: {message}"):
        layer(Input((4,)))


def test_dtypes_are_checked_too():
    layer = Layer(name="picky")
    layer.input_spec = InputSpec(dtype="int32")
    with pytest.raises(TypeError, match="expected dtype=int32, found dtype=float32"):
        layer(Input((4,)))


def test_the_number_of_inputs_is_checked():
    layer = Layer(name="picky")
    layer.input_spec = [InputSpec(ndim=2), InputSpec(ndim=2)]
    with pytest.raises(ValueError, match="picky expects 2 inputs, but it received 1"):
        layer(Input((4,)))


def test_a_built_layer_refuses_another_size():
    layer = Dense(2)
    layer(Input((4,)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 4"):
        layer(Input((5,)))


def test_a_spec_shows_what_it_holds():
    assert repr(InputSpec(min_ndim=2, axes={-1: 3})) == "InputSpec(min_ndim=2, axes={-1: 3})"


# --- shapes -------------------------------------------------------------------------------------------------------


def test_the_traced_shape_is_believed_where_a_layer_declares_none():
    class Sum(Layer):
        def call(self, x):
            return K.sum(x, axis=-1, keepdims=True)

    assert Sum()(Input((4,)))._keras_shape == (None, 1)


def test_a_declared_shape_fills_in_what_tracing_cannot_know():
    class Halves(Layer):
        def call(self, x):
            return K.reshape(x, K.stack([K.shape(x)[0], -1]))

        def compute_output_shape(self, shape):
            return (shape[0], 12)

    y = Halves()(Input((3, 4)))
    assert y.shape == (None, 12)
    Dense(2)(y)  # would fail on an unknown dimension


def test_a_declared_shape_cannot_contradict_the_traced_one():
    class Wrong(Layer):
        def call(self, x):
            return x * 2.0

        def compute_output_shape(self, shape):
            return (shape[0], 99)

    assert Wrong()(Input((4,)))._keras_shape == (None, 4)


# --- masks --------------------------------------------------------------------------------------------------------


def test_masks_travel_through_layers_that_support_them():
    x = Input((3,), dtype="int32")
    y = Activation("relu")(Embedding(5, 2, mask_zero=True)(x))
    mask = y._keras_history[0].output_mask
    values = K.function([x], [mask])([np.array([[1, 0, 2]])])[0]
    assert values.tolist() == [[True, False, True]]


def test_a_layer_without_masking_refuses_a_mask():
    x = Masking()(Input((3, 2)))
    with pytest.raises(TypeError, match="Layer flatten_1 does not support masking"):
        Flatten()(x)


def test_call_gets_the_mask_it_asks_for():
    class Counts(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, x, mask=None):
            assert mask is not None
            return x

    Counts()(Masking()(Input((3, 2))))


# --- losses and updates -------------------------------------------------------------------------------------------


def test_losses_know_the_inputs_that_they_depend_on():
    layer = Scale()
    a, b = Input((2,)), Input((2,))
    first = Model(a, layer(a))
    second = Model(b, layer(b))
    assert len(layer.losses) == 3
    assert len(first.losses) == len(second.losses) == 2  # the penalty on s, and that of its own input
    got = K.function([a], first.losses)([np.ones((3, 2))])
    assert sorted(float(v) for v in got) == [1.0, 6.0]


def test_updates_know_the_inputs_that_they_depend_on():
    layer = Scale()
    a, b = Input((2,)), Input((2,))
    model = Model(a, layer(a))
    layer(b)
    assert len(layer.get_updates_for(None)) == 2
    assert len(layer.get_updates_for(a)) == 1
    assert len(model.updates) == 3
    model.trainable = False
    assert model.updates == []


def test_a_frozen_layer_has_no_updates():
    x = Input((4,))
    layer = BatchNormalization()
    layer(x)
    assert len(layer.updates) == 2
    layer.trainable = False
    assert layer.updates == []
    assert len(layer.non_trainable_weights) == 4


def test_activity_is_penalised_at_each_call():
    layer = Dense(2, activity_regularizer="l2")
    x = Input((4,))
    layer(layer(x) if layer.units == 4 else x)
    layer(x)
    assert len(layer.losses) == 2


# --- configuration ------------------------------------------------------------------------------------------------


def test_the_base_configuration():
    assert Layer(name="a", trainable=False, input_shape=(3,)).get_config() == {
        "name": "a", "trainable": False, "batch_input_shape": (None, 3), "dtype": "float32",
    }  # fmt: skip
    assert Layer(input_shape=(3,), batch_size=5).batch_input_shape == (5, 3)
    assert Layer(batch_input_shape=(5, 3)).batch_input_shape == (5, 3)


def test_input_needs_a_shape_that_is_one():
    with pytest.raises(ValueError, match="either a `shape` or a `batch_shape`"):
        Input()
    with pytest.raises(ValueError, match=r"a shape is a tuple of integers and None, got \(3, 'x'\)"):
        Input((3, "x"))
    with pytest.raises(ValueError, match="a shape is a tuple of integers and None, got 3"):
        Input(3)


def test_input_may_be_a_tensor():
    v = K.variable(np.ones((2, 3)))
    x = Input(tensor=v)
    assert x is v
    assert x._keras_history[0].is_placeholder is False
    assert Dense(1)(x)._keras_shape == (2, 1)
