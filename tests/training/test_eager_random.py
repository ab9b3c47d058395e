"""With one seed, `run_eagerly` draws what compiled training draws, on every backend."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import layers, plugin
from kcore.callbacks import BackupAndRestore, LambdaCallback

BACKENDS = sorted(name for name, info in plugin.discover().items() if info.installed_framework() or name == "numpy")
rng = np.random.default_rng(0)
X = rng.standard_normal((8, 4, 3)).astype("float32")
Y = rng.standard_normal((8, 2)).astype("float32")


class Sampling(layers.Layer):
    """Draws in training and in test, and for a loss of its own."""

    def call(self, x):
        self.add_loss(K.mean(K.random_uniform(K.shape(x)) * x))
        return x + K.in_train_phase(K.random_normal(K.shape(x)), K.random_normal(K.shape(x), 1.0))


def small():
    """Few ops: a backend that compiles each of them has its time."""
    source = layers.Input((4, 3))
    return kcore.Model(source, layers.Dense(2)(layers.Flatten()(layers.Dropout(0.3)(source))))


def functional():
    source = layers.Input((4, 3))
    shared = layers.Dropout(0.4)
    first = layers.Dense(4)(shared(layers.GaussianNoise(0.1)(source)))
    inner = kcore.Sequential([layers.SpatialDropout1D(0.3, input_shape=(4, 3)), layers.AlphaDropout(0.1)])
    second = layers.Dense(4)(inner(shared(source)))
    x = layers.Bidirectional(layers.LSTM(2, dropout=0.3, recurrent_dropout=0.3))(layers.add([second, first]))
    return kcore.Model(source, layers.Dense(2)(Sampling()(x)))


class Subclassed(kcore.Model):
    """Drops twice in training, and its noise is there in test as well."""

    def __init__(self):
        super().__init__()
        self.drop, self.dense, self.noise = layers.Dropout(0.5), layers.Dense(2), layers.GaussianNoise(0.1)

    def call(self, x, training=None):
        x = self.dense(layers.Flatten()(self.drop(x, training=training)))
        return self.noise(self.noise(x, training=True), training=training)


def run(make, *, eagerly, epochs=2, callbacks=()):
    K.clear_session()
    kcore.set_random_seed(3)
    model = make()
    model.compile("sgd", "mse", run_eagerly=eagerly)
    losses = []
    seen = LambdaCallback(on_batch_end=lambda batch, logs: losses.append(float(logs["loss"])))
    settings = {"batch_size": 3, "epochs": epochs, "validation_split": 0.25, "verbose": 0}
    history = model.fit(X, Y, callbacks=[seen, *callbacks], **settings)
    found = [losses, history.history["val_loss"], np.random.rand()]
    if make is not small:  # which draws nothing in test
        found += [model.predict(X), model.evaluate(X, Y, verbose=0)]
    return [np.asarray(value) for value in found]


@pytest.mark.parametrize(("backend", "make"), [
    *((name, small) for name in BACKENDS), ("numpy", functional), ("numpy", Subclassed), ("torch", functional),
])  # fmt: skip
def test_an_eager_run_draws_what_a_compiled_one_draws(backend, make):
    with K.backend_scope(backend):
        for a, b in zip(run(make, eagerly=False), run(make, eagerly=True), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_each_batch_draws_anew():
    model = kcore.Sequential([layers.Dropout(0.5, input_shape=(50,))])
    model.compile("sgd", "mse", run_eagerly=True)
    assert len({model.train_on_batch(np.ones((1, 50)), np.zeros((1, 50))) for _ in range(4)}) > 1


def test_a_step_of_ones_own_draws_from_the_same_sites_in_every_batch():
    class Noisy(kcore.Sequential):
        def train_step(self, data):
            x, y = data
            loss = K.mean(K.square(self(K.dropout(x, 0.5)) - y))
            self.optimizer.minimize(loss, self.trainable_weights)
            return {"loss": loss}

    def losses(eagerly):
        kcore.set_random_seed(5)
        model = Noisy([layers.Dense(2, input_shape=(3,))])
        model.compile("sgd", run_eagerly=eagerly)
        return [float(model.train_on_batch(X[:, 0], Y)) for _ in range(3)] + [np.random.rand()]

    np.testing.assert_allclose(losses(eagerly=True), losses(eagerly=False), rtol=1e-5)


@pytest.mark.parametrize("save_freq", [1, "epoch"])
def test_a_killed_eager_run_goes_on_with_its_draws(save_freq, tmp_path):
    def kill(batch, logs):
        batches.append(batch)
        if len(batches) == 4:
            raise KeyboardInterrupt

    def train(*callbacks):
        return run(small, eagerly=True, epochs=3, callbacks=callbacks)

    expected, batches = train(), []
    with pytest.raises(KeyboardInterrupt):
        train(BackupAndRestore(tmp_path, save_freq), LambdaCallback(on_batch_end=kill))
    again = train(BackupAndRestore(tmp_path, save_freq))
    for a, b in zip(expected[1:], again[1:], strict=True):
        np.testing.assert_array_equal(a, b)
