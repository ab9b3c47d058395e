"""Executables on this backend: gradient regions, state, control flow, optimizer updates, random draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kcore.backend import active
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.graph.updates import update
from kcore.ops import REGISTRY
from kcore.ops.control import branch, loop, repeat_while
from kcore.variables import Variable
from kcore_torch.backend import COMPILE_VARIABLE
from kcore_torch.kernels import inplace, kernels
from kcore_torch.kernels.random import fold_key, step_key

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


def test_results_carry_no_autograd_history():
    w = Variable(np.ones(3))
    y = K["square"](w)
    native = Function([], [*gradients(K["sum"](y), [w]), y]).run_native([], 0)
    assert not any(t.requires_grad for t in native)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


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


def test_a_zero_gradient_without_memory_is_made_real():
    x = placeholder((3,), "float64")
    (first,) = gradients(K["sum"](K["abs"](x)), [x])
    (second,) = gradients(K["sum"](K["square"](first)), [x])
    (got,) = Function([x], [second])([[1.0, -2.0, 0.0]])
    np.testing.assert_array_equal(got, [0, 0, 0])


# --- state ------------------------------------------------------------------------------------------------------------


def test_updates_see_the_values_before_the_call_and_results_do_not_follow_the_state():
    a, b = Variable(np.array([1.0, 2.0]), name="a"), Variable(np.array([3.0, 4.0]), name="b")
    swap = Function([], [a, K["reshape"](b, (2, 1))], [(a, b), (b, a)])
    first, second = swap.run_native([], 0)
    assert (first.tolist(), second.tolist()) == ([1, 2], [[3], [4]])
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([3, 4], [1, 2])


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
    assert got.tolist() == [1, 2]
    assert v.numpy().tolist() == [11, 12]


def placeholder_condition():
    """A condition that is not known at lowering."""
    return K["greater"](K["sum"](Variable(np.ones(2))), 0.0)


def test_state_is_a_copy_of_what_it_was_made_from(torch_backend):
    source = np.ones(2, "float32")
    state = torch_backend.new_state(source, "float32", "v")
    torch_backend.assign(state, torch_backend.asarray(source))
    source += 1
    assert state.tolist() == [1, 1]
    out = torch_backend.to_numpy(state)
    out += 5
    assert state.tolist() == [1, 1]


# --- control flow -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_loops_and_their_gradients(reverse, agree_on):
    def fn(xs, start, w):
        def step(c, x, i):
            return [K["tanh"](K["matmul"](c[0], w) + x[0])], [c[0] * K["cast"](i, "float64")]

        (last,), (ys,) = loop(step, [start], [xs], reverse=reverse)
        return [last, ys]

    agree_on(fn, RNG.standard_normal((4, 2, 3)), RNG.standard_normal((2, 3)), RNG.standard_normal((3, 3)), second=True)


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

STATES = {"sgd_update": 1, "rmsprop_update": 1, "adam_update": 3}
SCALARS = {"sgd_update": [0.1, 0.9], "rmsprop_update": [0.1, 0.8], "adam_update": [0.1, 0.9, 0.99]}
LAST = {"sgd_update": [False], "rmsprop_update": [1e-3], "adam_update": [1e-3]}
SHAPES = [(3, 4), (5,), (1,)]


def lists(name, dtype="float64", amsgrad=True):
    made = [[np.asarray(RNG.random(s), dtype) for s in SHAPES] for _ in range(2 + STATES[name])]
    return made if amsgrad else [*made[:-1], []]


def tensors(nest):
    return [[torch.tensor(a) for a in part] for part in nest]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("variant", [0, 1])
def test_updates_in_place_and_by_value_equal_their_definition(name, variant, dtype):
    parts = lists(name, dtype, amsgrad=bool(variant) or name != "adam_update")
    last = [bool(variant)] if name == "sgd_update" else LAST[name]
    scalars = [np.asarray(s, dtype) for s in SCALARS[name]]
    with active.backend_scope("numpy"):
        expected = K[name](*parts, *scalars, *last)
    arguments = tensors(parts)
    # Gradients may come in any memory order.
    arguments[1][0] = arguments[1][0].t().contiguous().t()
    by_value = kernels[name](*arguments, *map(torch.tensor, scalars), *last)
    for part, old in zip(arguments, parts, strict=True):
        assert all((t.numpy() == a).all() for t, a in zip(part, old, strict=True))
    with torch.enable_grad():
        by_definition = kernels[name](*arguments, *map(torch.tensor, scalars), *last)
    inplace[name](*arguments, *map(torch.tensor, scalars), *last)
    in_place = [t for i, part in enumerate(arguments) if i != 1 for t in part]
    for got in (by_value, by_definition, in_place):
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            tolerance = 2e-6 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(a.numpy(), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", STATES)
def test_updates_of_no_variables(name):
    last = [torch.tensor(s) for s in SCALARS[name]] + LAST[name]
    empty = [[] for _ in range(2 + STATES[name])]
    inplace[name](*empty, *last)
    assert list(kernels[name](*empty, *last)) == []


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
    first, again = (kernels[name](key, *DRAWS[name]) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, kernels[name](fold_key(step_key(4), 17), *DRAWS[name]))
    assert first.dtype is getattr(torch, DRAWS[name][-1])
    mean, deviation = MOMENTS[name]
    assert abs(first.mean().item() - mean) < 5 * deviation / 2000**0.5
    assert abs(first.std().item() - deviation) < 0.1 * deviation


def test_draws_stay_within_their_bounds():
    uniform = kernels["random_uniform"](1, (10000,), 2.0, 3.0, "float32")
    assert 2 <= uniform.min() < 2.01
    assert 2.99 < uniform.max() <= 3
    truncated = kernels["truncated_normal"](1, (10000,), 1.0, 0.5, "float32")
    assert truncated.min() >= 0
    assert truncated.max() <= 2
    integers = kernels["random_uniform"](1, (1000,), 2, 5, "int32")
    assert sorted(set(integers.tolist())) == [2, 3, 4]


def test_keys_fold_native_counters_too():
    assert fold_key(5, torch.tensor(3, dtype=torch.int32)) == fold_key(5, 3) != fold_key(5, 4)


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


# --- torch.compile ----------------------------------------------------------------------------------------------------


def test_training_is_compiled_on_request(monkeypatch):
    data = RNG.standard_normal((4, 3))

    def trained():
        x, (w, m) = placeholder((4, 3), "float64"), (Variable(np.ones((3, 2)), name=name) for name in "wm")
        loss = K["sum"](K["tanh"](K["matmul"](x, w)))
        new = K["sgd_update"]([w], gradients(loss, [w]), [m], *np.array([0.1, 0.9]), nesterov=True)
        train = Function([x], [loss], list(zip([w, m], new, strict=True)))
        return [*train([data]), *train([data]), w.numpy(), m.numpy()]

    plain = trained()
    monkeypatch.setenv(COMPILE_VARIABLE, "aot_eager")
    for a, b in zip(trained(), plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
