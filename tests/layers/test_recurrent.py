"""Recurrent layers: one op for a sequence equals the loop over the cell; masks, states, dropout, errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcore import backend as K
from kcore import layers as L
from kcore.layers import Input
from kcore.models import Model, Sequential

KINDS = ("SimpleRNN", "GRU", "LSTM")


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(layer, seed=1):
    layer.set_weights([data(*w.shape, seed=seed + i) * 0.5 for i, w in enumerate(layer.get_weights())])
    return layer


def ops_of(*tensors):
    """Names of the ops that the tensors are computed with (not those in the bodies of loops)."""
    from kcore.graph import ir

    return {node.op.name for node in ir.topological(tensors)}


def values(inputs, outputs, arrays, training=0):
    return K.function([*inputs, K.learning_phase()], outputs)([*arrays, training])


def without_ops(layer):
    """The layer, bound to loop over its cell."""
    layer.cell.over_sequence = lambda *arguments: None
    return layer


# --- one op for the sequence, or a loop over the cell -----------------------------------------------------------------

ACTIVATIONS = st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "softsign", "softmax", "elu"])


@pytest.mark.parametrize(("kind", "implementation"), [("SimpleRNN", 2), *((k, i) for k in KINDS[1:] for i in (1, 2))])
@settings(max_examples=8)
@given(
    masked=st.booleans(), activation=ACTIVATIONS, gate=ACTIVATIONS, bias=st.booleans(), reset_after=st.booleans(),
    return_sequences=st.booleans(), go_backwards=st.booleans(), given_state=st.booleans(),
    time=st.sampled_from([3, 1, 4]), dropout=st.sampled_from([0.0, 0.5]), unroll=st.booleans(),
)  # fmt: skip
def test_the_op_for_a_sequence_equals_the_loop_over_the_cell(
    kind, implementation, masked, activation, gate, bias, reset_after, return_sequences, go_backwards, given_state,
    time, dropout, unroll,
):  # fmt: skip
    options = {"activation": activation, "use_bias": bias, "dropout": dropout}
    if kind != "SimpleRNN":
        options.update(recurrent_activation=gate, implementation=implementation)
    if kind == "GRU":
        options.update(reset_after=reset_after)
    sequence = {"return_sequences": return_sequences, "go_backwards": go_backwards, "return_state": True}
    with K.backend_scope("numpy"):
        x, mask = K.placeholder(shape=(None, time, 2)), K.placeholder(shape=(None, time), dtype="bool")
        layer = getattr(L, kind)(3, **options, **sequence)
        looped = without_ops(getattr(L, kind)(3, **options, **sequence, unroll=unroll))
        layer.build((None, time, 2))
        looped.build((None, time, 2))
        looped.set_weights(randomize(layer).get_weights())
        states = [K.placeholder(shape=(None, 3)) for _ in layer.states]
        call = {"mask": mask if masked else None, "initial_state": states if given_state else None, "training": False}
        ours, theirs = layer.call(x, **call), looped.call(x, **call)
        assert kind.lower().replace("simplernn", "simple_rnn") in ops_of(*ours)
        assert not ops_of(*theirs) & {"lstm", "gru", "simple_rnn"}
        feeds = [data(2, time, 2), np.random.default_rng(3).random((2, time)) < 0.6]
        feeds += [data(2, 3, seed=7 + i) for i in range(len(states))]
        loss = [sum(K.sum(K.square(y)) for y in outputs) for outputs in (ours, theirs)]
        gradients = [*K.gradients(loss[0], [x, *layer.weights]), *K.gradients(loss[1], [x, *looped.weights])]
        results = values([x, mask, *states], [*ours, *theirs, *gradients], feeds)
        results = np.split(np.array(results, dtype=object), [2 * len(ours)])
        for part in results:
            for a, b in zip(*np.split(part, 2), strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_stack_of_cells_is_one_op_each(go_backwards, return_sequences):
    def make():
        cells = [L.LSTMCell(3), L.GRUCell(2, reset_after=True), L.SimpleRNNCell(4)]
        sequence = {"return_sequences": return_sequences, "go_backwards": go_backwards, "return_state": True}
        return L.RNN(cells, **sequence)

    x = L.Masking()(given := Input((5, 2)))
    layer, looped = make(), without_ops(make())
    ours, theirs = layer(x), looped(x)
    looped.set_weights(randomize(layer).get_weights())
    assert {"lstm", "gru", "simple_rnn"} <= ops_of(*ours)
    assert not {"lstm", "gru", "simple_rnn"} & ops_of(*theirs)
    batch = data(3, 5, 2)
    batch[0, 3:] = batch[1, :2] = batch[2, 2] = 0
    results = K.function([given], [*ours, *theirs])([batch])
    for a, b in zip(results[: len(ours)], results[len(ours) :], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_cells_and_activations_of_ones_own_are_looped_over():
    class Mine(L.LSTMCell):
        def call(self, inputs, states, training=None):
            output, new = super().call(inputs, states, training)
            return output * 2, new

    x = Input((4, 2))
    for layer in (L.RNN(Mine(3)), L.LSTM(3, activation=lambda x: K.tanh(x) * 0.5), L.RNN([L.LSTMCell(2), Mine(3)])):
        assert "scan" in ops_of(layer(x))
        assert "lstm" not in ops_of(layer(x))


# --- dropout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.5, 0.2)])
def test_dropout_acts_in_training_only(kind, rates):
    x = Input((4, 3))
    layer = getattr(L, kind)(5, dropout=rates[0], recurrent_dropout=rates[1])
    plain = getattr(L, kind)(5)
    y, z = layer(x), plain(x)
    plain.set_weights(randomize(layer).get_weights())
    batch = data(2, 4, 3)
    test, expected = values([x], [y, z], [batch])
    np.testing.assert_allclose(test, expected, rtol=1e-5, atol=1e-6)
    train = values([x], [y], [batch], training=1)[0]
    assert abs(train - expected).max() > 1e-3
    assert y._uses_learning_phase


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("prepare", [lambda layer: layer, without_ops], ids=["op", "loop"])
def test_the_same_inputs_are_dropped_at_all_steps_and_others_in_the_next_pass(implementation, prepare):
    layer = prepare(L.RNN(L.GRUCell(3, dropout=0.5, implementation=implementation), return_sequences=True))
    x = Input((4, 8))
    y = layer(x)
    kernel, recurrent, bias = layer.get_weights()
    layer.set_weights([abs(kernel), np.zeros_like(recurrent), bias])
    f = K.function([x, K.learning_phase()], [y])
    ones = np.ones((6, 4, 8), "float32")
    first, second = f([ones, 1])[0], f([ones, 1])[0]
    # With constant gates, h = z * h + (1 - z) * candidate: each step adds z times what the one before added.
    added = np.diff(first, axis=1, prepend=0)
    np.testing.assert_allclose(added[:, 1:] * added[:, :1], added[:, :-1] * added[:, 1:2], rtol=1e-3, atol=1e-6)
    assert len({tuple(np.round(row, 4)) for row in first[:, 0]}) > 1, "samples drop different inputs"
    assert abs(first - second).max() > 1e-3


def test_a_dropout_layer_called_twice_draws_twice():
    layer = L.GRU(4, dropout=0.5, recurrent_dropout=0.5)
    x = Input((3, 4))
    a, b = values([x], [layer(x), layer(x)], [data(2, 3, 4)], training=1)
    assert abs(a - b).max() > 1e-3


# --- masks and lengths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unroll", [False, True])
def test_masked_steps_change_nothing(kind, unroll):
    x = Input((5, 2))
    layer = getattr(L, kind)(3, return_sequences=True, return_state=True, unroll=unroll)
    outputs = layer(L.Masking()(x))
    randomize(layer)
    batch = data(2, 5, 2)
    batch[:, 1] = batch[:, 3:] = 0
    y, *states = K.function([x], outputs)([batch])
    short = L.Masking()(given := Input((2, 2)))
    kept, *kept_states = K.function([given], layer(short))([batch[:, [0, 2]]])
    np.testing.assert_allclose(y[:, [0, 2]], kept, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[:, 1], y[:, 0])
    np.testing.assert_array_equal(y[:, 4], y[:, 2])
    for a, b in zip(states, kept_states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    masks = layer.get_output_mask_at(0)
    assert masks[0] is not None
    assert masks[1:] == [None] * len(states)


@pytest.mark.parametrize("prepare", [lambda layer: layer, without_ops], ids=["op", "loop"])
def test_the_number_of_steps_may_be_unknown(prepare):
    x, layer = Input((None, 2)), prepare(L.LSTM(3, return_sequences=True))
    y = layer(x)
    assert K.int_shape(y) == (None, None, 3)
    f = K.function([x], [y])
    batch = data(2, 6, 2)
    np.testing.assert_allclose(f([batch])[0][:, :4], f([batch[:, :4]])[0], rtol=1e-5, atol=1e-6)


def test_going_backwards_is_going_forwards_on_the_reversed_sequence():
    x = Input((4, 2))
    back, forth = L.LSTM(3, go_backwards=True, return_sequences=True), L.LSTM(3, return_sequences=True)
    y, z = back(x), forth(L.Lambda(lambda x: K.reverse(x, 1))(x))
    forth.set_weights(randomize(back).get_weights())
    a, b = K.function([x], [y, z])([data(2, 4, 2)])
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_initial_states_may_be_tensors_of_layers_or_not(kind):
    x = Input((4, 2))
    layer = getattr(L, kind)(3)
    count = 2 if kind == "LSTM" else 1
    arrays = [data(2, 3, seed=5 + i) for i in range(count)]
    inputs = [Input((3,)) for _ in range(count)]
    as_layers = layer(x, initial_state=inputs)
    in_list = layer([x, *inputs])
    as_variables = layer(x, initial_state=[K.variable(a) for a in arrays])
    from_zeros = layer(x)
    randomize(layer)
    results = K.function([x, *inputs], [as_layers, in_list, as_variables, from_zeros])([data(2, 4, 2), *arrays])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)
    np.testing.assert_allclose(results[0], results[2], rtol=1e-6)
    assert abs(results[0] - results[3]).max() > 1e-3
    model = Model([x, *inputs], as_layers)
    again = Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    batch = [data(2, 4, 2), *arrays]
    np.testing.assert_allclose(again.predict_on_batch(batch), results[0], rtol=1e-5, atol=1e-6)


def test_a_decoder_starts_where_an_encoder_ended():
    x, z = Input((5, 2)), Input((3, 2))
    _, h, c = L.LSTM(4, return_state=True)(x)
    decoder = L.LSTM(4, return_sequences=True)
    model = Model([x, z], decoder(z, initial_state=[h, c]))
    whole = L.LSTM(4, return_sequences=True)
    joined = Model(y := Input((8, 2)), whole(y))
    weights = randomize(whole).get_weights()
    model.set_weights([*weights, *weights])
    a, b = data(2, 5, 2), data(2, 3, 2, seed=1)
    expected = joined.predict_on_batch(np.concatenate([a, b], 1))[:, 5:]
    np.testing.assert_allclose(model.predict_on_batch([a, b]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [L.LSTM(3, stateful=True), L.RNN([L.GRUCell(2), L.LSTMCell(3)], stateful=True),
                                   L.Bidirectional(L.GRU(2, stateful=True))],
                         ids=["LSTM", "stack", "Bidirectional"])  # fmt: skip
def test_a_stateful_layer_goes_on_where_it_stopped(layer):
    x = Input(batch_shape=(2, 3, 2))
    model = Model(x, layer(x))
    batch = data(2, 3, 2)
    first, second = model.predict_on_batch(batch), model.predict_on_batch(batch)
    assert abs(first - second).max() > 1e-4
    model.reset_states()
    np.testing.assert_array_equal(model.predict_on_batch(batch), first)


def test_states_inside_a_nested_model_go_on_too():
    inner = Sequential([L.LSTM(3, stateful=True, batch_input_shape=(2, 4, 2)), L.Dense(2)])
    outer = Model(x := Input(batch_shape=(2, 4, 2)), inner(x))
    batch = data(2, 4, 2)
    first, second = outer.predict_on_batch(batch), outer.predict_on_batch(batch)
    assert abs(first - second).max() > 1e-4
    outer.reset_states()
    np.testing.assert_array_equal(outer.predict_on_batch(batch), first)


def test_two_short_batches_are_one_long_one():
    stateful, whole = L.LSTM(3, stateful=True), L.LSTM(3)
    short = Model(a := Input(batch_shape=(2, 3, 2)), stateful(a))
    long = Model(b := Input((6, 2)), whole(b))
    whole.set_weights(stateful.get_weights())
    batch = data(2, 6, 2)
    short.predict_on_batch(batch[:, :3])
    np.testing.assert_allclose(
        short.predict_on_batch(batch[:, 3:]), long.predict_on_batch(batch), rtol=1e-5, atol=1e-6
    )


def test_states_may_be_set():
    layer = L.LSTM(3, stateful=True, return_state=True)
    model = Model(x := Input(batch_shape=(2, 3, 2)), layer(x))
    states = [data(2, 3, seed=4), data(2, 3, seed=5)]
    layer.reset_states(states)
    np.testing.assert_array_equal(K.get_value(layer.states[1]), states[1])
    _, h, c = model.predict_on_batch(data(2, 3, 2))
    np.testing.assert_array_equal(K.get_value(layer.states[0]), h)
    np.testing.assert_array_equal(K.get_value(layer.states[1]), c)
    with pytest.raises(ValueError, match="expects 2 states, but it received 1"):
        layer.reset_states(states[0])
    with pytest.raises(ValueError, match=r"State 1 is incompatible .* expected shape=\(2, 3\), found shape=\(2, 4\)"):
        layer.reset_states([states[0], data(2, 4)])


# --- cells of one's own -----------------------------------------------------------------------------------------------


class Minimal(L.Layer):
    """A cell with a constant: h' = x @ kernel + h + constant."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.step_shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.kernel = self.add_weight(name="kernel", shape=(self.step_shape[-1], self.units), initializer="ones")
        self.built = True

    def call(self, inputs, states, constants=None):
        h = K.dot(inputs, self.kernel) + states[0]
        h = h if constants is None else h + constants[0]
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_constants_reach_the_cell_at_every_step():
    x, c = Input((3, 2)), Input((2,))
    layer = L.RNN(Minimal(2))
    by_name, in_list = layer(x, constants=c), layer([x, c])
    fixed = layer(x, constants=[K.constant([[1.0, 2.0]] * 2)])
    batch = [data(2, 3, 2), np.array([[1, 2], [1, 2]], "float32")]
    expected = batch[0].sum((1, 2))[:, None] + 3 * batch[1]
    for y in K.function([x, c], [by_name, in_list, fixed])(batch):
        np.testing.assert_allclose(y, expected, rtol=1e-5)
    config = layer.get_config()
    assert config["num_constants"] == 1
    again = L.RNN.from_config(config, custom_objects={"Minimal": Minimal})
    assert again.get_config() == config
    model = Model([x, c], in_list)
    copy = Model.from_config(model.get_config(), custom_objects={"Minimal": Minimal})
    np.testing.assert_allclose(copy.predict_on_batch(batch), expected, rtol=1e-5)


def test_constants_and_states_together():
    x, h, c = Input((3, 2)), Input((2,)), Input((2,))
    layer = L.RNN([Minimal(2), Minimal(2)])
    y = layer(x, initial_state=[h, h], constants=c)
    batch = [np.zeros((2, 3, 2), "float32"), data(2, 2), np.zeros((2, 2), "float32")]
    first = [batch[1]] * 3
    second = batch[1]
    for step in first:
        second = second + step.sum(1, keepdims=True)
    np.testing.assert_allclose(K.function([x, h, c], [y])(batch)[0], second, rtol=1e-5, atol=1e-6)


def test_a_plain_object_can_be_a_cell():
    class Sum:
        state_size = 2

        def call(self, inputs, states):
            h = inputs + states[0]
            return h, [h]

        def get_config(self):
            return {}

    x = Input((3, 2))
    layer = L.RNN(Sum(), return_sequences=True)
    np.testing.assert_allclose(
        K.function([x], [layer(x)])([np.ones((1, 3, 2))])[0][0, :, 0], [1, 2, 3], rtol=1e-6
    )
    assert layer.weights == []


# --- weights, configurations ------------------------------------------------------------------------------------------

LAYERS = [
    L.SimpleRNN(3, activation="relu", kernel_regularizer="l2", dropout=0.1, unroll=True),
    L.GRU(3, reset_after=True, implementation=1, recurrent_constraint="max_norm", go_backwards=True),
    L.LSTM(3, unit_forget_bias=False, use_bias=False, activity_regularizer="l1", return_state=True),
    L.RNN([L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(4)], return_sequences=True),
    L.RNN(L.LSTMCell(3, recurrent_dropout=0.2)),
    L.CuDNNGRU(3, return_sequences=True),
    L.CuDNNLSTM(3, kernel_initializer="ones", go_backwards=True),
    L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="sum"),
    L.TimeDistributed(L.Dense(3)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_layer_made_from_its_configuration_is_equal_and_declares_its_shape(layer):
    config = L.serialize(layer)
    again = L.deserialize(config)
    assert L.serialize(again) == config
    assert config["config"].keys() >= inspect.signature(type(layer)).parameters.keys() - {"kwargs", "weights"}
    y = again(Input((5, 2)))
    declared = again.compute_output_shape((None, 5, 2))
    shapes = [K.int_shape(x) for x in y] if isinstance(y, list) else K.int_shape(y)
    assert shapes == declared


def test_stacked_cells_share_no_names():
    layer = L.RNN([L.LSTMCell(3), L.LSTMCell(2)], name="deep")
    layer(Input((5, 4)))
    kinds = ("kernel", "recurrent_kernel", "bias")
    assert [w.name for w in layer.weights] == [f"deep/{k}:0" for k in kinds] + [f"deep/{k}_1:0" for k in kinds]


def test_the_forget_gate_starts_open():
    layer = L.LSTM(2, bias_initializer="zeros")
    layer(Input((3, 2)))
    np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, 1, 1, 0, 0, 0, 0])


def test_an_identity_starts_every_gate():
    layer = L.GRU(2, recurrent_initializer="identity")
    layer(Input((3, 2)))
    np.testing.assert_array_equal(layer.get_weights()[1], np.tile(np.eye(2), (1, 3)))


def test_freezing_the_layer_freezes_its_cell():
    layer = L.LSTM(3, kernel_regularizer="l2")
    layer(Input((3, 2)))
    assert len(layer.trainable_weights) == 3
    assert len(layer.losses) == 1
    layer.trainable = False
    assert (layer.trainable_weights, len(layer.non_trainable_weights)) == ([], 3)


def test_input_dim_and_length_say_the_input_shape():
    assert L.LSTM(3, input_dim=4, input_length=7).batch_input_shape == (None, 7, 4)
    with pytest.warns(UserWarning, match="recurrent_initializer='zeros'"):
        assert L.GRU(3, inner_init="zeros", consume_less="mem").implementation == 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: L.LSTM(0), "`units` must be a positive integer, got 0"),
        (lambda: L.RNN(3), "`cell` should have a `call` method.*3"),
        (lambda: L.RNN(L.Dense(3)), "attribute `state_size`"),
        (lambda: L.RNN([L.Dense(3)]), "All cells must have a `state_size`"),
        (lambda: L.LSTM(3)(Input((4,))), "expected ndim=3, found ndim=2"),
        (lambda: L.LSTM(3, unroll=True)(Input((None, 4))), "Cannot unroll a RNN if the time dimension is undefined"),
        (lambda: L.LSTM(3, stateful=True)(Input((5, 4))), "it needs to know its batch size"),
        (lambda: L.LSTM(3)(Input((5, 4)), initial_state=[Input((3,))]), "not compatible with `cell.state_size`"),
        (lambda: L.LSTM(3)(Input((5, 4)), initial_state=[Input((2,)), Input((2,))]), "not compatible"),
        (lambda: L.GRU(3)(Input((5, 4)), constants=[Input((3,))]), "does not support constants"),
        (lambda: L.GRU(3)([Input((5, 4)), Input((3,))], initial_state=Input((3,))), "give them once"),
        (lambda: L.LSTM(3)(Input((5, 4)), initial_state=[Input((3,)), K.ones((2, 3))]), "mix of Keras tensors"),
    ],
)
def test_wrong_arguments_say_what_was_expected(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_only_stateful_layers_reset_states():
    with pytest.raises(AttributeError, match="Layer must be stateful"):
        L.LSTM(3).reset_states()


def test_cudnn_layers_compute_what_gru_and_lstm_do():
    x = Input((4, 2))
    for ours, theirs in ((L.CuDNNGRU(3), L.GRU(3, reset_after=True)), (L.CuDNNLSTM(3), L.LSTM(3))):
        y, z = ours(x), theirs(x)
        kernel, recurrent, bias = randomize(ours).get_weights()
        halves = bias.reshape(2, -1)
        # cuDNN reads the numbers of each gate as a matrix (units, features), and multiplies from the left.
        kernel = np.hstack([gate.reshape(3, 2).T for gate in np.hsplit(kernel, ours.gates)])
        recurrent = np.hstack([gate.T for gate in np.hsplit(recurrent, ours.gates)])
        theirs.set_weights([kernel, recurrent, halves if type(theirs) is L.GRU else halves.sum(0)])
        a, b = K.function([x], [y, z])([data(2, 4, 2)])
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="Masking is not supported for CuDNN RNNs"):
            ours(L.Masking()(x))
