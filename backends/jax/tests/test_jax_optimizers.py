"""Gradient transformations in the form of optax train models of kcore."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from kcore import backend as K
from kcore import layers
from kcore.models import Sequential

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 1)).astype("float32")


class MomentumState(NamedTuple):
    count: Any
    trace: Any


class Momentum:
    """trace = 0.9 * trace + gradient; the step shrinks with the count."""

    def init(self, params):
        return MomentumState(jnp.zeros((), "int32"), [jnp.zeros_like(p) for p in params])

    def update(self, grads, state, params=None):
        trace = [0.9 * t + g for t, g in zip(state.trace, grads, strict=True)]
        rate = 0.1 / (1 + state.count)
        return [-rate * t for t in trace], MomentumState(state.count + 1, trace)


def test_a_transformation_steps_and_keeps_its_state():
    with K.backend_scope("jax"):
        K.clear_session()
        model = Sequential([layers.Dense(1, input_shape=(3,), use_bias=False)])
        model.set_weights([np.ones((3, 1))])
        model.compile(Momentum(), "mse")
        for _ in range(3):
            model.train_on_batch(X, Y)
        w, trace = np.ones((3, 1)), np.zeros((3, 1))
        for count in range(3):
            trace = 0.9 * trace + 2 / 8 * X.T @ (X @ w - Y)
            w = w - 0.1 / (1 + count) * trace
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4)
        state = model.optimizer.get_weights()
        np.testing.assert_allclose(state[2], trace, rtol=1e-4)
        assert [state[0], state[1]] == [3, 3]


def test_other_objects_are_refused():
    with K.backend_scope("jax"), pytest.raises(ValueError, match="Expected an optimizer as a name"):
        Sequential([layers.Dense(1, input_shape=(3,))]).compile(Momentum, "mse")
