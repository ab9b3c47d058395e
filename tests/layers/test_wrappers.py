"""TimeDistributed, Bidirectional and ConvLSTM2D: what they compute, their masks, states, losses and updates."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import layers as L
from kcore.layers import Input
from kcore.models import Model, Sequential


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def compute(inputs, outputs, *arrays):
    inputs = inputs if isinstance(inputs, list) else [inputs]
    return K.function(inputs, outputs if isinstance(outputs, list) else [outputs])(list(arrays))


# --- TimeDistributed --------------------------------------------------------------------------------------------------

INSIDE = {
    "Dense": (lambda: L.Dense(2, activation="tanh"), (3,)),
    "Conv2D": (lambda: L.Conv2D(2, 2), (4, 4, 2)),
    "LSTM": (lambda: L.LSTM(2), (3, 2)),
    "Bidirectional": (lambda: L.Bidirectional(L.GRU(2, return_sequences=True)), (3, 2)),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(2)), (3, 2)),
    "Model": (lambda: Sequential([L.Dense(2, input_shape=(3,)), L.Activation("relu")]), (3,)),
}


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize("kind", INSIDE)
def test_a_time_distributed_layer_is_the_layer_at_each_step(kind, batch_size):
    make, shape = INSIDE[kind]
    inside = make()
    wrapper = L.TimeDistributed(inside)
    x = Input(batch_shape=(batch_size, 3, *shape))
    y = wrapper(x)
    assert K.int_shape(y) == wrapper.compute_output_shape((batch_size, 3, *shape))
    batch = data(2, 3, *shape)
    step = Input(batch_shape=(None, *shape))
    alone = inside(step)
    expected = np.stack([compute(step, alone, batch[:, t])[0] for t in range(3)], 1)
    np.testing.assert_allclose(compute(x, y, batch)[0], expected, rtol=1e-5, atol=1e-6)
    assert wrapper.get_weights()[0].shape == inside.get_weights()[0].shape


def test_steps_and_inner_sizes_may_be_unknown():
    x = Input((None, None, None, 2))
    conv = L.TimeDistributed(L.Conv2D(3, 2, padding="same"))
    y = conv(x)
    assert K.int_shape(y) == (None, None, None, None, 3)
    assert compute(x, y, data(2, 3, 4, 5, 2))[0].shape == (2, 3, 4, 5, 3)


def test_a_time_distributed_layer_hands_masks_to_the_layer_inside():
    x = Input((3, 4), dtype="int32")
    words = L.TimeDistributed(L.Embedding(5, 2, mask_zero=True))
    read = L.TimeDistributed(L.LSTM(3))
    y = read(words(x))
    batch = np.array([[[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 4]]])
    mask = words.get_output_mask_at(0)
    np.testing.assert_array_equal(compute(x, mask, batch)[0], batch != 0)
    np.testing.assert_array_equal(compute(x, read.get_output_mask_at(0), batch)[0], [[True, True, True]])
    short = Input((2, 2))
    first = read.layer(short)
    whole = compute(x, y, batch)[0][0, 0]
    embedded = words.get_weights()[0][batch[:, 0, :2]]
    np.testing.assert_allclose(whole, compute(short, first, embedded)[0][0], rtol=1e-5, atol=1e-6)


def test_losses_and_updates_of_the_layer_inside_belong_to_the_inputs_of_the_wrapper():
    x = Input((3, 4))
    dense = L.TimeDistributed(L.Dense(2, kernel_regularizer="l1", activity_regularizer="l2"))
    norm = L.TimeDistributed(L.BatchNormalization())
    y = norm(dense(x))
    model = Model(x, y)
    assert len(model.losses) == 2
    assert len(dense.get_losses_for(x)) == 1
    assert len(dense.get_losses_for(None)) == 1
    assert len(norm.get_updates_for(norm.input)) == 2
    assert len(model.updates) == 2
    batch = data(2, 3, 4)
    penalties = compute(x, model.losses, batch)
    activity = 0.01 * (compute(x, dense.output, batch)[0] ** 2).sum()
    assert any(np.isclose(p, activity, rtol=1e-4) for p in penalties)
    model.compile("sgd", "mse")
    before = norm.get_weights()[2]
    model.train_on_batch(batch, data(2, 3, 2))
    assert abs(norm.get_weights()[2] - before).max() > 0


@pytest.mark.parametrize(("batch_size", "times"), [(None, 1), (2, 2)])
def test_activity_penalties_count_as_in_keras_2(batch_size, times):
    x = Input(batch_shape=(batch_size, 3, 4))
    y = L.TimeDistributed(L.Dense(2, activity_regularizer="l2"))(x)
    penalties = compute(x, [y, *Model(x, y).losses], data(2, 3, 4))
    np.testing.assert_allclose(sum(penalties[1:]), times * 0.01 * (penalties[0] ** 2).sum(), rtol=1e-5)


def test_dropout_inside_acts_in_training_only():
    x = Input((3, 4))
    y = L.TimeDistributed(L.Dropout(0.5))(x)
    assert y._uses_learning_phase
    f = K.function([x, K.learning_phase()], [y])
    ones = np.ones((2, 3, 4))
    np.testing.assert_array_equal(f([ones, 0])[0], ones)
    assert set(np.unique(f([ones, 1])[0])) == {0, 2}


def test_a_sequence_is_needed():
    with pytest.raises(ValueError, match=r"at least three dimensions, .*; received shape \(None, 4\)"):
        L.TimeDistributed(L.Dense(3))(Input((4,)))


# --- Bidirectional ----------------------------------------------------------------------------------------------------


def both_ways(wrapper, x):
    """The outputs of the two layers inside, in the order of the sequence."""
    forth, back = wrapper.forward_layer.call(x), wrapper.backward_layer.call(x)
    return forth, K.reverse(back, 1) if wrapper.return_sequences else back


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize(("mode", "merge"), [
    ("concat", lambda a, b: np.concatenate([a, b], -1)), ("sum", np.add), ("mul", np.multiply),
    ("ave", lambda a, b: (a + b) / 2), (None, lambda a, b: np.stack([a, b])),
])  # fmt: skip
def test_merge_modes(mode, merge, return_sequences):
    x = Input((4, 2))
    wrapper = L.Bidirectional(L.LSTM(3, return_sequences=return_sequences), merge_mode=mode)
    y = wrapper(x)
    batch = data(2, 4, 2)
    expected = merge(*compute(x, list(both_ways(wrapper, x)), batch))
    result = compute(x, y, batch)
    np.testing.assert_allclose(result if mode is None else result[0], expected, rtol=1e-5, atol=1e-6)


def test_the_backward_layer_reads_from_the_end():
    x = Input((4, 2))
    wrapper = L.Bidirectional(L.SimpleRNN(3, return_sequences=True), merge_mode=None)
    forth, back = wrapper(x)
    weights = wrapper.get_weights()
    wrapper.set_weights(weights[:3] * 2)
    batch = data(2, 4, 2)
    a, b = compute(x, [forth, back], batch)
    c, d = compute(x, [forth, back], batch[:, ::-1])
    np.testing.assert_allclose(a, d[:, ::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(b, c[:, ::-1], rtol=1e-5, atol=1e-6)


def test_states_masks_and_shapes_of_both_directions():
    x = L.Masking()(given := Input((4, 2)))
    wrapper = L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True))
    outputs = wrapper(x)
    assert [K.int_shape(y) for y in outputs] == [(None, 4, 6)] + [(None, 3)] * 4
    assert wrapper.compute_output_shape((None, 4, 2)) == [(None, 4, 6)] + [(None, 3)] * 4
    masks = wrapper.get_output_mask_at(0)
    assert masks[0] is not None
    assert masks[1:] == [None] * 4
    batch = data(2, 4, 2)
    batch[:, 2:] = 0
    y, h, _, h_back, _ = compute(given, outputs, batch)
    np.testing.assert_allclose(y[:, 1, :3], h, rtol=1e-6)
    np.testing.assert_allclose(y[:, 0, 3:], h_back, rtol=1e-6)


def test_initial_states_are_shared_out():
    x, states = Input((4, 2)), [Input((3,)) for _ in range(2)]
    wrapper = L.Bidirectional(L.GRU(3), merge_mode=None)
    y = wrapper(x, initial_state=states)
    in_list = wrapper([x, *states])
    forth = wrapper.forward_layer.call(x, initial_state=[states[0]])
    back = wrapper.backward_layer.call(x, initial_state=[states[1]])
    a, b, c, d, e, f = compute([x, *states], [*y, *in_list, forth, back], data(2, 4, 2), data(2, 3), data(2, 3, seed=1))
    for first, second in ((a, e), (b, f), (c, e), (d, f)):
        np.testing.assert_allclose(first, second, rtol=1e-6)
    model = Model([x, *states], y)
    again = Model.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    with pytest.raises(ValueError, match="as many for each direction"):
        wrapper(x, initial_state=states[:1])


def test_weights_losses_and_freezing_cover_both_directions():
    x = Input((4, 2))
    wrapper = L.Bidirectional(L.GRU(3, kernel_regularizer="l1", activity_regularizer="l2"), name="both")
    model = Model(x, wrapper(x))
    assert [w.name.split("/")[1] for w in wrapper.weights] == ["forward_gru_1"] * 3 + ["backward_gru_1"] * 3
    assert len(model.losses) == 3
    assert len(model.trainable_weights) == 6
    wrapper.trainable = False
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (0, 6)


def test_updates_of_stateful_layers_belong_to_the_inputs_of_the_wrapper():
    x = Input(batch_shape=(2, 4, 2))
    wrapper = L.Bidirectional(L.LSTM(3, stateful=True))
    wrapper(x)
    assert len(wrapper.get_updates_for(x)) == len(wrapper.updates) == 4
    assert wrapper.get_updates_for(None) == []


def test_initial_weights():
    weights = [data(2, 9), data(3, 9), data(9)] * 2
    wrapper = L.Bidirectional(L.GRU(3), weights=weights)
    wrapper(Input((4, 2)))
    for a, b in zip(wrapper.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: L.TimeDistributed(3), "TimeDistributed expects a layer to wrap, got 3"),
        (lambda: L.Bidirectional(L.Dense(3)), "Bidirectional expects a recurrent layer"),
    ],
)
def test_only_fitting_layers_are_wrapped(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_unknown_merge_mode():
    with pytest.raises(ValueError, match="Merge mode should be one of .*; got 'max'"):
        L.Bidirectional(L.LSTM(3), merge_mode="max")


def test_custom_layers_inside_are_found_by_name():
    class Mine(L.Dense):
        pass

    wrapper = L.TimeDistributed(Mine(3))
    again = L.deserialize(L.serialize(wrapper), custom_objects={"Mine": Mine})
    assert type(again.layer) is Mine


# --- ConvLSTM2D -------------------------------------------------------------------------------------------------------

FIRST, LAST = "channels_first", "channels_last"


@pytest.mark.parametrize("options", [
    {"strides": 2, "return_sequences": True}, {"padding": "same", "return_state": True, "go_backwards": True},
    {"dilation_rate": 2, "dropout": 0.1, "recurrent_dropout": 0.1}, {"use_bias": False, "unit_forget_bias": False},
])  # fmt: skip
def test_a_conv_lstm_reads_both_data_formats_alike(options):
    batch = data(2, 3, 5, 6, 2)
    results = []
    for data_format in (LAST, FIRST):
        arrays = batch if data_format == LAST else np.moveaxis(batch, -1, 2)
        layer = L.ConvLSTM2D(3, (2, 3), data_format=data_format, **options)
        again = L.deserialize(L.serialize(layer))
        assert L.serialize(again) == L.serialize(layer)
        x = Input(arrays.shape[1:])
        y = again(x)
        outputs = y if isinstance(y, list) else [y]
        declared = again.compute_output_shape((None, *arrays.shape[1:]))
        assert [K.int_shape(t) for t in outputs] == (declared if isinstance(declared, list) else [declared])
        start = [data(*w.shape, seed=i) * 0.3 for i, w in enumerate(again.get_weights())]
        weights = results[0][0] if results else start
        again.set_weights(weights)
        values = compute(x, outputs, arrays)
        values = [v if data_format == LAST else np.moveaxis(v, -3, -1) for v in values]
        results.append((weights, values))
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_conv_lstm_on_single_pixels_is_an_lstm():
    images, steps = Input((4, 1, 1, 2)), Input((4, 2))
    conv, plain = L.ConvLSTM2D(3, 1, recurrent_activation="sigmoid"), L.LSTM(3)
    y, z = conv(images), plain(steps)
    plain.set_weights([w.reshape(w.shape[-2:]) if w.ndim > 1 else w for w in conv.get_weights()])
    batch = data(2, 4, 2)
    a, b = compute([images, steps], [y, z], batch.reshape(2, 4, 1, 1, 2), batch)
    np.testing.assert_allclose(a[:, 0, 0], b, rtol=1e-5, atol=1e-6)


def test_a_stateful_conv_lstm_goes_on_and_can_be_reset():
    layer = L.ConvLSTM2D(3, 2, stateful=True)
    model = Model(x := Input(batch_shape=(2, 3, 4, 5, 1)), layer(x))
    batch = data(2, 3, 4, 5, 1)
    first, second = model.predict_on_batch(batch), model.predict_on_batch(batch)
    assert abs(first - second).max() > 1e-4
    model.reset_states()
    np.testing.assert_array_equal(model.predict_on_batch(batch), first)
    layer.reset_states([data(2, 3, 4, 3), data(2, 3, 4, 3)])
    with pytest.raises(ValueError, match=r"expected shape=\(2, 3, 4, 3\), found shape=\(2, 3\)"):
        layer.reset_states([data(2, 3), data(2, 3)])


def test_conv_lstm_dropout_and_initial_states():
    x, states = Input((3, 4, 4, 1)), [Input((3, 3, 2)) for _ in range(2)]
    layer = L.ConvLSTM2D(2, 2, dropout=0.5, recurrent_dropout=0.5)
    y = layer(x, initial_state=states)
    arrays = [data(2, 3, 4, 4, 1), data(2, 3, 3, 2), data(2, 3, 3, 2, seed=1)]
    f = K.function([x, *states, K.learning_phase()], [y])
    test = f([*arrays, 0])[0]
    np.testing.assert_array_equal(f([*arrays, 0])[0], test)
    assert abs(f([*arrays, 1])[0] - test).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: L.ConvLSTM2D(3, 3, unroll=True), TypeError, "Unrolling isn't possible"),
        (lambda: L.ConvLSTM2D(3, 3)(Input((4, 4, 1))), ValueError, "expected ndim=5, found ndim=4"),
        (lambda: L.ConvLSTM2D(3, 3, stateful=True)(Input((2, 4, 4, 1))), ValueError, "needs to know its batch size"),
        (lambda: L.ConvLSTM2D(3, 3)(Input((2, 4, 4, None))), ValueError, "channel dimension"),
        (lambda: L.ConvLSTM2D(3, (1, 2, 3)), ValueError, "`kernel_size` argument must be a tuple of 2 integers"),
    ],
)
def test_wrong_arguments_of_conv_lstm(make, error, text):
    with pytest.raises(error, match=text):
        make()
