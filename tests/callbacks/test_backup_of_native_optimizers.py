"""Optimizers of the frameworks' own libraries go on after a restart with the state that their steps had."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore.callbacks import BackupAndRestore, LambdaCallback
from kcore.layers import Dense
from kcore.models import Sequential

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(12, 2)).astype("float32")


def of_torch():
    torch = pytest.importorskip("torch")
    return torch.optim.AdamW([torch.zeros(1)], lr=0.05, amsgrad=True)


def of_jax():
    """Momentum, written as the libraries of JAX are."""
    jax = pytest.importorskip("jax")

    def init(params):
        return [jax.numpy.zeros_like(p) for p in params], jax.numpy.zeros((), "int32")

    def update(grads, state, params):
        trace = [0.9 * t + g for t, g in zip(state[0], grads, strict=True)]
        return [-0.01 * t / (1 + 0.1 * state[1]) for t in trace], (trace, state[1] + 1)

    return SimpleNamespace(init=init, update=update)


def of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    return tf.compat.v1.train.AdamOptimizer(0.05)


def train(make, *callbacks):
    K.clear_session()
    kcore.set_random_seed(4)
    model = Sequential([Dense(2, input_shape=(3,))])
    model.compile(make(), "mse")
    history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=list(callbacks))
    return history.history["loss"], [*model.get_weights(), *model.optimizer.get_weights()]


@pytest.mark.parametrize(("backend", "make"), [("torch", of_torch), ("jax", of_jax), ("tensorflow", of_tensorflow)])
@pytest.mark.parametrize(("save_freq", "at"), [(1, 5), ("epoch", 7)])
def test_a_killed_run_goes_on(backend, make, save_freq, at, tmp_path):
    batches = itertools.count(1)

    def kill(batch, logs):
        if next(batches) == at:
            raise KeyboardInterrupt

    with K.backend_scope(backend):
        losses, state = train(make)
        with pytest.raises(KeyboardInterrupt):
            train(make, BackupAndRestore(tmp_path, save_freq), LambdaCallback(on_batch_end=kill))
        again, same = train(make, BackupAndRestore(tmp_path, save_freq))
    assert again == losses
    assert len(state) > 4
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(state, same, strict=True))


def test_a_rate_that_was_changed_stays_changed(tmp_path):
    """As a scheduler of PyTorch's does it: in the optimizer's group of parameters."""
    made = []

    def make():
        made.append(of_torch())
        return made[-1]

    def lower(epoch, logs):
        made[-1].param_groups[0]["lr"] *= 0.5

    def kill(batch, logs):
        if made[-1].param_groups[0]["lr"] < 0.02:
            raise KeyboardInterrupt

    with K.backend_scope("torch"):
        losses, _ = train(make, LambdaCallback(on_epoch_end=lower))
        with pytest.raises(KeyboardInterrupt):
            train(make, LambdaCallback(on_epoch_end=lower, on_batch_end=kill), BackupAndRestore(tmp_path))
        again, _ = train(make, LambdaCallback(on_epoch_end=lower), BackupAndRestore(tmp_path))
    assert again == losses
