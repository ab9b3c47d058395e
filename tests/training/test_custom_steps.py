"""`train_step`, `test_step` and `predict_step` of one's own: written once in K, compiled or run eagerly."""

from __future__ import annotations

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import layers

rng = np.random.default_rng(0)
X = rng.standard_normal((12, 3)).astype("float32")
Y = rng.standard_normal((12, 2)).astype("float32")


def stack(cls, **kwargs):
    K.clear_session()
    kcore.set_random_seed(3)
    return cls([layers.Dense(4, activation="tanh", input_shape=(3,)), layers.BatchNormalization(), layers.Dense(2)])


def compiled(cls, run_eagerly=False):
    model = stack(cls)
    model.compile(kcore.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5), "mse", metrics=["mae"],
                  run_eagerly=run_eagerly)  # fmt: skip
    return model


class Default(kcore.Sequential):
    """The written-out step, as it is by default."""

    def train_step(self, data):
        return super().train_step(data)

    def test_step(self, data):
        return super().test_step(data)

    def predict_step(self, data):
        return super().predict_step(data)


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 2.0, 12)])
def test_the_default_step_written_out_is_the_built_in_one(run_eagerly, weights):
    results = []
    for cls in (kcore.Sequential, Default):
        model = compiled(cls, run_eagerly)
        model.fit(X, Y, sample_weight=weights, batch_size=4, epochs=2, shuffle=False, verbose=0)
        results.append([*model.get_weights(), model.predict(X), np.asarray(model.evaluate(X, Y, verbose=0))])
        assert model.metrics_names == ["loss", "mae"]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Penalised(kcore.Sequential):
    """Gradients of one's own, and a metric of one's own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.mean = kcore.metrics.Mean(name="mean_loss")

    def train_step(self, data):
        x, y = data
        loss = K.mean(K.square(self(x, training=True) - y))
        gradients = K.gradients(loss, self.trainable_weights)
        self.optimizer.apply_gradients((g * 0.5, w) for g, w in zip(gradients, self.trainable_weights, strict=True))
        self.mean.update_state(loss)
        return {"loss": loss, "mean": self.mean(loss), "after": self.mean.result()}


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_gradients_and_metrics_of_ones_own(run_eagerly):
    model, plain = stack(Penalised), stack(kcore.Sequential)
    plain.set_weights(model.get_weights())
    model.compile(kcore.optimizers.SGD(0.2), run_eagerly=run_eagerly)
    plain.compile(kcore.optimizers.SGD(0.1), "mse")
    loss, mean, after = model.train_on_batch(X, Y)
    assert loss == pytest.approx(plain.train_on_batch(X, Y), rel=1e-5)
    assert mean == pytest.approx(loss)
    assert after == pytest.approx(loss)
    assert model.metrics_names == ["loss", "mean", "after"]
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Twice(kcore.Sequential):
    """Two steps in one: the second sees the weights after the first."""

    def train_step(self, data):
        x, y = data
        for _ in range(2):
            loss = K.mean(K.square(self(x) - y))
            self.optimizer.minimize(loss, self.trainable_weights)
        return {"loss": loss}


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("optimizer", [lambda: kcore.optimizers.SGD(0.1, momentum=0.9),
                                       lambda: kcore.optimizers.Adam(0.05, epsilon=0.1)])  # fmt: skip
def test_updates_happen_in_the_order_of_the_code(optimizer, run_eagerly):
    def small(cls):
        K.clear_session()
        kcore.set_random_seed(3)
        return cls([layers.Dense(2, input_shape=(3,))])

    model, plain = small(Twice), small(kcore.Sequential)
    model.compile(optimizer(), run_eagerly=run_eagerly)
    plain.compile(optimizer(), "mse")
    for _ in range(2):
        loss = model.train_on_batch(X, Y)
        first, second = plain.train_on_batch(X, Y), plain.train_on_batch(X, Y)
        assert loss == pytest.approx(second, rel=1e-5)
        assert loss != pytest.approx(first, rel=1e-5)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert len(model.optimizer.get_weights()) == len(plain.optimizer.get_weights())


class Adversarial(kcore.Model):
    """Two players, each with an optimizer of its own; no targets."""

    def __init__(self):
        super().__init__()
        self.maker = kcore.Sequential([layers.Dense(3, input_shape=(3,))])
        self.judge = kcore.Sequential([layers.Dense(1, activation="sigmoid", input_shape=(3,))])
        self.other = kcore.optimizers.Adam(0.01)

    def call(self, x):
        return self.judge(self.maker(x))

    def train_step(self, data):
        (x,) = data
        real, made = self.judge(x), self.judge(self.maker(K.random_normal(K.shape(x))))
        judged = -K.mean(K.log(real + 1e-3) + K.log(1.001 - made))
        self.optimizer.minimize(judged, self.judge.trainable_weights)
        fooled = -K.mean(K.log(self.judge(self.maker(x)) + 1e-3))
        self.other.minimize(fooled, self.maker.trainable_weights)
        return {"judge": judged, "maker": fooled}


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_two_optimizers_and_no_targets(run_eagerly):
    model = Adversarial()
    model.compile(kcore.optimizers.Adam(0.02), run_eagerly=run_eagerly)
    history = model.fit(X, batch_size=4, epochs=3, verbose=0).history
    assert sorted(history) == ["judge", "maker"]
    assert len(history["judge"]) == 3
    assert np.isfinite(history["maker"]).all()
    assert len(model.optimizer.weights) == len(model.other.weights)


def test_a_generator_trains_with_a_step_of_ones_own():
    model = compiled(Default)

    def batches():
        while True:
            yield X[:4], Y[:4]

    history = model.fit_generator(batches(), steps_per_epoch=2, epochs=2, verbose=0).history
    assert sorted(history) == ["loss", "mae"]


def test_a_step_must_return_what_is_logged():
    class Silent(kcore.Sequential):
        def train_step(self, data):
            return None

    model = compiled(Silent)
    with pytest.raises(kcore.errors.GraphError, match="returns a dictionary"):
        model.train_on_batch(X, Y)


def test_prediction_of_ones_own():
    class Classes(kcore.Sequential):
        def predict_step(self, data):
            return K.argmax(self(data, training=False))

    model = compiled(Classes)
    np.testing.assert_array_equal(model.predict(X), compiled(kcore.Sequential).predict(X).argmax(-1))
