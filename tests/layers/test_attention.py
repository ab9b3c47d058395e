"""Attention, AdditiveAttention and MultiHeadAttention against their formulas in NumPy: masks, weights, options."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import layers as L
from kcore.layers import Input
from kcore.models import Model, model_from_json


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def softmax(scores, visible=True):
    e = np.exp(scores - scores.max(-1, keepdims=True)) * visible
    return e / e.sum(-1, keepdims=True)


def run(layer, *arrays, training=0, **call):
    inputs = [Input(x.shape[1:], dtype=str(x.dtype)) for x in arrays]
    y = layer(inputs, **call) if isinstance(layer, L.Attention) else layer(*inputs, **call)
    randomize(layer)
    results = K.function([*inputs, K.learning_phase()], y if isinstance(y, list) else [y])([*arrays, training])
    return results if isinstance(y, list) else results[0]


def randomize(layer):
    layer.set_weights([data(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])


# --- Attention --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("use_scale", [False, True])
def test_attention_weights_values_by_products_with_keys(use_scale, causal):
    query, value, key = data(2, 3, 4), data(2, 3, 5, seed=1), data(2, 3, 4, seed=2)
    layer = L.Attention(use_scale=use_scale)
    y, weights = run(layer, query, value, key, use_causal_mask=causal, return_attention_scores=True)
    scores = query @ key.transpose(0, 2, 1) * (layer.get_weights()[0] if use_scale else 1)
    expected = softmax(scores, np.tri(3) if causal else True)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(y, expected @ value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run(layer, query, value, key, use_causal_mask=causal), y, rtol=1e-4, atol=1e-5)


def test_concatenated_scores_sum_over_the_features():
    query, value = data(2, 3, 4), data(2, 5, 4, seed=1)
    layer = L.Attention(use_scale=True, score_mode="concat")
    y = run(layer, query, value)
    scale, weight = layer.get_weights()
    scores = weight * np.tanh(scale * (query[:, :, None] + value[:, None])).sum(-1)
    np.testing.assert_allclose(y, softmax(scores) @ value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use_scale", [False, True])
def test_additive_attention(use_scale):
    query, value = data(2, 3, 4), data(2, 5, 4, seed=1)
    layer = L.AdditiveAttention(use_scale=use_scale)
    y = run(layer, query, value)
    scale = layer.get_weights()[0] if use_scale else 1
    scores = (scale * np.tanh(query[:, :, None] + value[:, None])).sum(-1)
    np.testing.assert_allclose(y, softmax(scores) @ value, rtol=1e-4, atol=1e-5)
    assert "score_mode" not in layer.get_config()


def test_masks_hide_values_and_steps_of_the_query():
    query, value = data(2, 3, 4), data(2, 5, 4, seed=1)
    query[0, 2], value[:, 3] = 0, 0
    q, v = Input((3, 4)), Input((5, 4))
    layer = L.Attention()
    y = layer([L.Masking()(q), L.Masking()(v)])
    result, mask = K.function([q, v], [y, layer.output_mask])([query, value])
    expected = softmax(query @ value.transpose(0, 2, 1), np.arange(5) != 3) @ value
    expected[0, 2] = 0
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(mask, query.any(-1))


def test_dropout_of_weights_acts_in_training_only():
    query, value = data(2, 3, 4), np.ones((2, 50, 4), "float32")
    layer = L.Attention(dropout=0.5, seed=3)
    np.testing.assert_allclose(run(layer, query, value, training=0), 1, rtol=1e-5)
    assert abs(run(layer, query, value, training=1) - 1).max() > 0.05
    multi, x = L.MultiHeadAttention(2, 3, dropout=0.5, seed=3), data(2, 20, 4)
    still = run(multi, x, x, training=0)
    np.testing.assert_allclose(run(multi, x, x, training=0), still, rtol=1e-5)
    assert abs(run(multi, x, x, training=1) - still).max() > 1e-2


@pytest.mark.parametrize("inputs", [1, 4])
def test_attention_takes_two_or_three_inputs(inputs):
    with pytest.raises(ValueError, match=r"namely \[query, value\] or \[query, value, key\]"):
        L.Attention()([Input((3, 4)) for _ in range(inputs)] if inputs > 1 else Input((3, 4)))
    with pytest.raises(ValueError, match="Expected one of 'dot', 'concat'. Received: 'sum'"):
        L.Attention(score_mode="sum")


# --- MultiHeadAttention -----------------------------------------------------------------------------------------------


def heads(x, weights, bias=True):
    y = np.einsum("btd,dnh->btnh", x, weights.pop(0))
    return y + weights.pop(0) if bias else y


def attended(weights, query, value, key, visible=True, bias=True):
    """The formula of several heads, with the weights in their order."""
    weights = list(weights)
    q, k, v = heads(query, weights, bias), heads(key, weights, bias), heads(value, weights, bias)
    scores = np.einsum("btnh,bsnh->bnts", q, k) / np.sqrt(q.shape[-1])
    shares = softmax(scores, visible)
    y = np.einsum("btnh,nh...->bt...", np.einsum("bnts,bsnh->btnh", shares, v), weights.pop(0))
    return (y + weights.pop(0) if bias else y), shares


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("output_shape", [None, 3, (2, 3)])
def test_several_heads_are_the_formula(output_shape, bias):
    query, value, key = data(2, 3, 4), data(2, 5, 6, seed=1), data(2, 5, 2, seed=2)
    layer = L.MultiHeadAttention(2, 3, value_dim=4, use_bias=bias, output_shape=output_shape)
    y = run(layer, query, value, key)
    expected, shares = attended(layer.get_weights(), query, value, key, bias=bias)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    y, weights = run(layer, query, value, key, return_attention_scores=True)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights, shares, rtol=1e-4, atol=1e-5)


def test_names_and_order_of_the_weights():
    layer, x = L.MultiHeadAttention(2, 3, value_dim=5, use_gate=True), Input((3, 4))
    layer(x, x)
    described = {w.name.partition("/")[2]: tuple(w.shape) for w in layer.weights}
    assert list(described.items()) == [
        ("query/kernel:0", (4, 2, 3)), ("query/bias:0", (2, 3)), ("key/kernel:0", (4, 2, 3)), ("key/bias:0", (2, 3)),
        ("gate/kernel:0", (4, 2, 5)), ("gate/bias:0", (2, 5)), ("value/kernel:0", (4, 2, 5)),
        ("value/bias:0", (2, 5)), ("attention_output/kernel:0", (2, 5, 4)), ("attention_output/bias:0", (4,)),
    ]  # fmt: skip


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize(
    ("options", "call", "visible"),
    [
        ({}, {"use_causal_mask": True}, np.tri(4)),
        ({"sliding_window": 2}, {}, abs(np.subtract.outer(range(4), range(4))) < 2),
        ({"sliding_window": 2}, {"use_causal_mask": True}, np.tri(4) - np.tri(4, k=-2)),
        ({}, {"attention_mask": np.eye(4, dtype=bool)[None]}, np.eye(4)),
    ],
)
def test_hidden_positions_have_no_weight(options, call, visible, scores):
    x = data(2, 4, 3)
    layer = L.MultiHeadAttention(2, 3, **options)
    if scores:
        y, weights = run(layer, x, x, **call, return_attention_scores=True)
        assert (weights[:, :, visible == 0] == 0).all()
    else:
        y = run(layer, x, x, **call)
    np.testing.assert_allclose(y, attended(layer.get_weights(), x, x, x, visible)[0], rtol=1e-4, atol=1e-4)


def test_masks_that_inputs_carry_hide_positions():
    query, value = data(2, 3, 4), data(2, 5, 4, seed=1)
    query[0, 2], value[:, 3] = 0, 0
    q, v = Input((3, 4)), Input((5, 4))
    layer = L.MultiHeadAttention(2, 3)
    y = layer(L.Masking()(q), L.Masking()(v))
    randomize(layer)
    result, mask = K.function([q, v], [y, layer.output_mask])([query, value])
    expected, _ = attended(layer.get_weights(), query, value, value, np.arange(5) != 3)
    np.testing.assert_allclose(result[:, :2], expected[:, :2], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(mask, query.any(-1))


@pytest.mark.parametrize("axes", [(1, 2), (2,), 1])
def test_several_axes_may_be_attended_over(axes):
    x = data(2, 2, 3, 4)
    layer = L.MultiHeadAttention(2, 3, attention_axes=axes)
    y, weights = run(layer, x, x, return_attention_scores=True)
    if axes == (1, 2):
        flat = x.reshape(2, 6, 4)
        assert weights.shape == (2, 2, 2, 3, 2, 3)
    else:
        flat = (x if axes == (2,) else x.swapaxes(1, 2)).reshape(-1, 3 if axes == (2,) else 2, 4)
    expected = attended(layer.get_weights(), flat, flat, flat)[0]
    if axes == 1:
        expected = expected.reshape(2, 3, 2, 4).swapaxes(1, 2)
    np.testing.assert_allclose(y, expected.reshape(x.shape), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(layer, x, x), y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("with_mask", [False, True])
def test_a_model_with_attention_is_read_back(with_mask):
    q, v, hidden = Input((3, 4)), Input((3, 4)), Input((3, 3), dtype="bool")
    call = {"attention_mask": hidden} if with_mask else {}
    y = L.MultiHeadAttention(2, 3, name="heads")(q, v, **call, use_causal_mask=True)
    model = Model([q, v, hidden] if with_mask else [q, v], L.Attention()([y, v]))
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert again.get_layer("heads").get_config() == model.get_layer("heads").get_config()
    arrays = [data(2, 3, 4), data(2, 3, 4, seed=1), np.eye(3, dtype=bool)[None].repeat(2, 0)]
    arrays = arrays if with_mask else arrays[:2]
    np.testing.assert_allclose(again.predict(arrays), model.predict(arrays), rtol=1e-5)
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.train_on_batch(arrays, data(2, 3, 4))
    assert sum(abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)) > 3


def test_penalties_of_the_heads_are_losses():
    x = Input((3, 4))
    layer = L.MultiHeadAttention(2, 3, kernel_regularizer="l2", activity_regularizer="l1")
    model = Model(x, layer(x, x))
    assert len(model.losses) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0, "key_dim": 2}, "`num_heads` must be a positive integer. Received: num_heads=0"),
        ({"num_heads": 2, "key_dim": 2.5}, "`key_dim` must be a positive integer"),
        ({"num_heads": 2, "key_dim": 2, "sliding_window": 0}, "`sliding_window` must be a positive integer"),
        ({"num_heads": 2, "key_dim": 2, "attention_axes": "1"}, "must be an int, list, or tuple"),
        ({"num_heads": 2, "key_dim": 2, "flash_attention": True, "dropout": 0.1}, "dropout is not supported"),
    ],
)
def test_arguments_of_heads_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        L.MultiHeadAttention(**arguments)


def test_value_and_key_have_the_same_steps():
    with pytest.raises(ValueError, match="All dimensions of `value` and `key`, except the last one, must be equal"):
        L.MultiHeadAttention(2, 3)(Input((3, 4)), Input((5, 4)), Input((6, 4)))
    with pytest.raises(ValueError, match="called on a query and a value"):
        L.MultiHeadAttention(2, 3)(Input((3, 4)))
