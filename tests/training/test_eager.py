"""`run_eagerly` runs users' code for every batch, on tensors that know their values, with the same results."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import layers

rng = np.random.default_rng(0)
X = rng.standard_normal((8, 4, 3)).astype("float32")
X[2, 2:] = 0.0
Y = np.eye(2)[rng.integers(0, 2, 8)]


class Watched(layers.Layer):
    """Remembers what it saw."""

    def __init__(self, seen, **kwargs):
        super().__init__(**kwargs)
        self.seen = seen

    def call(self, inputs):
        doubled = inputs * 2.0
        self.seen.append(doubled)
        return doubled


def functional(seen, run_eagerly):
    K.clear_session()
    kcore.set_random_seed(1)
    source = layers.Input((4, 3))
    x = layers.GRU(3, return_sequences=True)(layers.Masking()(source))
    x = layers.TimeDistributed(layers.Dense(2, kernel_regularizer="l2"))(x)
    x = Watched(seen)(layers.BatchNormalization()(layers.GlobalAveragePooling1D()(x)))
    model = kcore.Model(source, layers.Dense(2, activation="softmax")(x))
    model.add_loss(K.mean(K.square(x)) * 0.1)
    model.add_metric(K.mean(x), name="middle")
    rmsprop = kcore.optimizers.RMSprop(0.01, epsilon=0.1)
    model.compile(rmsprop, "categorical_crossentropy", metrics=["accuracy"], run_eagerly=run_eagerly)
    return model


def test_an_eager_run_gives_the_numbers_of_a_compiled_one():
    runs = []
    for run_eagerly in (False, True):
        model = functional([], run_eagerly)
        history = model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y)).history
        runs.append([*(np.asarray(v) for v in history.values()), *model.get_weights(), model.predict(X)])
        runs[-1] += [np.asarray(model.evaluate(X, Y, verbose=0)), *model.optimizer.get_weights()]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_call_sees_the_values_of_every_batch():
    seen = []
    model = functional(seen, run_eagerly=True)
    del seen[:]
    model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    first, second = seen
    assert first.shape == (4, 2)
    assert f"{first.numpy()[0, 0]:.4f}"[:5] in repr(first)
    assert not np.allclose(first.numpy(), second.numpy())
    assert float(K.sum(first)) == pytest.approx(first.numpy().sum())


def test_what_a_step_records_is_forgotten():
    model = functional([], run_eagerly=True)
    counts = [(len(la._losses), len(la._updates), len(la._inbound_nodes)) for la in model._layers]
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    assert [(len(la._losses), len(la._updates), len(la._inbound_nodes)) for la in model._layers] == counts


class Choosing(kcore.Model):
    """Decides by values, in Python."""

    def __init__(self):
        super().__init__()
        self.low, self.high = layers.Dense(1), layers.Dense(1)
        self.taken = []

    def call(self, x, training=None):
        large = bool(K.mean(x) > 0.0)
        self.taken.append((large, training))
        return (self.high if large else self.low)(x)


def test_a_subclassed_model_may_decide_by_values():
    model = Choosing()
    model.compile("sgd", "mse", run_eagerly=True)
    ones = np.ones((4, 3))
    model.train_on_batch(-ones, np.zeros((4, 1)))
    assert model.taken[-1] == (False, True)
    before = [w.copy() for w in model.high.get_weights()] if model.high.built else None
    assert before is None
    assert model.predict(-ones).shape == (4, 1)
    assert model.taken[-1] == (False, False)


def test_a_loss_may_look_at_its_values():
    seen = []

    def loss(y_true, y_pred):
        error = K.square(y_true - y_pred)
        seen.append(error.numpy())
        return K.mean(error, axis=-1)

    model = kcore.Sequential([layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
    model.compile("sgd", loss, run_eagerly=True)
    model.train_on_batch(np.ones((3, 2)), np.full((3, 1), 2.0))
    np.testing.assert_allclose(seen[-1], np.full((3, 1), 4.0))


def test_an_error_shows_at_the_line_that_caused_it():
    class Checking(layers.Layer):
        def call(self, x):
            if float(K.max(x)) > 1.0:
                raise ValueError("out of range")
            return x

    model = kcore.Sequential([Checking(input_shape=(2,))])
    model.compile("sgd", "mse", run_eagerly=True)
    assert model.predict(np.ones((1, 2))).shape == (1, 2)
    with pytest.raises(ValueError, match="out of range"):
        model.predict(np.full((1, 2), 3.0))


def test_run_eagerly_can_be_switched_after_compile():
    seen = []
    model = functional(seen, run_eagerly=False)
    model.train_on_batch(X, Y)
    state = model.optimizer.get_weights()
    model.run_eagerly = True
    calls = len(seen)
    model.train_on_batch(X, Y)
    assert len(seen) == calls + 1
    assert len(model.optimizer.get_weights()) == len(state)
    model.run_eagerly = False
    model.train_on_batch(X, Y)
    assert len(seen) == calls + 1


def test_dropout_draws_once_per_step():
    """The values that `call` saw are those that the step used."""
    seen = []
    source = layers.Input((50,))
    model = kcore.Model(source, Watched(seen)(layers.Dropout(0.5)(source)))
    model.compile("sgd", "mse", run_eagerly=True)
    loss = model.train_on_batch(np.ones((2, 50)), np.zeros((2, 50)))
    assert loss == pytest.approx(np.mean(np.square(seen[-1].numpy())))
    assert len(np.unique(seen[-1].numpy())) == 2
    model.train_on_batch(np.ones((2, 50)), np.zeros((2, 50)))
    assert not np.array_equal(seen[-1].numpy(), seen[-2].numpy())
