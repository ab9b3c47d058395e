"""Laws of optimizers and moving statistics: the published updates, done by hand in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import kcore as keras
from kcore import backend as K
from kcore import layers
from kcore_conformance.compare import same
from kcore_conformance.registry import check

STEPS = 6
START = np.asarray([1.0, -2.0, 0.5, 3.0])
#: The loss is sum(CURVES * w ** 2) / 2: the gradient is CURVES * w.
CURVES = np.asarray([1.0, 0.3, 5.0, 0.01])
By = Callable[[np.ndarray], Iterator[np.ndarray]]


def _sgd(w: np.ndarray) -> Iterator[np.ndarray]:
    m = np.zeros_like(w)
    for t in range(STEPS):
        g, lr = CURVES * w, 0.1 / (1 + 0.01 * t)
        m = 0.9 * m - lr * g
        w = w + 0.9 * m - lr * g
        yield w


def _rmsprop(w: np.ndarray) -> Iterator[np.ndarray]:
    a = np.zeros_like(w)
    for _ in range(STEPS):
        g = CURVES * w
        a = 0.9 * a + 0.1 * g**2
        w = w - 0.01 * g / (np.sqrt(a) + 1e-7)
        yield w


def _adagrad(w: np.ndarray) -> Iterator[np.ndarray]:
    a = np.zeros_like(w)
    for _ in range(STEPS):
        g = CURVES * w
        a = a + g**2
        w = w - 0.1 * g / (np.sqrt(a) + 1e-7)
        yield w


def _adadelta(w: np.ndarray) -> Iterator[np.ndarray]:
    a, d = np.zeros_like(w), np.zeros_like(w)
    for _ in range(STEPS):
        g = CURVES * w
        a = 0.95 * a + 0.05 * g**2
        step = g * np.sqrt(d + 1e-3) / np.sqrt(a + 1e-3)
        w = w - step
        d = 0.95 * d + 0.05 * step**2
        yield w


def _adam(epsilon: float, *, amsgrad: bool, lr: float = 0.01, beta_2: float = 0.99) -> By:
    def run(w: np.ndarray) -> Iterator[np.ndarray]:
        m, v, most = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
        for t in range(1, STEPS + 1):
            g = CURVES * w
            m, v = 0.9 * m + 0.1 * g, beta_2 * v + (1 - beta_2) * g**2
            most = np.maximum(most, v)
            # The efficient order of the paper's section 2, in which epsilon stays outside the correction.
            rate = lr * np.sqrt(1 - beta_2**t) / (1 - 0.9**t)
            w = w - rate * m / (np.sqrt(most if amsgrad else v) + epsilon)
            yield w

    return run


def _adamax(w: np.ndarray) -> Iterator[np.ndarray]:
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = CURVES * w
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.99 * u, np.abs(g))
        w = w - 0.01 / (1 - 0.9**t) * m / (u + 1e-7)
        yield w


def _follows(optimizer: Any, by_hand: By, what: str) -> None:
    w = K.variable(START)
    loss = K.sum(K.constant(CURVES) * K.square(w)) / 2.0
    step = K.function([], [loss], optimizer.get_updates(loss=loss, params=[w]))
    value = START
    for t, want in enumerate(by_hand(START), 1):
        same(step([])[0], np.float32((CURVES * value**2).sum() / 2), f"{what}: loss before step {t}", 3e-5)
        same(K.get_value(w), want.astype("float32"), f"{what}: weights after step {t}", 3e-5)
        value = want


@check(6, "optimizers, laws")
def momentum_looks_ahead_and_rates_decay(backend: Any) -> None:
    _follows(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, decay=0.01), _sgd, "SGD")


@check(6, "optimizers, laws")
def squared_gradients_scale_steps(backend: Any) -> None:
    _follows(keras.optimizers.RMSprop(0.01), _rmsprop, "RMSprop")
    _follows(keras.optimizers.Adagrad(0.1), _adagrad, "Adagrad")
    _follows(keras.optimizers.Adadelta(1.0, epsilon=1e-3), _adadelta, "Adadelta")


@check(6, "optimizers, laws")
def adam_is_the_papers(backend: Any) -> None:
    _follows(keras.optimizers.Adam(0.01, 0.9, 0.99), _adam(1e-7, amsgrad=False), "Adam")
    _follows(keras.optimizers.Adam(0.01, 0.9, 0.99, epsilon=0.1), _adam(0.1, amsgrad=False), "Adam, epsilon 0.1")
    # Large steps and a short memory: the second moment falls again, and its maximum is another number.
    fast = _adam(1e-7, amsgrad=True, lr=0.4, beta_2=0.3)
    _follows(keras.optimizers.Adam(0.4, 0.9, 0.3, amsgrad=True), fast, "AMSGrad")
    _follows(keras.optimizers.Adamax(0.01, 0.9, 0.99), _adamax, "Adamax")


@check(6, "moving averages, laws")
def averages_move_by_their_momentum(backend: Any) -> None:
    v, x = K.variable(np.ones(2)), K.placeholder((2,))
    step = K.function([x], [], [K.moving_average_update(v, x, 0.8)])
    want = np.ones(2)
    for t in range(4):
        step([np.full(2, t + 2.0)])
        want = 0.8 * want + 0.2 * (t + 2)
        same(K.get_value(v), want.astype("float32"), f"after {t + 1} updates", 1e-5)


@check(6, "moving averages, laws")
def batch_normalization_remembers_moments(backend: Any) -> None:
    """Test mode uses the moving moments, which training moves and evaluation does not."""
    rng = np.random.default_rng(0)
    K.clear_session()
    layer = layers.BatchNormalization(momentum=0.6, epsilon=1e-3)
    model = keras.models.Sequential([layers.InputLayer(input_shape=(3,)), layer])
    model.compile("sgd", "mse")
    mean, var = np.zeros(3), np.ones(3)
    y = np.zeros((8, 3))
    for t in range(3):
        x = rng.normal(t, 1 + t, (8, 3))
        model.train_on_batch(x, y)
        mean, var = 0.6 * mean + 0.4 * x.mean(0), 0.6 * var + 0.4 * x.var(0) * 8 / (8 - 1 - 1e-3)
        model.evaluate(x, y, verbose=0)
        same(K.get_value(layer.moving_mean), mean.astype("float32"), f"moving mean after {t + 1} steps", 1e-4)
        same(K.get_value(layer.moving_variance), var.astype("float32"), f"moving variance after {t + 1} steps", 1e-3)
    gamma, beta = (K.get_value(w) for w in (layer.gamma, layer.beta))
    want = (x - mean) / np.sqrt(var + 1e-3) * gamma + beta
    same(model.predict(x), want.astype("float32"), "predictions", 1e-3)


@check(6, "layers, laws")
def an_embedding_is_a_dense_layer_of_one_hot_rows(backend: Any) -> None:
    K.clear_session()
    indices = np.random.default_rng(0).integers(0, 5, (4, 3))
    one = keras.models.Sequential([layers.Embedding(5, 2, input_length=3)])
    other = keras.models.Sequential([layers.Dense(2, use_bias=False, input_shape=(3, 5))])
    other.set_weights(one.get_weights())
    rows = np.eye(5, dtype="float32")[indices]
    for model in (one, other):
        model.compile(keras.optimizers.SGD(0.5), "mse")
    target = np.ones((4, 3, 2), "float32")
    for _ in range(3):
        same(one.predict(indices), other.predict(rows), "predictions", 1e-5)
        same(one.train_on_batch(indices, target), other.train_on_batch(rows, target), "losses", 1e-5)
    same(one.get_weights()[0], other.get_weights()[0], "weights after training", 1e-5)
