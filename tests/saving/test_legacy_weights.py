"""Weights in the orders of Keras 1, of other backends and of cuDNN become those of the layers here."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import layers
from kcore.saving.keras2.conversion import convert_weights, flip_kernel


def stirred(layer, shape):
    """A built layer with random weights, and the model around it."""
    model = kcore.models.Sequential([layer])
    model.build((None, *shape))
    rng = np.random.default_rng(3)
    layer.set_weights([rng.uniform(-1, 1, w.shape).astype("float32") for w in layer.get_weights()])
    return model


def split_gates(weights, order):
    """Kernels and biases of gates one by one, as Keras 1 had them."""
    gates = len(order)
    parts = [np.split(w, gates, axis=-1) for w in weights]
    by_gate = {gate: [part[i] for part in parts] for i, gate in enumerate(order)}
    return [array for gate in range(gates) for array in by_gate[gate]]


OLD = {
    "conv2d": (lambda: layers.Conv2D(4, (3, 2), data_format="channels_first"), (2, 6, 6),
               lambda w: [w[0].transpose(3, 2, 0, 1), w[1]]),
    "conv2d_last": (lambda: layers.Conv2D(4, (3, 2)), (6, 6, 2), lambda w: w),
    "conv3d": (lambda: layers.Conv3D(4, (3, 2, 1), data_format="channels_first"), (2, 6, 6, 3),
               lambda w: [w[0].transpose(4, 3, 0, 1, 2), w[1]]),
    "conv1d": (lambda: layers.Conv1D(4, 3), (6, 2), lambda w: [w[0][:, None], w[1]]),
    "conv1d_first": (lambda: layers.Conv1D(4, 3), (6, 2), lambda w: [w[0][:, None].transpose(3, 2, 0, 1), w[1]]),
    "transposed": (lambda: layers.Conv2DTranspose(4, (3, 2), data_format="channels_first"), (2, 5, 5),
                   lambda w: [w[0].transpose(2, 3, 0, 1), w[1]]),
    "transposed_last": (lambda: layers.Conv2DTranspose(4, (3, 2)), (5, 5, 2),
                        lambda w: [w[0].transpose(0, 1, 3, 2), w[1]]),
    "separable": (lambda: layers.SeparableConv2D(4, (3, 2), depth_multiplier=3, data_format="channels_first"),
                  (2, 6, 6), lambda w: [w[0].transpose(3, 2, 0, 1), w[1].transpose(3, 2, 0, 1), w[2]]),
    "lstm": (lambda: layers.LSTM(3), (4, 2), lambda w: split_gates(w, (0, 2, 1, 3))),
    "lstm_joined": (lambda: layers.LSTM(3), (4, 2), lambda w: w),
    "gru": (lambda: layers.GRU(3), (4, 2), lambda w: split_gates(w, (0, 1, 2))),
    "conv_lstm": (lambda: layers.ConvLSTM2D(3, (2, 3)), (2, 5, 5, 2), lambda w: split_gates(w, (0, 2, 1, 3))),
    "conv_lstm_first": (
        lambda: layers.ConvLSTM2D(3, (2, 3), data_format="channels_first"), (2, 2, 5, 5),
        lambda w: [a.transpose(3, 2, 0, 1) if a.ndim == 4 else a for a in split_gates(w, (0, 2, 1, 3))]),
    "bidirectional": (lambda: layers.Bidirectional(layers.LSTM(3)), (4, 2),
                      lambda w: split_gates(w[:3], (0, 2, 1, 3)) + split_gates(w[3:], (0, 2, 1, 3))),
    "distributed": (lambda: layers.TimeDistributed(layers.Conv1D(4, 3)), (2, 6, 2), lambda w: [w[0][:, None], w[1]]),
    "nested": (lambda: kcore.models.Sequential([layers.BatchNormalization(input_shape=(4, 2)), layers.GRU(3),
                                                layers.Dense(2)]), (4, 2),
               lambda w: [*w[:2], *split_gates(w[2:5], (0, 1, 2)), *w[5:]]),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_keras_1_had_them_in_another_order(name):
    make, shape, old = OLD[name]
    layer = make()
    stirred(layer, shape)
    weights = [kcore.backend.get_value(w) for w in layer.weights]  # as files have them, of nested models too
    for converted, weight in zip(convert_weights(layer, old(weights), "1.2.2", None), weights, strict=True):
        np.testing.assert_array_equal(converted, weight)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_last", "conv3d", "transposed", "conv_lstm", "separable", "nested"])
def test_only_convolutions_of_backends_that_turn_kernels_are_turned(name):
    make, shape, _ = OLD[name]
    layer = make()
    stirred(layer, shape)
    weights = [kcore.backend.get_value(w) for w in layer.weights]
    kernels = {"conv_lstm": 2, "separable": 0, "nested": 0}.get(name, 1)
    turned = [flip_kernel(w) if i < kernels else w for i, w in enumerate(weights)]
    for backend, stored in (("theano", turned), ("cntk", weights), (None, weights), ("unknown", weights)):
        for converted, weight in zip(convert_weights(layer, stored, "2.1.0", backend), weights, strict=True):
            np.testing.assert_array_equal(converted, weight)


def wrapped(kind, wrapper):
    inner = getattr(layers, kind)(3, **({"reset_after": True} if kind == "GRU" else {}))
    if wrapper == "bidirectional":
        return layers.Bidirectional(inner)
    return kcore.models.Sequential([layers.Dense(2, input_shape=(4, 2)), inner]) if wrapper == "nested" else inner


@pytest.mark.parametrize("wrapper", ["plain", "bidirectional", "nested"])
@pytest.mark.parametrize(("kind", "other"), [("LSTM", "CuDNNLSTM"), ("GRU", "CuDNNGRU")])
def test_cudnn_and_plain_layers_load_each_others_weights(tmp_path, kind, other, wrapper):
    x = np.random.default_rng(0).uniform(-1, 1, (3, 4, 2)).astype("float32")
    for one, two in ((kind, other), (other, kind)):
        model = stirred(wrapped(one, wrapper), (4, 2))
        again = stirred(wrapped(two, wrapper), (4, 2))
        model.save_weights(tmp_path / "w.h5")
        again.load_weights(tmp_path / "w.h5")
        np.testing.assert_allclose(again.predict(x), model.predict(x), atol=2e-6)


def test_a_gru_with_its_reset_gate_elsewhere_is_refused(tmp_path):
    model = stirred(layers.CuDNNGRU(3), (4, 2))
    model.save_weights(tmp_path / "w.h5")
    other = stirred(layers.GRU(3, reset_after=False), (4, 2))
    with pytest.raises(ValueError, match=r"reset_after=False.*is not|computes something else"):
        other.load_weights(tmp_path / "w.h5")


def test_biases_of_no_layout_are_refused():
    layer = layers.LSTM(3)
    stirred(layer, (4, 2))
    kernel, recurrent, _ = layer.get_weights()
    with pytest.raises(ValueError, match="bias"):
        convert_weights(layer, [kernel, recurrent, np.zeros(5, "float32")], "2.3.1", None)
