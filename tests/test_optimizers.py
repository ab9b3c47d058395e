"""Optimizers: their formulas in plain NumPy, state, hyperparameters, names."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore import constraints, optimizers
from kcore.errors import ArgumentError, GraphError, ShapeError, UnknownNameError

ALL = [optimizers.SGD, optimizers.RMSprop, optimizers.Adagrad, optimizers.Adadelta, optimizers.Adam,
       optimizers.Adamax, optimizers.Nadam]  # fmt: skip
EPS = 1e-7


@pytest.fixture(autouse=True)
def numpy_backend():
    with K.backend_scope("numpy"):
        K.clear_session()
        yield


def trainer(optimizer, start=(1.0, -2.0), target=(0.5, 0.5), constraint=None):
    """A weight, and a function that takes one step towards the target."""
    w = K.variable(np.array(start), name="w")
    w.constraint = constraint
    loss = K.sum(K.square(w - np.array(target, "float32")))
    return w, K.function([], [loss], updates=optimizer.get_updates(loss=loss, params=[w]))


def run(optimizer, steps=3, **kwargs):
    w, step = trainer(optimizer, **kwargs)
    path = []
    for _ in range(steps):
        step([])
        path.append(K.get_value(w))
    return np.array(path)


def reference(rule, steps=3, start=(1.0, -2.0), target=(0.5, 0.5)):
    p, state, path = np.array(start, "float64"), {}, []
    for t in range(1, steps + 1):
        p = rule(p, 2 * (p - np.array(target)), t, state)
        path.append(p)
    return np.array(path)


def test_sgd_with_momentum():
    def rule(p, g, t, s):
        s["v"] = 0.9 * s.get("v", 0.0) - 0.1 * g
        return p + s["v"]

    np.testing.assert_allclose(run(optimizers.SGD(0.1, momentum=0.9)), reference(rule), rtol=1e-5)


def test_sgd_with_nesterov():
    def rule(p, g, t, s):
        s["v"] = 0.9 * s.get("v", 0.0) - 0.1 * g
        return p + 0.9 * s["v"] - 0.1 * g

    np.testing.assert_allclose(run(optimizers.SGD(0.1, 0.9, nesterov=True)), reference(rule), rtol=1e-5)


def test_decay_uses_the_steps_done_so_far():
    def rule(p, g, t, s):
        return p - 0.1 / (1 + 0.5 * (t - 1)) * g

    np.testing.assert_allclose(run(optimizers.SGD(0.1, decay=0.5)), reference(rule), rtol=1e-5)


def test_rmsprop():
    def rule(p, g, t, s):
        s["a"] = 0.9 * s.get("a", 0.0) + 0.1 * g**2
        return p - 0.1 * g / (np.sqrt(s["a"]) + EPS)

    np.testing.assert_allclose(run(optimizers.RMSprop(0.1)), reference(rule), rtol=1e-5)


def test_adagrad():
    def rule(p, g, t, s):
        s["a"] = s.get("a", 0.0) + g**2
        return p - 0.1 * g / (np.sqrt(s["a"]) + EPS)

    np.testing.assert_allclose(run(optimizers.Adagrad(0.1)), reference(rule), rtol=1e-5)


def test_adadelta():
    def rule(p, g, t, s):
        s["a"] = 0.95 * s.get("a", 0.0) + 0.05 * g**2
        step = g * np.sqrt(s.get("d", 0.0) + EPS) / np.sqrt(s["a"] + EPS)
        s["d"] = 0.95 * s.get("d", 0.0) + 0.05 * step**2
        return p - step

    np.testing.assert_allclose(run(optimizers.Adadelta()), reference(rule), rtol=1e-5)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam(amsgrad):
    def rule(p, g, t, s):
        s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
        s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g**2
        s["h"] = np.maximum(s.get("h", 0.0), s["v"]) if amsgrad else s["v"]
        return p - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["h"]) + EPS)

    np.testing.assert_allclose(run(optimizers.Adam(0.1, amsgrad=amsgrad)), reference(rule), rtol=1e-4)


def test_adamax():
    def rule(p, g, t, s):
        s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
        s["u"] = np.maximum(0.999 * s.get("u", 0.0), np.abs(g))
        return p - 0.1 / (1 - 0.9**t) * s["m"] / (s["u"] + EPS)

    np.testing.assert_allclose(run(optimizers.Adamax(0.1)), reference(rule), rtol=1e-4)


def test_nadam():
    def rule(p, g, t, s):
        now, then = (0.9 * (1 - 0.5 * 0.96 ** (k * 0.004)) for k in (t, t + 1))
        s["schedule"] = s.get("schedule", 1.0) * now
        s["m"] = 0.9 * s.get("m", 0.0) + 0.1 * g
        s["v"] = 0.999 * s.get("v", 0.0) + 0.001 * g**2
        mean = (1 - now) * g / (1 - s["schedule"]) + then * s["m"] / (1 - s["schedule"] * then)
        return p - 0.1 * mean / (np.sqrt(s["v"] / (1 - 0.999**t)) + EPS)

    np.testing.assert_allclose(run(optimizers.Nadam(0.1)), reference(rule), rtol=1e-3)


@pytest.mark.parametrize("cls", ALL)
def test_every_optimizer_lowers_the_loss(cls):
    _, step = trainer(cls(), start=(3.0, -2.0))
    first = step([])[0]
    for _ in range(20):
        last = step([])[0]
    assert last < first


@pytest.mark.parametrize("cls", ALL)
def test_constraints_hold_after_every_step(cls):
    path = run(cls(0.5), start=(0.1, 0.5), target=(-1.0, 0.6), constraint=constraints.NonNeg())
    assert (path >= 0).all()


@pytest.mark.parametrize("cls", [optimizers.SGD, optimizers.RMSprop, optimizers.Adam])
def test_one_constrained_weight_leaves_the_others_as_they_were(cls):
    def both(constraint):
        free, held = K.variable([1.0]), K.variable([1.0])
        held.constraint = constraint
        loss = K.sum(K.square(free)) + K.sum(K.square(held))
        K.function([], [], updates=cls(0.1).get_updates(loss=loss, params=[held, free]))([])
        return K.get_value(free), K.get_value(held)

    (plain, _), (free, held) = both(None), both(lambda w: w * 0.0)
    assert free == plain
    assert held == 0.0


def test_clipvalue_bounds_each_entry():
    np.testing.assert_allclose(run(optimizers.SGD(1.0, clipvalue=0.5), steps=1), [[0.5, -1.5]])


def test_clipnorm_bounds_the_norm_over_all_weights():
    a, b = K.variable([3.0]), K.variable([4.0])
    loss = K.sum(a) * 3.0 + K.sum(b) * 4.0
    grads = optimizers.SGD(clipnorm=1.0).get_gradients(loss, [a, b])
    np.testing.assert_allclose(np.concatenate([K.eval(g) for g in grads]), [0.6, 0.8], rtol=1e-6)
    grads = optimizers.SGD(clipnorm=10.0).get_gradients(loss, [a, b])
    np.testing.assert_allclose(np.concatenate([K.eval(g) for g in grads]), [3.0, 4.0])


# --- hyperparameters --------------------------------------------------------------------------------------------------


def test_the_rate_can_change_between_steps():
    optimizer = optimizers.SGD(1.0)
    w, step = trainer(optimizer)
    K.set_value(optimizer.lr, 0.0)
    step([])
    np.testing.assert_array_equal(K.get_value(w), [1.0, -2.0])
    optimizer.learning_rate = 0.5
    assert float(K.get_value(optimizer.lr)) == 0.5
    optimizer.lr = 0.25
    step([])
    np.testing.assert_allclose(K.get_value(w), [0.75, -0.75])


def test_old_argument_names():
    assert float(K.get_value(optimizers.Adam(lr=0.5).learning_rate)) == 0.5
    assert optimizers.RMSprop(epsilon=None).epsilon == K.epsilon()


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="'momentun'.*clipnorm"):
        optimizers.SGD(momentun=0.9)


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_training_resumes_from_saved_state(cls):
    whole = run(cls(0.1), steps=5)
    first = cls(0.1)
    w, step = trainer(first)
    for _ in range(3):
        step([])
    second = cls.from_config(first.get_config())
    w2, step2 = trainer(second, start=K.get_value(w))
    second.set_weights(first.get_weights())
    for _ in range(2):
        step2([])
    np.testing.assert_allclose(K.get_value(w2), whole[-1], rtol=1e-5)


def test_state_of_adam_is_counted_and_shaped_as_in_files():
    optimizer = optimizers.Adam()
    trainer(optimizer)
    assert [np.shape(a) for a in optimizer.get_weights()] == [(), (2,), (2,), (1,)]
    assert [w.name.split("/")[-1] for w in optimizer.weights] == ["iterations:0", "m_0:0", "v_0:0", "vhat_0:0"]


def test_older_state_without_a_step_count_is_taken():
    optimizer = optimizers.RMSprop()
    trainer(optimizer)
    optimizer.set_weights([np.array([1.0, 2.0])])
    np.testing.assert_array_equal(optimizer.get_weights()[1], [1.0, 2.0])
    nadam = optimizers.Nadam()
    trainer(nadam)
    nadam.set_weights([np.array(3), np.zeros(2), np.zeros(2)])
    assert [float(a) for a in nadam.get_weights()[:2]] == [3.0, 1.0]


def test_state_that_does_not_fit_is_refused():
    optimizer = optimizers.SGD()
    trainer(optimizer)
    with pytest.raises(ArgumentError, match="2 state arrays, got 1"):
        optimizer.set_weights([np.zeros(2)])
    with pytest.raises(ShapeError, match=r"moment_0.*\(2,\).*\(3,\)"):
        optimizer.set_weights([np.array(0), np.zeros(3)])


def test_a_weight_that_the_loss_does_not_depend_on_is_named():
    w, other = K.variable([1.0], name="w"), K.variable([1.0], name="other")
    with pytest.raises(GraphError, match="other:0.*depend"):
        optimizers.SGD().get_updates(loss=K.sum(w), params=[w, other])


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_configurations_come_back(cls):
    optimizer = cls(learning_rate=0.25, clipnorm=2.0)
    config = optimizers.serialize(optimizer)
    again = optimizers.deserialize(config)
    assert type(again) is cls
    assert again.get_config() == optimizer.get_config()
    assert optimizers.serialize(optimizer) == config, "reading a configuration leaves it as it was"


def test_configurations_of_other_versions_are_read():
    config = {"name": "Adam", "lr": 0.5, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "clipnorm": None}
    optimizer = optimizers.deserialize({"class_name": "Adam", "config": config})
    assert float(K.get_value(optimizer.lr)) == 0.5
    assert optimizer.epsilon == 1e-8
    assert not hasattr(optimizer, "clipnorm")


def test_names_in_any_case():
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    assert isinstance(optimizers.get("adam"), optimizers.Adam)
    sgd = optimizers.SGD()
    assert optimizers.get(sgd) is sgd


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"adamm.*adam"):
        optimizers.get("adamm")
    with pytest.raises(ArgumentError, match=r"SGD\(\)"):
        optimizers.get(optimizers.SGD)


def test_an_optimizer_of_ones_own():
    class Sign(optimizers.Optimizer):
        def __init__(self, lr=0.1, **kwargs):
            super().__init__(**kwargs)
            self.lr = K.variable(lr)

        def get_updates(self, loss, params):
            grads = self.get_gradients(loss, params)
            self.updates = [K.update_sub(p, self.lr * K.sign(g)) for p, g in zip(params, grads, strict=True)]
            return self.updates

    np.testing.assert_allclose(run(Sign(), steps=2), [[0.9, -1.9], [0.8, -1.8]], rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_updates_may_be_asked_for_in_the_order_before_keras_2(name):
    def updated(ask):
        weight = K.variable([1.0, -2.0])
        step = K.function([], [], updates=ask(optimizers.get(name), weight, K.sum(K.square(weight))))
        step([])
        return K.get_value(weight)

    now = updated(lambda optimizer, weight, loss: optimizer.get_updates(loss, [weight]))
    old = updated(lambda optimizer, weight, loss: optimizer.get_updates([weight], [], loss))
    named = updated(lambda optimizer, weight, loss: optimizer.get_updates(params=[weight], constraints=[], loss=loss))
    np.testing.assert_array_equal(now, old)
    np.testing.assert_array_equal(now, named)
    assert (now != [1.0, -2.0]).all()


def test_the_decorator_of_old_optimizers_is_there():
    from kcore.legacy import interfaces

    @interfaces.legacy_get_updates_support
    def get_updates(self, loss, params):
        return loss, params

    assert get_updates(None, ["w"], [], "loss") == get_updates(None, "loss", ["w"]) == ("loss", ["w"])


def test_an_optimizer_that_the_backend_does_not_know_is_refused():
    with pytest.raises(ValueError, match="Expected an optimizer as a name, an Optimizer object or a configuration"):
        optimizers.get(object())
    wrapped = optimizers.TFOptimizer(object())
    with pytest.raises(ValueError, match="does not know <object .*> as an optimizer of its library"):
        wrapped.get_updates(K.sum(K.variable([1.0])), [])
    with pytest.raises(NotImplementedError, match="no configuration"):
        wrapped.get_config()
