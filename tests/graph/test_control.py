"""Loops and branches: what they compute, and that gradients of first and second order flow through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kcore.errors import GraphError, ShapeError
from kcore.graph import ir
from kcore.graph.autodiff import expand
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.ops import control
from kcore.ops.elementwise import add, cast, exp, greater, less, multiply, sin, square, tanh
from kcore.ops.nn import dropout
from kcore.ops.reduction import sum_
from kcore.ops.spec import constant_node
from kcore.variables import Variable


def var(*shape: int, seed: int = 0) -> Variable:
    return Variable(np.random.default_rng(seed + len(shape)).normal(size=shape) * 0.4, "float64", name="w")


def evaluate(*values: Any) -> list[np.ndarray]:
    return Function([], list(values))([])


@pytest.fixture
def w() -> Variable:
    return var(3)


@pytest.fixture
def start() -> Variable:
    return var(3, seed=5)


@pytest.fixture
def xs() -> Variable:
    return var(4, 3)


# --- values -----------------------------------------------------------------------------------------------------------


def test_a_loop_carries_and_stacks() -> None:
    final, ys = control.loop(lambda c, x, i: ([c[0] + x[0]], [c[0] * 2]), [np.zeros(())], [np.arange(4.0)])
    total, before = evaluate(final[0], ys[0])
    assert total == 6
    assert before.tolist() == [0, 0, 2, 6]


def test_a_reversed_loop_keeps_the_order_of_its_inputs() -> None:
    _, ys = control.loop(lambda c, x, i: ([c[0] + x[0]], [c[0], i]), [np.zeros(())], [np.arange(4.0)], reverse=True)
    before, counter = evaluate(*ys)
    assert before.tolist() == [6, 5, 3, 0]
    assert counter.tolist() == [0, 1, 2, 3]


def test_a_loop_may_have_a_length_only() -> None:
    final, _ = control.loop(lambda c, x, i: ([c[0] * 2], []), [np.ones(())], [], 5)
    assert evaluate(final[0])[0] == 32


def test_a_state_that_changes_its_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"it was \(3,\), the body returned \(4,\)"):
        control.loop(lambda c, x, i: ([np.zeros(4)], []), [np.zeros(3)], [np.zeros(2)])


def test_a_body_must_return_all_states() -> None:
    with pytest.raises(GraphError, match="must return 1 new states"):
        control.loop(lambda c, x, i: ([], []), [np.zeros(3)], [np.zeros(2)])


def test_only_one_branch_is_computed() -> None:
    x = placeholder((), "float64")
    y = control.branch(greater(x, 0), lambda: sin(x), lambda: exp(x))
    f = Function([x], [y])
    assert f([1.0])[0] == pytest.approx(np.sin(1))
    assert f([-1.0])[0] == pytest.approx(np.exp(-1))
    assert "cond(" in f.source()


def test_a_branch_on_a_constant_leaves_no_branch() -> None:
    x = placeholder((), "float64")
    f = Function([x], control.branch(constant_node(np.asarray(True), "bool"), lambda: sin(x), lambda: exp(x)))
    assert "cond" not in f.source()
    assert "exp" not in f.source()


def test_branches_must_agree() -> None:
    with pytest.raises(ShapeError, match="same kind of tensor"):
        control.branch(placeholder((), "bool"), lambda: np.zeros(2), lambda: np.zeros((2, 2)))


def test_repeat_while_stops_by_its_condition() -> None:
    n, total = control.repeat_while(lambda n, s: less(n, 5), lambda n, s: [n + 1, s + cast(n, "float32")], [0, 0.0])
    assert [x.tolist() for x in evaluate(n, total)] == [5, 10.0]


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_reach_carry_inputs_and_captures(
    check_gradients: Any, w: Any, start: Any, xs: Any, reverse: bool
) -> None:
    doubled = exp(w)  # captured beside w: captures that depend on each other

    def step(c: Any, x: Any, i: Any) -> Any:
        new = tanh(c[0] * doubled + x[0] * w)
        return [new], [new * cast(i, "float64")]

    final, ys = control.loop(step, [start], [xs], reverse=reverse)
    check_gradients(sum_(final[0]) + sum_(sin(ys[0])), [w, start, xs])


def test_gradients_of_a_loop_without_carry(check_gradients: Any, w: Any, xs: Any) -> None:
    _, ys = control.loop(lambda c, x, i: ([], [x[0] * w]), [], [xs])
    check_gradients(sum_(sin(ys[0])), [w, xs])


def test_gradients_of_a_loop_with_a_length_only(check_gradients: Any, w: Any, start: Any) -> None:
    final, _ = control.loop(lambda c, x, i: ([tanh(c[0] * w)], []), [start], [], 3)
    check_gradients(sum_(sin(final[0])), [w, start])


def test_gradients_of_a_loop_of_unknown_length(check_gradients: Any, w: Any, start: Any) -> None:
    x = placeholder((None, 3), "float64")
    final, ys = control.loop(lambda c, s, i: ([tanh(c[0] * w + s[0])], [c[0]]), [start], [x])
    feed = np.random.default_rng(0).normal(size=(5, 3))
    check_gradients(sum_(final[0]) + sum_(ys[0]), [w, start], [x], [feed])


def test_gradients_of_a_loop_with_an_integer_carry(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    def step(c: Any, x: Any, i: Any) -> Any:
        return [c[0] + 1, c[1] * w + x[0] * cast(c[0], "float64")], []

    final, _ = control.loop(step, [0, start], [xs])
    check_gradients(sum_(sin(final[1])), [w, start, xs])


def test_gradients_of_a_loop_in_a_loop(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    def inner(outer: Any) -> Any:
        return lambda c, x, j: ([tanh(c[0] + x[0] * sum_(outer))], [c[0]])

    def step(c: Any, x: Any, i: Any) -> Any:
        final, ys = control.loop(inner(c[0]), [sum_(x[0])], [w * c[0]])
        return [c[0] * final[0]], [sum_(ys[0])]

    final, ys = control.loop(step, [start], [xs])
    check_gradients(sum_(final[0]) + sum_(ys[0]), [w, start, xs])


def test_gradients_of_a_branch(check_gradients: Any, w: Any) -> None:
    x = placeholder((), "float64")
    y = control.branch(greater(x, 0), lambda: sin(w) * x, lambda: exp(w))
    for value in (2.0, -1.0):
        check_gradients(sum_(square(y)), [w], [x], [value])


def test_gradients_of_a_branch_in_a_loop(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    def step(c: Any, x: Any, i: Any) -> Any:
        return [control.branch(greater(sum_(x[0]), 0), lambda: sin(c[0]) * w, lambda: c[0] * x[0])], []

    final, _ = control.loop(step, [start], [xs])
    check_gradients(sum_(exp(final[0])), [w, start, xs])


def test_gradients_inside_a_loop_are_differentiated_again(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    doubled = exp(w)

    def descend(c: Any, x: Any, i: Any) -> Any:
        return [c[0] - 0.1 * gradients(sum_(sin(c[0] * x[0]) * doubled), [c[0]])[0]], []

    final, _ = control.loop(descend, [start], [xs])
    check_gradients(sum_(square(final[0])), [w, start, xs], order=1)


def test_gradients_inside_a_loop_by_a_value_outside(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    doubled = exp(w)

    def step(c: Any, x: Any, i: Any) -> Any:
        return [c[0] - 0.1 * gradients(sum_(sin(doubled * x[0]) * c[0]), [w])[0]], []

    final, _ = control.loop(step, [start], [xs])
    check_gradients(sum_(square(final[0])), [w, start, xs], order=1)


def test_gradients_two_loops_deep_by_a_value_of_the_outer(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    def step(c: Any, x: Any, i: Any) -> Any:
        outer = tanh(c[0] * w)

        def deeper(d: Any, y: Any, j: Any) -> Any:
            return [d[0] + gradients(sum_(sin(outer * y[0])), [c[0]])[0]], []

        final, _ = control.loop(deeper, [x[0]], [xs])
        return [final[0] * 0.5], []

    final, _ = control.loop(step, [start], [xs])
    check_gradients(sum_(square(final[0])), [w, start], order=1)


def test_random_draws_are_the_same_forwards_and_backwards(check_gradients: Any, w: Any, start: Any, xs: Any) -> None:
    final, ys = control.loop(lambda c, x, i: ([dropout(c[0] + x[0] * w, 0.5)], [c[0]]), [start], [xs])
    check_gradients(sum_(square(final[0])) + sum_(square(ys[0])), [w, xs], order=1)


def test_every_step_draws_anew() -> None:
    _, ys = control.loop(lambda c, x, i: ([], [dropout(x[0], 0.5)]), [], [np.ones((20, 8))])
    rows = {tuple(row) for row in evaluate(ys[0])[0].tolist()}
    assert len(rows) > 10


# --- how it is lowered ------------------------------------------------------------------------------------------------


def test_the_forward_loop_runs_once(w: Any, start: Any, xs: Any) -> None:
    final, _ = control.loop(lambda c, x, i: ([tanh(c[0] * w + x[0])], []), [start], [xs])
    loss = sum_(final[0])
    source = Function([], [loss, *gradients(loss, [w])]).source()
    assert source.count("= k_scan(") == 2  # there, and back


def test_the_rules_work_on_a_graph_that_was_not_lowered(w: Any, start: Any, xs: Any) -> None:
    final, ys = control.loop(lambda c, x, i: ([tanh(c[0] * w + x[0])], [c[0]]), [start], [xs])
    loss = sum_(final[0]) + sum_(sin(ys[0]))
    by_rules = Function([], expand(loss, [w, start, xs]))([])
    for a, b in zip(by_rules, Function([], gradients(loss, [w, start, xs]))([]), strict=True):
        np.testing.assert_allclose(a, b)


def test_a_body_put_in_line_is_a_copy() -> None:
    from kcore.graph.clone import Cloner

    body, _ = ir.trace(lambda x: [multiply(add(x, 1), 2)], [ir.TensorSpec((), "float64")], ["x"])
    one, two = (Cloner([]).inline(body, [constant_node(np.asarray(v), "float64")])[0] for v in (1.0, 2.0))
    assert [float(v) for v in evaluate(one, two)] == [4, 6]
    assert not body.contains(one)


def test_while_is_not_differentiable(w: Any) -> None:
    (y,) = control.repeat_while(lambda v: less(sum_(v), 10), lambda v: [v * 2 + 1], [w])
    assert gradients(sum_(y), [w]) == [None]
