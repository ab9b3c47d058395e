"""A small regression for tests of training: data, a model, its weights as one vector."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np

from kcore.layers import Dense
from kcore.models import Sequential

RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 6)).astype("float32")
Y = RNG.normal(size=(40, 2)).astype("float32")
Z = RNG.normal(size=(40, 1)).astype("float32")


def make(metrics=("mae",), seed=3, **kwargs):
    np.random.seed(seed)
    model = Sequential([Dense(5, activation="tanh", input_shape=(6,)), Dense(2)])
    model.compile(kwargs.pop("optimizer", "adam"), "mse", metrics=list(metrics), **kwargs)
    return model


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])
