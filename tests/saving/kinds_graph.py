"""Model kinds: graphs of layers, nested models, shared layers, several inputs and outputs, layers of a user's own."""

from __future__ import annotations

import functools

from kinds import classes, ids, kind, ops, package
from kinds_plain import chain


def graph(keras, inputs, outputs, **compile_arguments):
    """A functional model, compiled."""
    model = keras.models.Model(inputs, outputs)
    compile_arguments.setdefault("optimizer", "sgd")
    compile_arguments.setdefault("loss", "mse")
    model.compile(**compile_arguments)
    return model


def _block(keras, size, units, name):
    """A small functional model with a normalisation, so that it has weights of both sorts."""
    L = keras.layers
    x = L.Input((size,))
    y = L.BatchNormalization()(L.Dense(units, activation="tanh")(x))
    return keras.models.Model(x, y, name=name)


@kind([(5,)], [(2,)])
def functional_in_sequential(keras):
    L = keras.layers
    return chain(keras, _block(keras, 5, 4, "first"), L.Dense(3), _block(keras, 3, 4, "second"), L.Dense(2))


@kind([(5,)], [(2,)])
def sequential_in_functional(keras):
    L = keras.layers
    inner = keras.models.Sequential([L.Dense(4, input_shape=(5,)), L.BatchNormalization()], name="inner")
    x = L.Input((5,))
    return graph(keras, x, L.Dense(2)(inner(x)))


@kind([(5,)], [(2,)])
def nested_twice(keras):
    L = keras.layers
    innermost = _block(keras, 4, 4, "innermost")
    middle = keras.models.Sequential([L.Dense(4, input_shape=(5,)), innermost, L.Dense(3)], name="middle")
    x = L.Input((5,))
    y = L.concatenate([middle(x), L.Dense(2)(x)])
    outer = keras.models.Model(x, y, name="outer")
    return chain(keras, outer, L.Dense(2))


@kind([(4, 6)], [(2,)])
def nested_layers(keras):
    """Convolutions and recurrent layers inside of models."""
    L = keras.layers
    convolutions = keras.models.Sequential(
        [L.Conv1D(4, 2, input_shape=(4, 6)), L.BatchNormalization(), L.Bidirectional(L.LSTM(3))], name="convolutions"
    )
    x = L.Input((4, 6))
    return graph(keras, x, L.Dense(2)(convolutions(x)))


@kind([(5,), (5,)], [(1,)])
def shared_layers(keras):
    L = keras.layers
    a, b = L.Input((5,)), L.Input((5,))
    shared = L.Dense(4, activation="tanh")
    again = L.Dense(4, activation="tanh")
    y = L.add([again(shared(a)), shared(b)])
    return graph(keras, [a, b], L.Dense(1)(L.multiply([y, again(y)])))


@kind([(5,), (5,)], [(1,)])
def siamese(keras):
    L = keras.layers
    tower = _block(keras, 5, 4, "tower")
    a, b = L.Input((5,)), L.Input((5,))
    return graph(keras, [a, b], L.Dense(1, activation="sigmoid")(L.subtract([tower(a), tower(b)])),
                 loss="binary_crossentropy")  # fmt: skip


@kind([(5,), ids((4,), 7)], [(2,), classes(3)])
def multi_io(keras):
    L = keras.layers
    numbers, tokens = L.Input((5,), name="numbers"), L.Input((4,), name="tokens")
    text = L.Flatten()(L.Embedding(7, 3)(tokens))
    joined = L.concatenate([L.Dense(4, activation="relu")(numbers), text])
    value = L.Dense(2, name="value")(joined)
    label = L.Dense(3, activation="softmax", name="label")(joined)
    return graph(keras, [numbers, tokens], [value, label], optimizer="adam",
                 loss={"value": "mse", "label": "categorical_crossentropy"}, loss_weights={"value": 0.3, "label": 1.5},
                 metrics={"label": ["accuracy"], "value": ["mae"]})  # fmt: skip


@kind([(5,)], [(2,)])
def residual(keras):
    L = keras.layers
    x = L.Input((5,))
    y = L.Dense(4)(x)
    for _ in range(3):
        y = L.add([y, L.Dense(4, activation="relu")(L.BatchNormalization()(y))])
    return graph(keras, x, L.Dense(2)(y))


@kind([(4,), (4,)], [(2,)])
def merge_layers(keras):
    L = keras.layers
    a, b = L.Input((4,)), L.Input((4,))
    merged = [L.add([a, b]), L.subtract([a, b]), L.multiply([a, b]), L.average([a, b]), L.maximum([a, b]),
              L.minimum([a, b]), L.dot([a, b], axes=-1, normalize=True)]  # fmt: skip
    return graph(keras, [a, b], L.Dense(2)(L.concatenate(merged, axis=-1)))


# --- what only the caller can provide ---------------------------------------------------------------------------------


def squared(x):
    """A function for Lambda layers."""
    return x * x + 1.0


@kind([(5,)], [(2,)], objects=lambda keras: {"squared": squared, "square": squared})
def lambda_named(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, input_shape=(5,)),
                 L.Lambda(squared, output_shape=(4,), name="square"), L.Dense(2))  # fmt: skip


@functools.lru_cache(maxsize=None)  # noqa: UP033 - Python 3.7 has no functools.cache
def scale(keras):
    """The class of a layer that multiplies by a weight per feature."""

    class Scale(keras.layers.Layer):
        def __init__(self, start="ones", power=1, **kwargs):
            super().__init__(**kwargs)
            self.start = keras.initializers.get(start)
            self.power = power

        def build(self, input_shape):
            self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer=self.start)
            self.shift = self.add_weight(name="shift", shape=(), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs):
            return inputs * self.factor**self.power + self.shift

        def compute_output_shape(self, input_shape):
            return input_shape

        def get_config(self):
            config = super().get_config()
            config.update(start=keras.initializers.serialize(self.start), power=self.power)
            return config

    return Scale


@kind([(5,)], [(2,)], objects=lambda keras: {"Scale": scale(keras)})
def custom_layer(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, input_shape=(5,)), scale(keras)(power=2), L.Dense(2))


@functools.lru_cache(maxsize=None)  # noqa: UP033
def own_functions(keras):
    """Loss, metric, activation, regularizer and initializer of a user's own, by name."""
    o = ops(keras)

    def own_loss(y_true, y_pred):
        return o.mean(o.square(y_true - y_pred) * 0.7, axis=-1)

    def own_metric(y_true, y_pred):
        return o.mean(o.abs(y_true - y_pred))

    def own_activation(x):
        return x * o.sigmoid(x)

    class OwnPenalty(keras.regularizers.Regularizer):
        def __init__(self, factor=0.01):
            self.factor = factor

        def __call__(self, x):
            return self.factor * o.sum(o.square(x))

        def get_config(self):
            return {"factor": float(self.factor)}

    return {f.__name__: f for f in (own_loss, own_metric, own_activation, OwnPenalty)}


@kind([(5,)], [(2,)], objects=own_functions)
def custom_functions(keras):
    L = keras.layers
    own = own_functions(keras)
    hidden = L.Dense(4, activation=own["own_activation"], kernel_regularizer=own["OwnPenalty"](0.02), input_shape=(5,))
    return chain(keras, hidden, L.Dense(2), loss=own["own_loss"], metrics=[own["own_metric"]])


@kind([(5,)], [(2,)], compiled=False)
def uncompiled(keras):
    L = keras.layers
    return keras.models.Sequential([L.Dense(4, activation="tanh", input_shape=(5,)), L.Dense(2)])


@kind([(5,)], [(2,)])
def frozen(keras):
    L = keras.layers
    model = keras.models.Sequential([L.Dense(4, trainable=False, input_shape=(5,)), L.PReLU(), L.Dense(3), L.Dense(2)])
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    return model


@kind([(5,)], [(2,)])
def mixed_trainable(keras):
    """A nested model with a frozen layer in its middle, one with all layers frozen, one that trains."""
    L = keras.layers
    blocks = [keras.models.Sequential([L.Dense(4, input_shape=(size,)), L.PReLU(), L.Dense(4)]) for size in (5, 4, 4)]
    blocks[0].layers[1].trainable = False
    for layer in blocks[1].layers:
        layer.trainable = False
    return chain(keras, *blocks, L.Dense(2))


@kind([(5,)], [(2,)])
def frozen_model(keras):
    """Nested models that are frozen as a whole."""
    L = keras.layers
    x = L.Input((5,))
    block = keras.models.Model(x, L.PReLU()(L.Dense(4)(x)), name="block")
    inner = keras.models.Sequential([L.Dense(3, input_shape=(4,)), L.PReLU()], name="inner")
    block.trainable = inner.trainable = False
    return chain(keras, block, inner, L.Dense(2))


@kind([(5,)], [(2,)])
def objects_as_arguments(keras):
    """Initializers, regularizers and constraints as objects."""
    L, R, C, init = keras.layers, keras.regularizers, keras.constraints, keras.initializers
    l1_l2 = R.l1_l2(l1=0.01, l2=0.02) if package(keras) != "keras3" else R.L1L2(0.01, 0.02)
    return chain(
        keras,
        L.Dense(6, kernel_initializer=init.VarianceScaling(2.0, "fan_avg", seed=3),
                bias_initializer=init.Constant(0.3), kernel_regularizer=l1_l2, bias_regularizer=R.l2(0.03),
                kernel_constraint=C.MaxNorm(1.5, axis=0),
                bias_constraint=C.NonNeg(), input_shape=(5,)),
        L.Dense(4, kernel_initializer=init.Orthogonal(gain=1.2), kernel_constraint=C.UnitNorm(axis=0)),
        L.Dense(3, kernel_initializer=init.TruncatedNormal(stddev=0.4),
                kernel_constraint=C.MinMaxNorm(0.2, 1.1, rate=0.7)),
        L.Dense(2, kernel_initializer=init.RandomUniform(-0.5, 0.5), bias_initializer=init.RandomNormal(0.1, 0.2)),
    )  # fmt: skip


@kind([(5,)], [(2,)], absent=dict.fromkeys(("tf_keras", "keras3"), "such penalties are divided by the batch size"))
def activity_penalty(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, activity_regularizer="l2", input_shape=(5,)), L.Dense(2))
