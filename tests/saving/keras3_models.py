"""Models that only Keras 3 makes: what kcore has of it beside Keras 2, and what its files say in ways of their own.

A builder gets the package and gives a compiled model. Two are made by both packages, to be written as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Name -> (builder, input specs, target specs); a spec is a shape, or ("ids", shape).
MODELS: dict[str, tuple[Callable[[Any], Any], list[Any], list[Any]]] = {}
#: Those that kcore builds by the same code.
BOTH: set[str] = set()


def model(inputs: list[Any], targets: list[Any], *, both: bool = False) -> Callable[[Any], Any]:
    """Decorate a builder."""

    def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        MODELS[build.__name__] = (build, inputs, targets)
        if both:
            BOTH.add(build.__name__)
        return build

    return register


def data(name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs and targets, the same in every process."""
    rng = np.random.RandomState(len(name))

    def draw(spec: Any) -> np.ndarray:
        if isinstance(spec[0], str):
            shape = (6, *spec[1])
            return (rng.randint(1, 5, shape) * (np.arange(shape[1]) < rng.randint(1, shape[1] + 1, (6, 1)))).astype("f")
        return rng.uniform(-1, 1, (6, *spec)).astype("float32")

    _, inputs, targets = MODELS[name]
    return [draw(spec) for spec in inputs], [np.abs(draw(spec)) for spec in targets]


def compiled(keras: Any, inputs: Any, outputs: Any, *arguments: Any, **keywords: Any) -> Any:
    """A functional model."""
    found = keras.models.Model(inputs, outputs)
    found.compile(*(arguments or ("sgd", "mse")), **keywords)
    return found


def small(keras: Any, optimizer: Any) -> Any:
    """A Sequential model for optimizers."""
    L = keras.layers
    found = keras.models.Sequential([L.Input((4,)), L.Dense(5, activation="tanh"), L.Dense(2)])
    found.compile(optimizer, "mse")
    return found


# --- attention and normalisation --------------------------------------------------------------------------------------


@model([(4, 6), (5, 6)], [(4, 5)], both=True)
def multi_head_attention(keras):
    L = keras.layers
    q, v = L.Input((4, 6)), L.Input((5, 6))
    y = L.MultiHeadAttention(2, 3)(q, v)
    y = L.LayerNormalization()(L.add([q, y]))
    y = L.MultiHeadAttention(2, 4, value_dim=3, output_shape=5)(y, v, key=v, use_causal_mask=True)
    return compiled(keras, [q, v], y)


@model([(4, 6)], [(4, 6)], both=True)
def attention_scores(keras):
    L = keras.layers
    q = L.Input((4, 6))
    return compiled(keras, q, L.MultiHeadAttention(2, 3, use_bias=False)(q, q, return_attention_scores=True)[0])


@model([("ids", (4,))], [(2,)], both=True)
def attention_over_masked(keras):
    L = keras.layers
    x = L.Input((4,))
    e = L.Embedding(5, 6, mask_zero=True)(x)
    return compiled(keras, x, L.Dense(2)(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(e, e))))


@model([(4, 6), (5, 6)], [(4, 18)], both=True)
def attentions(keras):
    L = keras.layers
    q, v = L.Input((4, 6)), L.Input((5, 6))
    y = [L.Attention(use_scale=True)([q, v]), L.AdditiveAttention()([q, v]),
         L.Attention(score_mode="concat")([q, v, v], use_causal_mask=True)]  # fmt: skip
    return compiled(keras, [q, v], L.concatenate(y))


@model([(4, 4, 6)], [(18,)], both=True)
def normalizations(keras):
    L = keras.layers
    x = L.Input((4, 4, 6))
    y = L.LayerNormalization(axis=[2, 3])(L.GroupNormalization(3)(x))
    return compiled(keras, x, L.Flatten()(L.Conv2D(2, 2)(y)))


# --- graphs -----------------------------------------------------------------------------------------------------------


@model([(4,), (3,)], [(2,), (1,)])
def dictionaries(keras):
    """Inputs, outputs and everything in `compile` by name."""
    L = keras.layers
    a, b = L.Input((4,), name="a"), L.Input((3,), name="b")
    x = L.concatenate([L.Dense(2)(a), L.Dense(3)(b)])
    outputs = {"z": L.Dense(1, name="last")(x), "y": L.Dense(2, name="first")(x)}
    return compiled(
        keras, {"b": b, "a": a}, outputs, "adam", {"z": "mse", "y": keras.losses.MeanAbsoluteError()},
        loss_weights={"z": 1.0, "y": 0.3}, metrics={"z": ["mae"], "y": [keras.metrics.MeanSquaredError()]},
    )  # fmt: skip


@model([(4,), (3,)], [(2,)])
def nested_dictionary(keras):
    L = keras.layers
    a, b = L.Input((4,), name="a"), L.Input((3,), name="b")
    inner = keras.models.Model({"a": a, "b": b}, L.concatenate([L.Dense(2)(a), L.Dense(3)(b)]), name="inner")
    p, q = L.Input((4,)), L.Input((3,))
    return compiled(keras, [p, q], L.Dense(2)(inner({"a": p, "b": q})))


@model([("ids", (5,))], [(2,)], both=True)
def merged_masks(keras):
    L = keras.layers
    x = L.Input((5,))
    one, other = L.Embedding(6, 3, mask_zero=True)(x), L.Embedding(6, 3, mask_zero=True)(x)
    y = L.LSTM(3, return_sequences=True)(L.add([one, other]))
    return compiled(keras, x, L.LSTM(2)(L.concatenate([y, one])))


@model([(3,), (5, 3)], [(2,)], both=True)
def masks_change_the_order(keras):
    """The mask's operations make one way longer than the other, and swap two Dense layers in Keras 3's order."""
    L = keras.layers
    a, b = L.Input((3,)), L.Input((5, 3))
    y = L.Dense(4)(L.Dense(4)(L.Dense(4)(a)))
    z = L.LSTM(4)(L.Masking(0.5)(L.Dense(3)(b)))
    return compiled(keras, [a, b], L.Dense(2)(L.add([y, z])))


@model([(4,)], [(4,), (4,)], both=True)
def shared_and_nested(keras):
    L = keras.layers
    first = keras.models.Sequential([L.Input((4,)), L.Dense(4, activation="tanh")], name="first")
    x = L.Input((4,))
    block = keras.models.Model(x, L.Dense(4)(first(x)), name="block")
    x = L.Input((4,))
    y = block(x)
    return compiled(keras, x, [L.add([y, block(y)]), block(x)], "sgd", ["mse", "mse"])


@model([(4, 3), (5, 3)], [(5, 2), (4,), (2,)], both=True)
def states(keras):
    """States given to and got from recurrent layers."""
    L = keras.layers
    a, b = L.Input((4, 3)), L.Input((5, 3))
    _, h, c = L.LSTM(4, return_state=True)(a)
    d = L.LSTM(4, return_sequences=True)(b, initial_state=[h, c])
    both = L.Bidirectional(L.GRU(2, return_state=True, reset_after=True))(a)
    return compiled(keras, [a, b], [L.TimeDistributed(L.Dense(2))(d), both[0], both[1]], "sgd", ["mse"] * 3)


@model([(4,), (4,)], [(2,)])
def operations(keras):
    """Operators between tensors."""
    L = keras.layers
    a, b = L.Input((4,)), L.Input((4,))
    y = keras.ops.concatenate([keras.ops.maximum((a + b) * b, a), a - b], axis=-1)
    return compiled(keras, [a, b], L.Dense(2)(y))


@model([(4, 3)], [(4, 2)], both=True)
def wrapped_model(keras):
    L = keras.layers
    inner = keras.models.Sequential([L.Input((3,)), L.Dense(3), L.BatchNormalization(), L.Dense(2)], name="inner")
    x = L.Input((4, 3))
    return compiled(keras, x, L.TimeDistributed(inner)(x))


@model([(4,)], [(2,)])
def frozen_inside(keras):
    L = keras.layers
    inner = keras.models.Sequential([L.Input((4,)), L.Dense(3), L.Dense(4)])
    inner.trainable = False
    x = L.Input((4,))
    return compiled(keras, x, L.Dense(2)(inner(L.Dense(4)(x))))


# --- layers, functions, optimizers ------------------------------------------------------------------------------------


@model([(4,)], [(4,)], both=True)
def newer_activations(keras):
    L = keras.layers
    x = y = L.Input((4,))
    for name in ("gelu", "silu", "relu6", "leaky_relu", "mish", "log_softmax", "log_sigmoid", "hard_silu",
                 "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus", "sparse_plus", "celu",
                 "sparse_sigmoid"):  # fmt: skip
        y = L.Dense(4, activation=name, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0, seed=1))(y)
    return compiled(keras, x, y)


@model([(4,)], [(3,)])
def names_of_activations(keras):
    """One that means another formula in Keras 2, and second names."""
    L = keras.layers
    x = y = L.Input((4,))
    for name in ("hard_sigmoid", "swish", "hard_swish"):
        y = L.Dense(3, activation=name)(y)
    return compiled(keras, x, y)


@model([(8, 8, 4)], [(9,)], both=True)
def all_sorts_of_layers(keras):
    L = keras.layers
    leaky = L.LeakyReLU(0.1)
    x = L.Input((8, 8, 4))
    y = x
    for layer in (
        L.SeparableConv2D(4, 3, padding="same"), L.DepthwiseConv2D(2), L.Conv2DTranspose(3, 2), L.UpSampling2D(),
        L.ZeroPadding2D(((1, 2), (0, 1))), L.Cropping2D(1), L.PReLU(shared_axes=[1, 2]), leaky, L.ELU(),
        L.ReLU(max_value=2.0), L.AveragePooling2D(2), L.MaxPooling2D(2), L.GlobalAveragePooling2D(),
        L.RepeatVector(3), L.Permute((2, 1)), L.Reshape((9,)),
    ):  # fmt: skip
        y = layer(y)
    return compiled(keras, x, y)


@model([(4,)], [(3,)] * 6)
def losses_and_metrics(keras):
    L, losses, metrics = keras.layers, keras.losses, keras.metrics
    x = L.Input((4,))
    y = [L.Dense(3, activation="sigmoid")(x) for _ in range(6)]
    return compiled(
        keras, x, y, "sgd", ["bce", "kl_divergence", "log_cosh", "cosine_similarity", losses.KLDivergence(),
                             losses.LogCosh()],
        metrics=[["mae"], ["mse"], ["cosine_similarity"], [metrics.AUC()], [metrics.Precision()], ["log_cosh_error"]],
    )  # fmt: skip


@model([(4,)], [(2,)])
def rmsprop_centered(keras):
    return small(keras, keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True))


@model([(4,)], [(2,)])
def learning_rate_schedule(keras):
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 10, 0.5)
    return small(keras, keras.optimizers.SGD(schedule, momentum=0.9))


@model([(4,)], [(2,)])
def clipped_together(keras):
    return small(keras, keras.optimizers.Adam(0.01, amsgrad=True, global_clipnorm=0.3))


@model([(4,)], [(2,)])
def clipped_one_by_one(keras):
    return small(keras, keras.optimizers.SGD(0.1, clipnorm=0.1))
