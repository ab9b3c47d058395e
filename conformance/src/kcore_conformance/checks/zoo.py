"""Small compiled models of every kind that files must carry, and their data. Weights come from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import kcore as keras
from kcore import backend as K
from kcore import layers

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Specimen:
    """A model to build, with inputs and targets for it.

    Attributes:
        name: what is particular about it.
        build: makes it, compiled.
        data: inputs and targets.
    """

    name: str
    build: Callable[[], Any]
    data: Callable[[], tuple[Arrays, Arrays]]

    def fresh(self) -> Any:
        """A new model; the same names and initial weights every time."""
        K.clear_session()
        np.random.seed(7)  # noqa: NPY002 - initial weights come from it
        return self.build()


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def classes(samples: int, count: int = 3) -> np.ndarray:
    """One-hot targets."""
    return np.eye(count, dtype="float32")[np.random.default_rng(1).integers(0, count, samples)]


def stacked(stack: list[Any], optimizer: Any = "sgd") -> Any:
    """A compiled Sequential classifier."""
    model = keras.models.Sequential(stack)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def _dense() -> Any:
    return stacked([
        layers.Dense(6, activation="tanh", input_shape=(5,), kernel_regularizer="l2"),
        layers.Dense(3, activation="softmax", use_bias=False),
    ], keras.optimizers.Adam(0.01, amsgrad=True))  # fmt: skip


def _convolutional() -> Any:
    return stacked([
        layers.Conv2D(4, (3, 2), padding="same", activation="relu", input_shape=(6, 6, 2)),
        layers.DepthwiseConv2D(2, depth_multiplier=2),
        layers.Conv2DTranspose(2, 2, strides=2),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ], keras.optimizers.RMSprop(0.005))  # fmt: skip


def _normalized() -> Any:
    return stacked([
        layers.Conv1D(4, 3, padding="causal", input_shape=(6, 2)),
        layers.BatchNormalization(momentum=0.7),
        layers.PReLU(),
        layers.GlobalAveragePooling1D(),
        layers.BatchNormalization(center=False, scale=False),
        layers.Dense(3, activation="softmax"),
    ], keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, decay=0.01))  # fmt: skip


def _recurrent() -> Any:
    return stacked([
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), input_shape=(4, 2)),
        layers.GRU(3, reset_after=True, go_backwards=True),
        layers.Dense(3, activation="softmax"),
    ], "adam")  # fmt: skip


def _stateful() -> Any:
    return stacked([
        layers.LSTM(3, stateful=True, return_sequences=True, batch_input_shape=(8, 4, 2)),
        layers.SimpleRNN(3, stateful=True),
        layers.Dense(3, activation="softmax"),
    ], "rmsprop")  # fmt: skip


def _masked() -> Any:
    return stacked([
        layers.Embedding(6, 4, mask_zero=True, input_length=5),
        layers.GRU(4),
        layers.Dense(3, activation="softmax"),
    ], "adagrad")  # fmt: skip


def _nested() -> Any:
    inner = keras.models.Sequential(
        [layers.Dense(4, activation="tanh", input_shape=(4,)), layers.BatchNormalization()], name="inner"
    )
    x = layers.Input((4,))
    outer = keras.models.Model(x, layers.add([inner(x), x]), name="middle")
    return stacked([outer, layers.Dense(3, activation="softmax")], keras.optimizers.Nadam(epsilon=1e-3))


def _several_ends() -> Any:
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu", name="shared")
    merged = layers.concatenate([shared(a), shared(b), layers.multiply([a, b])])
    outputs = [layers.Dense(3, activation="softmax", name="label")(merged), layers.Dense(1, name="size")(merged)]
    model = keras.models.Model([a, b], outputs)
    model.compile("adadelta", {"label": "categorical_crossentropy", "size": "mse"}, loss_weights=[1.0, 0.3])
    return model


def _of(*shape: int, samples: int = 8) -> Callable[[], tuple[Arrays, Arrays]]:
    return lambda: ([_numbers(samples, *shape)], [classes(samples)])


def _indices() -> tuple[Arrays, Arrays]:
    return [np.random.default_rng(0).integers(0, 6, (8, 5))], [classes(8)]


SPECIMENS: tuple[Specimen, ...] = (
    Specimen("dense", _dense, _of(5)),
    Specimen("convolutional", _convolutional, _of(6, 6, 2)),
    Specimen("normalized", _normalized, _of(6, 2)),
    Specimen("recurrent", _recurrent, _of(4, 2)),
    Specimen("stateful", _stateful, _of(4, 2)),
    Specimen("masked", _masked, _indices),
    Specimen("nested", _nested, _of(4)),
    Specimen("several ends", _several_ends, lambda: (
        [_numbers(8, 4), _numbers(8, 4, seed=2)], [classes(8), _numbers(8, 1, seed=3)])),
)  # fmt: skip
