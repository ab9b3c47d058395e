"""Models of many kinds, as functions of the package, and the summaries that Keras 2.3.1 printed of them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from as_keras import Descriptions

MODELS = Descriptions()


def sequential(k, *layers, **kwargs):
    return k.models.Sequential(list(layers), **kwargs)


# --- chains -------------------------------------------------------------------------------------------------------


@MODELS
def chain(k):
    L = k.layers
    return sequential(k, L.Dense(4, input_shape=(3,)), L.Activation("relu"), L.Dropout(0.5), L.Dense(1000))


@MODELS
def long_names(k):
    first = k.layers.Dense(4, input_dim=3, name="the_first_layer_of_them_all_with_a_long_name")
    return sequential(k, first, k.layers.Dense(1), name="mine")


@MODELS
def fixed_batch(k):
    L = k.layers
    lstm = L.LSTM(5, batch_input_shape=(2, 7, 3), stateful=True, return_sequences=True)
    return sequential(k, lstm, L.TimeDistributed(L.Dense(2)))


@MODELS
def input_layer_first(k):
    return sequential(k, k.layers.InputLayer((3,)), k.layers.Dense(2))


@MODELS
def built_later(k):
    model = sequential(k, k.layers.Dense(4), k.layers.Dense(2))
    model.build((None, 3))
    return model


@MODELS
def words(k):
    L = k.layers
    embedding = L.Embedding(100, 8, input_length=5, mask_zero=True)
    return sequential(k, embedding, L.Bidirectional(L.GRU(4)), L.Dense(2, activation="softmax"))


@MODELS
def any_length(k):
    L = k.layers
    return sequential(k, L.Embedding(100, 8), L.Conv1D(4, 3), L.GlobalMaxPooling1D(), L.Dense(2))


@MODELS
def convnet(k):
    L = k.layers
    conv = L.Conv2D(32, (3, 3), input_shape=(28, 28, 1))
    rest = [L.BatchNormalization(), L.Activation("relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(10)]
    return sequential(k, conv, *rest)


@MODELS
def cells(k):
    L = k.layers
    stack = L.RNN([L.LSTMCell(3), L.GRUCell(4)], input_shape=(5, 2), return_sequences=True)
    return sequential(k, stack, L.SimpleRNN(3, return_sequences=True), L.TimeDistributed(L.Dense(2)))


# --- freezing -----------------------------------------------------------------------------------------------------


@MODELS
def half_frozen(k):
    L = k.layers
    conv = L.Conv2D(8, 3, input_shape=(8, 8, 3), trainable=False)
    return sequential(k, conv, L.BatchNormalization(), L.Flatten(), L.Dense(10))


@MODELS
def all_frozen(k):
    L = k.layers
    model = sequential(k, L.Dense(8, input_shape=(8,)), L.BatchNormalization(), L.Dense(10))
    model.trainable = False
    return model


@MODELS
def frozen_after_compile(k):
    model = sequential(k, k.layers.Dense(8, input_shape=(8,)), k.layers.Dense(10))
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    return model


@MODELS
def frozen_before_compile(k):
    model = sequential(k, k.layers.Dense(8, input_shape=(8,)), k.layers.Dense(10))
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    return model


# --- nested -------------------------------------------------------------------------------------------------------


@MODELS
def nested(k):
    L = k.layers
    inner = sequential(k, L.Dense(4, input_shape=(3,)), L.Dense(2), name="inner")
    return sequential(k, inner, L.Dense(1), name="outer")


@MODELS
def nested_with_two_outputs(k):
    L = k.layers
    a = L.Input((4,))
    inner = k.models.Model(a, [L.Dense(3)(a), L.Dense(2)(a)], name="inner_with_two_outputs")
    b = L.Input((4,), name="b")
    return k.models.Model(b, L.concatenate(inner(b)))


@MODELS
def nested_called_twice(k):
    inner = sequential(k, k.layers.Dense(4, input_shape=(4,)), name="inner")
    a = k.layers.Input((4,))
    return k.models.Model(a, inner(inner(a)))


@MODELS
def functional_in_sequential(k):
    a = k.layers.Input((4,))
    return sequential(k, k.models.Model(a, k.layers.Dense(3)(a)), k.layers.Dense(1))


@MODELS
def siamese(k):
    L = k.layers
    base = sequential(k, L.Dense(4, input_shape=(3,)), name="base")
    a, b = L.Input((3,)), L.Input((3,))
    difference = L.Lambda(lambda t: t[0] - t[1], output_shape=lambda s: s[0], name="difference")([base(a), base(b)])
    return k.models.Model([a, b], L.Dense(1)(difference))


@MODELS
def frozen_inside(k):
    L = k.layers
    inner = sequential(k, L.Dense(2, input_shape=(3,), name="b1"), L.BatchNormalization(name="b2"), name="inner")
    inner.trainable = False
    return sequential(k, inner, L.Dense(3, name="top"))


# --- branches -----------------------------------------------------------------------------------------------------


@MODELS
def functional_chain(k):
    a = k.layers.Input((3,))
    return k.models.Model(a, k.layers.Dense(2)(k.layers.Dense(3)(a)))


@MODELS
def shared(k):
    a, dense = k.layers.Input((3,)), k.layers.Dense(3)
    return k.models.Model(a, dense(dense(a)))


@MODELS
def one_call_of_a_shared_layer(k):
    a, b, dense = k.layers.Input((3,)), k.layers.Input((3,)), k.layers.Dense(3)
    dense(a)
    return k.models.Model(b, k.layers.Dense(2)(dense(b)))


@MODELS
def two_inputs_two_outputs(k):
    L = k.layers
    a, b = L.Input((3,), name="left"), L.Input((5, 2), name="right")
    x, y = L.Dense(4, name="a_layer_with_a_very_long_name_which_is_cut")(a), L.LSTM(4)(b)
    return k.models.Model([a, b], [L.Dense(1)(L.concatenate([x, y])), L.Dense(3)(y)])


@MODELS
def residual(k):
    L = k.layers
    a = L.Input((8, 8, 3))
    x = L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(a))
    return k.models.Model(a, L.GlobalAveragePooling2D()(L.add([x, a])))


@MODELS
def states(k):
    L = k.layers
    a = L.Input((5, 2))
    y, h, c = L.LSTM(4, return_state=True)(a)
    return k.models.Model(a, [y, L.LSTM(4)(a, initial_state=[h, c])])


@MODELS
def several_shapes(k):
    L = k.layers
    a, b, relu = L.Input((3,)), L.Input((4,)), L.Activation("relu", name="act")
    return k.models.Model([a, b], L.concatenate([relu(a), relu(b)]))


@MODELS
def layer_with_many_outputs(k):
    a = k.layers.Input((5, 2))
    return k.models.Model(a, k.layers.Bidirectional(k.layers.LSTM(4, return_state=True))(a))


@MODELS
def merged(k):
    L = k.layers
    a, b = L.Input((3,)), L.Input((3,))
    return k.models.Model([a, b], L.dot([L.add([a, b]), L.multiply([a, b])], axes=1))


# --- summaries ----------------------------------------------------------------------------------------------------

SUMMARIES = Descriptions()
#: Widths are tried on some only.
WIDTHS = {
    "narrow": dict(line_length=40),
    "wide": dict(line_length=120),
    "parts": dict(line_length=80, positions=[0.4, 0.6, 0.8, 1.0]),
    "positions": dict(positions=[20, 40, 50, 90]),
}


def _summary(build, **kwargs):
    def lines(k):
        said = []
        build(k).summary(print_fn=said.append, **kwargs)
        return said

    return lines


for _name, _build in MODELS.items():
    SUMMARIES[_name] = _summary(_build)
for _name in ("long_names", "two_inputs_two_outputs"):
    SUMMARIES.update({f"{_name}, {width}": _summary(MODELS[_name], **kwargs) for width, kwargs in WIDTHS.items()})

if __name__ == "__main__":
    SUMMARIES.write()
