"""Optimizers of torch.optim train a model of kcore exactly as they train PyTorch's own parameters."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from kcore import backend as K
from kcore import layers, optimizers
from kcore.models import Sequential, load_model

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")
KERNEL = np.random.default_rng(2).normal(size=(3, 2)).astype("float32")


@pytest.fixture(autouse=True)
def on_torch():
    with K.backend_scope("torch"):
        K.clear_session()
        yield


def trained(optimizer, steps=4, **dense):
    model = Sequential([layers.Dense(2, input_shape=(3,), **dense)])
    model.set_weights([KERNEL, np.zeros(2)])
    model.compile(optimizer, "mse")
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


def natively(make, steps=4):
    params = [torch.tensor(KERNEL, requires_grad=True), torch.zeros(2, requires_grad=True)]
    optimizer = make(params)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.mean((torch.tensor(X) @ params[0] + params[1] - torch.tensor(Y)) ** 2).backward()
        optimizer.step()
    return [p.detach().numpy() for p in params]


MAKERS = {
    "SGD": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.5),
    "AdamW": functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1, amsgrad=True),
    "Adagrad": functools.partial(torch.optim.Adagrad, lr=0.1, initial_accumulator_value=0.1),
    "NAdam": functools.partial(torch.optim.NAdam, lr=0.1),
    "Rprop": functools.partial(torch.optim.Rprop, lr=0.1),
    "ASGD": functools.partial(torch.optim.ASGD, lr=0.1),
    "class": torch.optim.Adam,
}


@pytest.mark.parametrize("name", MAKERS)
def test_steps_are_those_of_the_library(name):
    for ours, theirs in zip(trained(MAKERS[name]).get_weights(), natively(MAKERS[name]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_an_object_says_how_to_step_and_a_scheduler_acts():
    other = [torch.zeros(1, requires_grad=True)]
    optimizer = torch.optim.SGD(other, lr=0.1, momentum=0.9)
    model = trained(optimizer, steps=2)
    for ours, theirs in zip(model.get_weights(), natively(lambda p: torch.optim.SGD(p, 0.1, 0.9), 2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    before = model.get_weights()
    optimizer.param_groups[0].update(lr=0.0, momentum=0.0)
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert other[0].item() == 0


def test_state_and_constraints():
    model = trained(functools.partial(torch.optim.Adam, lr=0.1), kernel_constraint="non_neg")
    assert (model.get_weights()[0] >= 0).all()
    assert isinstance(model.optimizer, optimizers.TFOptimizer)
    state = model.optimizer.get_weights()
    assert state[0] == 4
    assert {a.shape for a in state} == {(), (3, 2), (2,)}
    again = trained(functools.partial(torch.optim.Adam, lr=0.1), steps=1, kernel_constraint="non_neg")
    again.set_weights(model.get_weights())
    again.optimizer.set_weights(state)
    again.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_files_leave_such_an_optimizer_out(tmp_path):
    model = trained(torch.optim.Adam)
    with pytest.warns(UserWarning, match="saved without its optimizer and must be compiled after loading"):
        model.save(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="compile"):
        again = load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_what_cannot_step_is_refused():
    with pytest.raises(ValueError, match="wants to compute the loss again"):
        trained(torch.optim.LBFGS)
    groups = [{"params": [torch.zeros(1)]}, {"params": [torch.ones(1)]}]
    with pytest.raises(ValueError, match="one parameter group is expected, got 2 groups"):
        trained(torch.optim.SGD(groups, lr=0.1))
    with pytest.raises(ValueError, match=r"gives a torch\.optim\.Optimizer is expected, got one that gives int"):
        trained(lambda params: 3)
    with pytest.raises(ValueError, match="Expected an optimizer as a name"):
        trained(3)
