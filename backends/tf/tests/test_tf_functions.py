"""Executables on this backend: gradient regions, state, control flow, optimizer updates, random draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kcore.backend import active
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.graph.updates import update
from kcore.ops import REGISTRY
from kcore.ops.control import branch, loop, repeat_while
from kcore.variables import Variable
from kcore_tf.kernels import INPLACE, KERNELS
from kcore_tf.kernels.random import fold_key, step_key
from kcore_tf.traces import COMPILE_VARIABLE

K = {name: op.public for name, op in REGISTRY.items()}
RNG = np.random.default_rng(2)


# --- gradients --------------------------------------------------------------------------------------------------------


def test_the_forward_pass_of_a_region_gives_its_inner_values_too():
    x, w = placeholder((2, 3), "float64"), Variable(np.ones((3, 1)))
    y = K["matmul"](x, w)
    (g,) = gradients(K["sum"](y), [w])
    function = Function([x], [g, y])
    got = function([np.arange(6.0).reshape(2, 3)])
    np.testing.assert_array_equal(got[0], [[3], [5], [7]])
    np.testing.assert_array_equal(got[1], [[3], [12]])
    assert function.source().count("k_matmul") == 1


def test_gradients_by_intermediate_values_and_by_variables_together(agree):
    x = placeholder((4,), "float64")
    h = K["tanh"](x)
    loss = K["sum"](K["square"](h) * x)
    agree([x], gradients(loss, [x, h]), [RNG.standard_normal(4)])


def test_third_derivatives(agree):
    x = placeholder((), "float64")
    y = K["sin"](x) * K["exp"](x)
    for _ in range(3):
        (y,) = gradients(y, [x])
    agree([x], [y], [0.7])


def test_a_gradient_penalty_trains(agree):
    x, w = placeholder((5, 3), "float64"), placeholder((3, 2), "float64")
    y = K["softplus"](K["matmul"](x, w))
    (by_x,) = gradients(K["sum"](y), [x])
    penalty = K["sum"](K["square"](K["sqrt"](K["sum"](K["square"](by_x), axis=1)) - 1.0))
    agree([x, w], gradients(penalty, [w]), [RNG.standard_normal((5, 3)), RNG.standard_normal((3, 2))])


def test_a_gradient_of_slices_is_made_dense(agree):
    table, x = Variable(RNG.standard_normal((7, 3)), name="table"), placeholder((4,), "int32")
    (g,) = gradients(K["sum"](K["square"](K["gather"](table, x, 0))), [table])
    agree([x], [g], [[0, 6, 6, -2]])


def test_gradients_that_nothing_reaches_are_zeros():
    x = tf.constant([1.0, 2.0])
    aux, (gx, gy) = active.backend().value_and_grad(lambda a, b: (tf.reduce_sum(b), (a,)), [x, x * 2])
    assert (gx.numpy().tolist(), gy.numpy().tolist()) == ([0, 0], [1, 1])
    assert aux[0] is x


# --- state ------------------------------------------------------------------------------------------------------------


def test_updates_see_the_values_before_the_call_and_results_do_not_follow_the_state():
    a, b = Variable(np.array([1.0, 2.0]), name="a"), Variable(np.array([3.0, 4.0]), name="b")
    swap = Function([], [a, K["reshape"](b, (2, 1))], [(a, b), (b, a)])
    first, second = swap.run_native([], 0)
    assert (first.numpy().tolist(), second.numpy().tolist()) == ([1, 2], [[3], [4]])
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([3, 4], [1, 2])


def test_a_function_of_updates_alone():
    v = Variable(np.array([1.0, 2.0]))
    function = Function([], [], [update(v, v + 1.0)])
    assert function([]) == function([]) == []
    assert v.numpy().tolist() == [3, 4]


@pytest.mark.parametrize("view", [
    lambda v: K["cast"](v, "float64"), lambda v: K["reduce_to"](v, (2,)), K["print_tensor"],
    lambda v: branch(np.array(True), lambda: v, lambda: v * 2.0),
    lambda v: branch(placeholder_condition(), lambda: v, lambda: v * 2.0),
    lambda v: loop(lambda c, xs, i: (c, []), [v], [], 3)[0][0],
    lambda v: repeat_while(lambda c: K["less"](K["sum"](c), -1.0), lambda c: [c], [v])[0],
    lambda v: K["sum"](v, axis=()), lambda v: K["max"](v, axis=()), lambda v: K["dropout"](v, 0.0),
    lambda v: K["clip"](v, None, None), K["transpose"], lambda v: v[::1],
])  # fmt: skip
def test_an_output_that_may_be_the_state_itself_keeps_the_old_value(view):
    v = Variable(np.array([1.0, 2.0]))
    (got,) = Function([], [view(v)], [update(v, v + 10.0)]).run_native([], 0)
    assert got.numpy().tolist() == [1, 2]
    assert v.numpy().tolist() == [11, 12]


def placeholder_condition():
    """A condition that is not known at lowering."""
    return K["greater"](K["sum"](Variable(np.ones(2))), 0.0)


def test_state_is_a_copy_of_what_it_was_made_from(tf_backend):
    source = np.ones(2, "float32")
    state = tf_backend.new_state(source, "float32", "v")
    tf_backend.assign(state, tf_backend.asarray(source))
    source += 1
    assert state.numpy().tolist() == [1, 1]
    out = tf_backend.to_numpy(state)
    out += 5
    assert state.numpy().tolist() == [1, 1]


# --- control flow -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_loops_and_their_gradients(reverse, agree_on):
    def fn(xs, start, w):
        def step(c, x, i):
            return [K["tanh"](K["matmul"](c[0], w) + x[0])], [c[0] * K["cast"](i, "float64")]

        (last,), (ys,) = loop(step, [start], [xs], reverse=reverse)
        return [last, ys]

    agree_on(fn, RNG.standard_normal((4, 2, 3)), RNG.standard_normal((2, 3)), RNG.standard_normal((3, 3)), second=True)


@pytest.mark.parametrize("run", [lambda fn: fn(), lambda fn: tf.function(fn, autograph=False)()])
def test_a_loop_over_no_steps_keeps_its_state_and_stacks_nothing(run):
    start, steps = tf.constant([1.0, 2.0]), tf.zeros((0, 2))
    last, ys = run(lambda: KERNELS["scan"](lambda c, x, i: (c + x, c), [start], [steps], None, False))
    assert last.numpy().tolist() == [1, 2]
    assert tuple(ys.shape) == (0, 2)


def test_a_loop_by_length_alone(agree):
    x = placeholder((2,), "float64")
    (last,), (steps,) = loop(lambda c, xs, i: ([c[0] * 2.0], [i]), [x], [], 5)
    agree([x], [last, steps], [[1.0, 3.0]])


@pytest.mark.parametrize("value", [-1.0, 2.0])
def test_branches_and_their_gradients(value, agree):
    x = placeholder((), "float64")
    y = branch(K["greater"](x, 0.0), lambda: K["square"](x), lambda: x * 3.0)
    agree([x], [y, *gradients(y, [x])], [value])


def test_an_open_loop(agree):
    x = placeholder((), "float64")
    count, final = repeat_while(lambda n, v: K["less"](v, 100.0), lambda n, v: [n + 1, v * 2.0], [np.int32(0), x])
    agree([x], [count, final], [3.0])
    agree([x], [count, final], [300.0])


# --- optimizer updates ------------------------------------------------------------------------------------------------

STATES = {"sgd_update": 1, "rmsprop_update": 1, "adam_update": 3, "adagrad_update": 1, "adadelta_update": 2,
          "adamax_update": 2}  # fmt: skip
SCALARS = {"sgd_update": [0.1, 0.9], "rmsprop_update": [0.1, 0.8], "adam_update": [0.1, 0.9, 0.99],
           "adagrad_update": [0.1], "adadelta_update": [0.1, 0.9], "adamax_update": [0.1, 0.9, 0.99]}  # fmt: skip
LAST = {name: [False] if name == "sgd_update" else [1e-3] for name in STATES}
SHAPES = [(3, 4), (5,), (1,)]


def lists(name, dtype="float64", amsgrad=True):
    made = [[np.asarray(RNG.random(s), dtype) for s in SHAPES] for _ in range(2 + STATES[name])]
    return made if amsgrad else [*made[:-1], []]


def tensors(nest):
    return [[tf.constant(a) for a in part] for part in nest]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("variant", [0, 1])
def test_updates_in_place_and_by_value_equal_their_definition(name, variant, dtype):
    parts = lists(name, dtype, amsgrad=bool(variant) or name != "adam_update")
    last = [bool(variant)] if name == "sgd_update" else LAST[name]
    scalars = [np.asarray(s, dtype) for s in SCALARS[name]]
    with active.backend_scope("numpy"):
        expected = K[name](*parts, *scalars, *last)
    by_value = KERNELS[name](*tensors(parts), *map(tf.constant, scalars), *last)
    references = [[tf.Variable(a) for a in part] for part in parts]
    INPLACE[name](references[0], tensors(parts)[1], *references[2:], *map(tf.constant, scalars), *last)
    in_place = [t for i, part in enumerate(references) if i != 1 for t in part]
    for got in (by_value, in_place):
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            tolerance = 2e-6 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(a.numpy(), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", STATES)
def test_updates_of_no_variables(name):
    last = [tf.constant(s) for s in SCALARS[name]] + LAST[name]
    empty = [[] for _ in range(2 + STATES[name])]
    INPLACE[name](*empty, *last)
    assert list(KERNELS[name](*empty, *last)) == []


def test_training_updates_in_place_and_learns(agree):
    x, w = placeholder((8, 2), "float64"), Variable(np.zeros((2, 1)), name="w")
    m, v = Variable(np.zeros((2, 1)), name="m"), Variable(np.zeros((2, 1)), name="v")
    loss = K["mean"](K["square"](K["matmul"](x, w) - 1.0))
    new = K["adam_update"]([w], gradients(loss, [w]), [m], [v], [], *np.array([0.05, 0.9, 0.99]), 1e-7)
    train = Function([x], [loss], list(zip([w, m, v], new, strict=True)))
    storage = w.state(active.backend())
    data = RNG.standard_normal((8, 2))
    losses = [float(train([data])[0]) for _ in range(30)]
    assert losses[-1] < losses[0]
    assert w.state(active.backend()) is storage
    assert "inplace_adam_update" in train.source()


# --- random -----------------------------------------------------------------------------------------------------------

DRAWS = {
    "random_uniform": ((50, 40), -1.0, 3.0, "float32"), "random_normal": ((50, 40), 2.0, 0.5, "float64"),
    "truncated_normal": ((50, 40), 1.0, 2.0, "float32"), "random_binomial": ((50, 40), 0.3, "float32"),
}  # fmt: skip
MOMENTS = {
    "random_uniform": (1.0, 4 / 12**0.5), "random_normal": (2.0, 0.5), "truncated_normal": (1.0, 2 * 0.8796),
    "random_binomial": (0.3, 0.21**0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_equal_keys_draw_equal_numbers_and_others_differ(name):
    key = fold_key(step_key(3), 17)
    first = KERNELS[name](key, *DRAWS[name]).numpy()
    traced = tf.function(lambda step: KERNELS[name](fold_key(step, 17), *DRAWS[name]))(tf.constant(step_key(3)))
    np.testing.assert_array_equal(first, traced)
    for other in (fold_key(step_key(4), 17), fold_key(step_key(3), 18), step_key(3)):
        assert (first != KERNELS[name](other, *DRAWS[name]).numpy()).any()
    assert first.dtype == DRAWS[name][-1]
    mean, deviation = MOMENTS[name]
    assert abs(first.mean() - mean) < 5 * deviation / 2000**0.5
    assert abs(first.std() - deviation) < 0.1 * deviation


def test_draws_stay_within_their_bounds():
    key = step_key(1)
    uniform = KERNELS["random_uniform"](key, (10000,), 2.0, 3.0, "float32").numpy()
    assert 2 <= uniform.min() < 2.01
    assert 2.99 < uniform.max() <= 3
    truncated = KERNELS["truncated_normal"](key, (10000,), 1.0, 0.5, "float32").numpy()
    assert truncated.min() >= 0
    assert truncated.max() <= 2
    integers = tf.function(lambda: KERNELS["random_uniform"](key, (1000,), 2, 5, "int32"))().numpy()
    assert sorted(set(integers.tolist())) == [2, 3, 4]


def test_keys_fold_native_counters_too():
    key = step_key(5)
    np.testing.assert_array_equal(fold_key(key, tf.constant(3)).numpy(), fold_key(key, 3))
    np.testing.assert_array_equal(fold_key(tf.constant(key), 3).numpy(), fold_key(key, 3))
    numbers = itertools.product(range(9), repeat=3)
    seen = {tuple(fold_key(fold_key(step_key(step), site), i)) for step, site, i in numbers}
    assert len(seen) == 9**3


@pytest.mark.parametrize("noise_shape", [None, (None, 1)])
def test_dropout_scales_what_it_keeps_and_the_gradient_alike(noise_shape):
    x = placeholder((100, 30), "float32")
    y = K["dropout"](x, 0.4, noise_shape, seed=3)
    data = RNG.random((100, 30)).astype("float32") + 1
    value, g = Function([x], [y, *gradients(K["sum"](y), [x])])([data])
    kept = value != 0
    assert abs(kept.mean() - 0.6) < (0.05 if noise_shape is None else 0.2)
    np.testing.assert_allclose(value[kept], (data / 0.6)[kept], rtol=1e-6)
    np.testing.assert_allclose(g, kept / 0.6, rtol=1e-6)
    if noise_shape is not None:
        assert (kept == kept[:, :1]).all()


def test_calls_differ_and_functions_repeat():
    def draws():
        function = Function([], [K["random_normal"]((3,), seed=7)])
        return [function([])[0].tolist() for _ in range(2)]

    first, second = draws(), draws()
    assert first == second
    assert first[0] != first[1]


def test_draws_in_a_loop_differ_from_step_to_step():
    x = placeholder((70, 3), "float32")
    _, (ys,) = loop(lambda c, xs, i: ([], [K["random_uniform"]((3,), seed=5)]), [], [x])
    (got,) = Function([x], [ys])([np.zeros((70, 3))])
    assert len(np.unique(got)) > 200


# --- compilation ------------------------------------------------------------------------------------------------------


def test_a_function_is_traced_once_for_each_shape(monkeypatch):
    traced = []
    square = KERNELS["square"]
    monkeypatch.setitem(active.backend().kernels, "square", lambda x: traced.append(tuple(x.shape)) or square(x))
    x = placeholder((None, None), "float32")
    function = Function([x], [K["square"](x), K["shape"](x)])
    for shape in ((2, 3), (4, 3), (2, 3), (2, 5), (4, 3)):
        value, found = function([np.full(shape, 3)])
        assert value.shape == shape
        assert (value == 9).all()
        assert tuple(found) == shape
    assert traced == [(2, 3), (4, 3), (2, 5)]


def test_executables_are_compiled_on_request(monkeypatch):
    x, w = placeholder((4, 3), "float64"), Variable(np.ones((3, 2)))
    loss = K["sum"](K["tanh"](K["matmul"](x, w)))
    wanted = [loss, *gradients(loss, [w])]
    data = RNG.standard_normal((4, 3))
    plain = Function([x], wanted)([data])
    monkeypatch.setenv(COMPILE_VARIABLE, "1")
    for a, b in zip(Function([x], wanted)([data]), plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_pooling_nothing_has_a_gradient() -> None:
    """TensorFlow 2.21 with oneDNN ends the process in its own gradient of an empty batch."""
    with active.backend_scope("tensorflow"):
        x = placeholder((None, 4, 4, 1), "float32")
        grads = gradients(K["max_pool"](x, (2, 2), (2, 2), "valid", "channels_last"), [x])
        (got,) = Function([x], grads)([np.zeros((0, 4, 4, 1), "float32")])
    assert got.shape == (0, 4, 4, 1)


def test_a_trace_does_not_outlive_its_function():
    """TensorFlow keeps the graph of each call of a custom gradient; ours lets go of it once the trace is made."""
    from tensorflow.python.framework import ops

    from kcore import backend

    before = set(ops.gradient_registry._registry)
    x = placeholder((2, 4, 4, 1), "float32")
    loss = backend.sum(backend.pool2d(x * x, (2, 2), pool_mode="max"))
    Function([x], gradients(loss, [x]))([np.ones((2, 4, 4, 1), "float32")])
    assert set(ops.gradient_registry._registry) == before
