"""Optimizers of TensorFlow's libraries train models of kcore as they train its own variables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kcore import backend as K
from kcore import layers, optimizers
from kcore.models import Sequential

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")
KERNEL = np.random.default_rng(2).normal(size=(3, 2)).astype("float32")
train = tf.compat.v1.train
MAKERS = {
    "sgd": lambda: train.GradientDescentOptimizer(0.1),
    "momentum": lambda: train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda: train.AdamOptimizer(0.1),
    "adagrad": lambda: train.AdagradOptimizer(0.1),
    "rmsprop": lambda: train.RMSPropOptimizer(0.1, momentum=0.5),
}


def natively(make, steps):
    kernel, bias, optimizer = tf.Variable(KERNEL), tf.Variable(tf.zeros(2)), make()
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((X @ kernel + bias - Y) ** 2)
        params = [kernel, bias]
        optimizer.apply_gradients(list(zip(tape.gradient(loss, params), params, strict=True)))
    return [kernel.numpy(), bias.numpy()]


@pytest.mark.parametrize("name", MAKERS)
def test_steps_are_those_of_the_library(name):
    with K.backend_scope("tensorflow"):
        K.clear_session()
        model = Sequential([layers.Dense(2, input_shape=(3,))])
        model.set_weights([KERNEL, np.zeros(2)])
        model.compile(MAKERS[name](), "mse")
        assert isinstance(model.optimizer, optimizers.TFOptimizer)
        for _ in range(4):
            model.train_on_batch(X, Y)
        for ours, theirs in zip(model.get_weights(), natively(MAKERS[name], 4), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


class Signs:
    """An object in the form of tf.keras.optimizers: steps of one size, halved each time."""

    variables = ()

    def build(self, variables):
        self.variables = [tf.Variable(0.1)]

    def apply_gradients(self, pairs):
        for gradient, variable in pairs:
            variable.assign_sub(self.variables[0] * tf.sign(gradient))
        self.variables[0].assign(self.variables[0] / 2)


def test_an_object_in_the_form_of_keras():
    with K.backend_scope("tensorflow"):
        K.clear_session()
        model = Sequential([layers.Dense(2, input_shape=(3,))])
        model.set_weights([KERNEL, np.zeros(2)])
        model.compile(Signs(), "mse")
        model.train_on_batch(X, Y)
        np.testing.assert_allclose(abs(model.get_weights()[0] - KERNEL), 0.1, rtol=1e-4)
        once = model.get_weights()[0]
        model.train_on_batch(X, Y)
        np.testing.assert_allclose(abs(model.get_weights()[0] - once), 0.05, rtol=1e-4)
        np.testing.assert_allclose(model.optimizer.get_weights(), [2, 0.025], rtol=1e-6)
