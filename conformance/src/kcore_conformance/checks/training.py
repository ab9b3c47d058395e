"""Level 6: layers, models and optimizers end where the reference backend ends.

Every check builds the same model from the same seed on the NumPy backend and on the one under test, trains both on the
same data, and compares losses, weights and predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import kcore as keras
from kcore import backend as K
from kcore import layers
from kcore.backend.active import backend_scope
from kcore_conformance.compare import same
from kcore_conformance.registry import check

Build = Callable[[], Any]
STEPS = 5


def _data(shape: tuple[int, ...], classes: int, n: int = 32, *, integers: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, integers, (n, *shape)) if integers else rng.standard_normal((n, *shape)).astype("float32")
    return x, np.eye(classes, dtype="float32")[rng.integers(0, classes, n)]


def _run(build: Build, x: Any, y: Any, backend: str) -> tuple[list[float], list[np.ndarray], np.ndarray]:
    with backend_scope(backend):
        K.clear_session()
        np.random.seed(3)  # noqa: NPY002 - initial weights come from it
        model = build()
        losses = [float(np.asarray(model.train_on_batch(x, y)).reshape(-1)[0]) for _ in range(STEPS)]
        return losses, model.get_weights(), model.predict(x)


def _agree(backend: Any, build: Build, x: Any, y: Any, tolerance: float = 2e-4) -> None:
    want, got = _run(build, x, y, "numpy"), _run(build, x, y, backend.name)
    same(np.asarray(got[0]), np.asarray(want[0]), "losses of the first steps", tolerance)
    for i, (a, b) in enumerate(zip(got[1], want[1], strict=True)):
        same(a, b, f"weight {i} after training", tolerance)
    same(got[2], want[2], "predictions after training", tolerance)


def _compiled(stack: list[Any], optimizer: Any = "sgd") -> Any:
    model = keras.models.Sequential(stack)
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def _mlp(optimizer: Any = "sgd") -> Any:
    return _compiled(
        [layers.Dense(8, activation="tanh", input_shape=(6,)), layers.Dense(3, activation="softmax")], optimizer
    )


@check(6, "optimizers")
def sgd(backend: Any) -> None:
    x, y = _data((6,), 3)
    _agree(backend, lambda: _mlp(keras.optimizers.SGD(0.1)), x, y)
    _agree(backend, lambda: _mlp(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, decay=0.01)), x, y)


@check(6, "optimizers")
def rmsprop(backend: Any) -> None:
    x, y = _data((6,), 3)
    _agree(backend, lambda: _mlp(keras.optimizers.RMSprop(0.01)), x, y)


@check(6, "optimizers")
def adam(backend: Any) -> None:
    x, y = _data((6,), 3)
    _agree(backend, lambda: _mlp(keras.optimizers.Adam(0.01)), x, y)
    _agree(backend, lambda: _mlp(keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.5)), x, y)


@check(6, "layers")
def convolutional_classifier(backend: Any) -> None:
    def build() -> Any:
        return _compiled([
            layers.Conv2D(4, 3, activation="relu", padding="same", input_shape=(6, 6, 2)),
            layers.MaxPooling2D(2),
            layers.Conv2D(5, 2, strides=1, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ], "adam")  # fmt: skip

    _agree(backend, build, *_data((6, 6, 2), 3))


@check(6, "layers")
def batch_normalization_and_pooling(backend: Any) -> None:
    def build() -> Any:
        return _compiled([
            layers.Conv1D(4, 3, padding="causal", input_shape=(8, 2)),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.AveragePooling1D(2),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, activation="softmax"),
        ])  # fmt: skip

    _agree(backend, build, *_data((8, 2), 3))


@check(6, "layers")
def lstm_gru_and_simple_rnn(backend: Any) -> None:
    for cell in (layers.LSTM, layers.GRU, layers.SimpleRNN):

        def build(cell: Any = cell) -> Any:
            return _compiled([
                layers.Bidirectional(cell(4, return_sequences=True), input_shape=(5, 3)),
                cell(4, go_backwards=True),
                layers.Dense(3, activation="softmax"),
            ])  # fmt: skip

        _agree(backend, build, *_data((5, 3), 3))


@check(6, "layers")
def embedding_with_masks(backend: Any) -> None:
    def build() -> Any:
        return _compiled([
            layers.Embedding(10, 4, mask_zero=True, input_length=6),
            layers.LSTM(5),
            layers.Dense(3, activation="softmax"),
        ])  # fmt: skip

    _agree(backend, build, *_data((6,), 3, integers=4))


@check(6, "models")
def two_inputs_two_outputs(backend: Any) -> None:
    def build() -> Any:
        a, b = layers.Input((4,)), layers.Input((4,))
        shared = layers.Dense(5, activation="tanh")
        merged = layers.concatenate([shared(a), shared(b), layers.multiply([a, b])])
        model = keras.models.Model([a, b], [layers.Dense(3, activation="softmax")(merged), layers.Dense(1)(merged)])
        model.compile("sgd", ["categorical_crossentropy", "mse"], loss_weights=[1.0, 0.3])
        return model

    x, y = _data((4,), 3)
    for_losses = [x, x[::-1].copy()], [y, x[:, :1]]
    want, got = _run_multi(build, for_losses, "numpy"), _run_multi(build, for_losses, backend.name)
    for a, b in zip(got, want, strict=True):
        same(a, b, "losses and weights", 2e-4)


def _run_multi(build: Build, data: Any, backend: str) -> list[np.ndarray]:
    with backend_scope(backend):
        K.clear_session()
        np.random.seed(3)  # noqa: NPY002
        model = build()
        losses = [np.asarray(model.train_on_batch(*data)) for _ in range(STEPS)]
        return [*losses, *model.get_weights()]


@check(6, "fit")
def fit_with_validation_and_weights(backend: Any) -> None:
    x, y = _data((6,), 3, 50)

    def run(name: str) -> list[np.ndarray]:
        with backend_scope(name):
            K.clear_session()
            np.random.seed(3)  # noqa: NPY002
            model = _mlp(keras.optimizers.RMSprop(0.01))
            history = model.fit(
                x, y, batch_size=8, epochs=3, validation_split=0.2, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, verbose=0
            )
            return [np.asarray(history.history[k]) for k in sorted(history.history)] + model.get_weights()

    for a, b in zip(run(backend.name), run("numpy"), strict=True):
        same(a, b, "history and weights", 2e-4)


@check(6, "fit")
def stateful_recurrence(backend: Any) -> None:
    x, _ = _data((4, 3), 3, 8)

    def run(name: str) -> list[np.ndarray]:
        with backend_scope(name):
            K.clear_session()
            np.random.seed(3)  # noqa: NPY002
            model = keras.models.Sequential([layers.LSTM(4, stateful=True, batch_input_shape=(8, 4, 3))])
            first, second = model.predict(x, batch_size=8), model.predict(x, batch_size=8)
            model.reset_states()
            return [first, second, model.predict(x, batch_size=8)]

    got, want = run(backend.name), run("numpy")
    for a, b in zip(got, want, strict=True):
        same(a, b, "stateful predictions", 1e-4)
    same(got[2], got[0], "the first prediction again after reset_states()")
    if np.allclose(got[0], got[1]):
        raise AssertionError("a stateful layer forgets its state between batches")


@check(6, "fit")
def repeated_runs_are_bit_identical(backend: Any) -> None:
    x, y = _data((6,), 3, 40)

    def run() -> list[np.ndarray]:
        with backend_scope(backend.name):
            K.clear_session()
            np.random.seed(11)  # noqa: NPY002
            model = _compiled([layers.Dense(8, activation="relu", input_shape=(6,)), layers.Dropout(0.5),
                               layers.Dense(3, activation="softmax")], "adam")  # fmt: skip
            model.fit(x, y, batch_size=8, epochs=2, verbose=0)
            return list(model.get_weights())

    for a, b in zip(run(), run(), strict=True):
        if not np.array_equal(a, b):
            raise AssertionError("two runs from one seed end with different weights")
