"""Model kinds: embeddings, recurrent layers and their wrappers."""

from __future__ import annotations

import functools

from kinds import BATCH, GONE, NO_GPU, classes, ids, kind, ops, package
from kinds_plain import chain

STEPS = (5, 4)
TEXT = ids((6,), 11)


@kind([TEXT], [(2,)])
def embedding_mask(keras):
    L = keras.layers
    length = {} if package(keras) == "keras3" else {"input_length": 6}
    return chain(keras, L.InputLayer((6,)), L.Embedding(11, 4, mask_zero=True, **length), L.LSTM(3), L.Dense(2))


@kind([STEPS], [(2,)])
def lstm(keras):
    L = keras.layers
    implementation = {} if package(keras) == "keras3" else {"implementation": 1}
    return chain(keras, L.LSTM(4, return_sequences=True, input_shape=STEPS, **implementation),
                 L.LSTM(3, go_backwards=True, unit_forget_bias=False, use_bias=False), L.Dense(2))  # fmt: skip


def _gru(keras, reset_after):
    L = keras.layers
    return chain(keras, L.GRU(4, reset_after=reset_after, return_sequences=True, input_shape=STEPS),
                 L.GRU(3, reset_after=reset_after, recurrent_activation="hard_sigmoid"), L.Dense(2))  # fmt: skip


@kind([STEPS], [(2,)])
def gru(keras):
    return _gru(keras, reset_after=False)


@kind([STEPS], [(2,)])
def gru_reset_after(keras):
    return _gru(keras, reset_after=True)


@kind([STEPS], [(2,)])
def simple_rnn(keras):
    L = keras.layers
    return chain(keras, L.SimpleRNN(4, activation="relu", input_shape=STEPS), L.Dense(2))


@kind([STEPS], [(2,)])
def stacked_cells(keras):
    L = keras.layers
    cells = [L.LSTMCell(4), L.GRUCell(3, reset_after=True), L.SimpleRNNCell(2)]
    return chain(keras, L.RNN(cells, input_shape=STEPS), L.Dense(2))


def _bidirectional(keras, merge_mode):
    L = keras.layers
    return chain(keras, L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=merge_mode, input_shape=STEPS),
                 L.Bidirectional(L.GRU(2, reset_after=True), merge_mode="concat"), L.Dense(2))  # fmt: skip


@kind([STEPS], [(2,)])
def bidirectional_concat(keras):
    return _bidirectional(keras, "concat")


@kind([STEPS], [(2,)])
def bidirectional_sum(keras):
    return _bidirectional(keras, "sum")


@kind([STEPS], [(2,)])
def bidirectional_mul(keras):
    return _bidirectional(keras, "mul")


@kind([STEPS], [(2,)])
def bidirectional_ave(keras):
    return _bidirectional(keras, "ave")


@kind([STEPS], [(3,), (3,)])
def bidirectional_none(keras):
    L = keras.layers
    x = L.Input(STEPS)
    model = keras.models.Model(x, L.Bidirectional(L.LSTM(3), merge_mode=None)(x))
    model.compile("sgd", ["mse", "mse"])
    return model


@kind([(4, 5, 5, 2)], [(4, 3)])
def time_distributed(keras):
    L = keras.layers
    inner = keras.models.Sequential([L.Flatten(input_shape=(4, 4, 3)), L.Dense(3)])
    return chain(keras, L.TimeDistributed(L.Conv2D(3, 2), input_shape=(4, 5, 5, 2)), L.TimeDistributed(inner),
                 L.TimeDistributed(L.BatchNormalization()))  # fmt: skip


@kind([(3, 5, 5, 2)], [(2,)])
def conv_lstm(keras):
    L = keras.layers
    return chain(keras, L.ConvLSTM2D(3, 2, return_sequences=True, input_shape=(3, 5, 5, 2)),
                 L.ConvLSTM2D(2, 2, padding="same", recurrent_activation="hard_sigmoid"), L.Flatten(),
                 L.Dense(2))  # fmt: skip


@kind([STEPS], [(2,)], absent={"keras2": NO_GPU, "tf_keras": NO_GPU, "keras3": GONE})
def cudnn(keras):
    L = keras.layers
    return chain(keras, L.CuDNNLSTM(4, return_sequences=True, input_shape=STEPS), L.Bidirectional(L.CuDNNGRU(3)),
                 L.Dense(2))  # fmt: skip


@kind([STEPS], [(5, 2)])
def masking(keras):
    L = keras.layers
    return chain(keras, L.Masking(0.0, input_shape=STEPS), L.GRU(3, reset_after=False, return_sequences=True),
                 L.TimeDistributed(L.Dense(2)))  # fmt: skip


@kind([STEPS], [(2,)], stateful=True)
def stateful(keras):
    L = keras.layers
    shape = (BATCH,) + STEPS  # noqa: RUF005
    if package(keras) == "keras3":
        return chain(keras, L.InputLayer(batch_shape=shape), L.LSTM(3, stateful=True), L.Dense(2))
    return chain(keras, L.LSTM(3, stateful=True, batch_input_shape=shape), L.Dense(2))


@kind([STEPS, (3,), (3,)], [(2,)])
def rnn_initial_state(keras):
    L = keras.layers
    x, h, c = L.Input(STEPS), L.Input((3,)), L.Input((3,))
    model = keras.models.Model([x, h, c], L.Dense(2)(L.LSTM(3)(x, initial_state=[h, c])))
    model.compile("sgd", "mse")
    return model


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.7 has no functools.cache
def constant_cell(keras):
    """The class of a cell that adds a projected constant to each step."""

    class ConstantCell(keras.layers.Layer):
        def __init__(self, units, constant_size, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = self.output_size = units
            self.constant_size = constant_size

        def build(self, input_shape):
            # The newer package leaves out the constants' shapes.
            step = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
            self.kernel = self.add_weight(name="kernel", shape=(step[-1], self.units), initializer="glorot_uniform")
            shape = (self.constant_size, self.units)
            self.constant = self.add_weight(name="constant", shape=shape, initializer="ones")
            self.built = True

        def call(self, inputs, states, constants=None):
            constant = constants[0] if isinstance(constants, (list, tuple)) else constants
            product = ops(keras).dot
            output = product(inputs, self.kernel) + product(constant, self.constant) + 0.5 * states[0]
            return output, [output]

        def get_config(self):
            config = super().get_config()
            config.update(units=self.units, constant_size=self.constant_size)
            return config

    return ConstantCell


@kind([STEPS, (3,)], [(2,)], absent={"keras3": "RNN takes no constants there"},
      objects=lambda keras: {"ConstantCell": constant_cell(keras)})  # fmt: skip
def rnn_constants(keras):
    L = keras.layers
    x, constant = L.Input(STEPS), L.Input((3,))
    y = L.RNN(constant_cell(keras)(4, 3))(x, constants=constant)
    model = keras.models.Model([x, constant], L.Dense(2)(y))
    model.compile("sgd", "mse")
    return model


@kind([TEXT, ids((4,), 9)], [(4, 9)])
def encoder_decoder(keras):
    L = keras.layers
    source, target = L.Input((6,)), L.Input((4,))
    _, h, c = L.LSTM(5, return_state=True, name="encoder")(L.Embedding(11, 4)(source))
    decoded, _, _ = L.LSTM(5, return_sequences=True, return_state=True, name="decoder")(
        L.Embedding(9, 4, name="target_embedding")(target), initial_state=[h, c]
    )
    model = keras.models.Model([source, target], L.Dense(9, activation="softmax", name="token")(decoded))
    model.compile("adam", "mse")
    return model


@kind([STEPS], [(5, 2)], sample_weight=(5,),
      absent={"tf_keras": "compile takes no sample_weight_mode", "keras3": "compile takes no sample_weight_mode"},
      )  # fmt: skip
def temporal_weights(keras):
    L = keras.layers
    return chain(keras, L.SimpleRNN(3, return_sequences=True, input_shape=STEPS), L.TimeDistributed(L.Dense(2)),
                 sample_weight_mode="temporal")  # fmt: skip


@kind([TEXT], [classes(3)])
def text_classifier(keras):
    L = keras.layers
    return chain(keras, L.InputLayer((6,)), L.Embedding(11, 6), L.Conv1D(5, 3, activation="relu"),
                 L.GlobalMaxPooling1D(), L.Dense(3, activation="softmax"),
                 optimizer="adam", loss="categorical_crossentropy")  # fmt: skip
