"""Writes `keras1_files/`: models of the real Keras 1.2.2, with data and predictions. Not run by tests.

    python3.7 -m venv k1 && k1/bin/pip install keras==1.2.2 theano==1.0.5 "numpy<1.19" "scipy<1.5" h5py==2.10.0
    KERAS_BACKEND=theano THEANO_FLAGS=mode=FAST_COMPILE,floatX=float32,cxx= k1/bin/python make_keras1_files.py FOLDER

Without a compiler Theano predicts with all but convolutions; for those, `keras2` in the .npz is what Keras 2.3.1
predicted with the same weights (it flips no kernels here, since files of Keras 1 do not say their backend).
"""

from __future__ import annotations

import os
import sys

import keras
import numpy as np
import theano.ifelse  # noqa: F401 - Theano 1.0 does not import it by itself
from keras import layers as L
from keras.layers import Input, Merge, merge


def chain(*layers):
    model = keras.models.Sequential()
    for layer in layers:
        model.add(layer)
    return model


def dense():
    return chain(
        L.Dense(6, input_dim=5, init="he_normal", activation="tanh", W_regularizer="l2", b_constraint="nonneg"),
        L.Dropout(0.2), L.BatchNormalization(), L.Highway(activation="tanh"), L.MaxoutDense(4, nb_feature=2),
        L.GaussianNoise(0.1), L.PReLU(), L.Dense(3, bias=False, activation="softmax"),
    )  # fmt: skip


def conv_th():
    return chain(
        L.Convolution2D(4, 3, 2, border_mode="same", dim_ordering="th", activation="relu", input_shape=(2, 6, 6)),
        L.MaxPooling2D((2, 2), dim_ordering="th"), L.ZeroPadding2D((1, 1), dim_ordering="th"),
        L.AtrousConvolution2D(3, 2, 2, atrous_rate=(2, 2), dim_ordering="th"),
        L.UpSampling2D((2, 2), dim_ordering="th"), L.Flatten(), L.Dense(2),
    )  # fmt: skip


def conv_tf():
    return chain(L.Convolution2D(4, 3, 2, border_mode="valid", dim_ordering="tf", input_shape=(6, 6, 2)),
                 L.AveragePooling2D(dim_ordering="tf"), L.SpatialDropout2D(0.1, dim_ordering="tf"), L.Flatten(),
                 L.Dense(2))  # fmt: skip


def conv1d():
    return chain(L.Convolution1D(4, 3, border_mode="same", input_shape=(6, 3)), L.MaxPooling1D(2),
                 L.Convolution1D(3, 2), L.GlobalMaxPooling1D(), L.Dense(2))  # fmt: skip


def deconv():
    return chain(L.Deconvolution2D(3, 2, 3, output_shape=(None, 3, 5, 6), dim_ordering="th", input_shape=(2, 4, 4)),
                 L.Flatten(), L.Dense(2))  # fmt: skip


def local():
    return chain(L.LocallyConnected1D(3, 2, input_shape=(5, 3)), L.Flatten(), L.Dense(2))


def lstm():
    return chain(L.LSTM(4, input_shape=(5, 3), return_sequences=True, consume_less="cpu", forget_bias_init="one"),
                 L.LSTM(3, consume_less="gpu"), L.Dense(2))  # fmt: skip


def gru():
    return chain(L.Masking(0.0, input_shape=(5, 3)), L.GRU(4, return_sequences=True),
                 L.SimpleRNN(3, return_sequences=True, consume_less="mem"), L.TimeDistributed(L.Dense(3)),
                 L.GRU(3, consume_less="gpu"), L.Dense(2))  # fmt: skip


def bidirectional():
    return chain(L.Embedding(9, 4, input_length=5, mask_zero=True), L.Bidirectional(L.LSTM(3, return_sequences=True)),
                 L.Bidirectional(L.GRU(2), merge_mode="sum"), L.Dense(2))  # fmt: skip


def nested():
    inner = chain(L.LSTM(3, input_shape=(5, 3), return_sequences=True), L.TimeDistributed(L.Dense(2)),
                  L.BatchNormalization(), L.GRU(2))  # fmt: skip
    x = Input((5, 3))
    return keras.models.Model(x, L.Dense(2)(inner(x)))


def time_distributed():
    return chain(L.TimeDistributed(L.Convolution2D(2, 2, 2, dim_ordering="th"), input_shape=(2, 2, 4, 4)),
                 L.TimeDistributed(L.Flatten()), L.TimeDistributedDense(3), L.LSTM(2), L.Dense(2))  # fmt: skip


def merge_modes():
    a, b = Input((4,)), Input((4,))
    parts = [merge([a, b], mode=mode) for mode in ("sum", "mul", "ave", "max", "concat")]
    parts.append(merge([a, b], mode="dot", dot_axes=1))
    return keras.models.Model([a, b], L.Dense(2)(merge(parts, mode="concat")))


def merge_branches():
    left = chain(L.Dense(3, input_dim=4), L.Activation("tanh"))
    right = chain(L.Dense(2, input_dim=5), L.BatchNormalization())
    return chain(Merge([left, right], mode="concat"), L.Dense(4, activation="relu"), L.Dense(2))


#: Kinds with their optimizers; None: not trained.
KINDS = {
    dense: "adam", conv_th: None, conv_tf: None, conv1d: None, deconv: None, local: None, lstm: "rmsprop",
    gru: "adagrad", bidirectional: None, nested: "adadelta", time_distributed: None, merge_modes: "sgd",
    merge_branches: "nadam",
}  # fmt: skip


def write(folder, build, optimizer):
    np.random.seed(0)  # noqa: NPY002 - Keras draws from it
    model, rng = build(), np.random.RandomState(1)
    model.set_weights([(w + 0.2 * rng.uniform(0, 1, w.shape)).astype(w.dtype) for w in model.get_weights()])
    model.compile(optimizer or "sgd", "mse", metrics=["mae"])
    inputs = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    x = [rng.uniform(-1, 1, (4,) + shape[1:]).astype("float32") for shape in inputs]  # noqa: RUF005
    if build is bidirectional:
        x = [rng.randint(1, 9, (4, 5)) * (np.arange(5) < [[5], [3], [4], [5]])]
    y = rng.uniform(-1, 1, (4,) + model.output_shape[1:]).astype("float32")  # noqa: RUF005
    x_of = x if len(x) > 1 else x[0]
    arrays = {"x%d" % i: one for i, one in enumerate(x)}
    if optimizer:
        for _ in range(2):
            model.train_on_batch(x_of, y)
    if not build.__name__.startswith("conv"):
        arrays["predictions"] = model.predict(x_of)
    place = os.path.join(folder, build.__name__)
    model.save(place + ".h5")
    if optimizer and build is not dense:  # which has dropout
        arrays.update(y=y, losses=np.array([float(model.train_on_batch(x_of, y)[0]) for _ in range(3)]))
    np.savez_compressed(place + ".npz", **arrays)


if __name__ == "__main__":
    for build, optimizer in KINDS.items():
        write(sys.argv[1], build, optimizer)
