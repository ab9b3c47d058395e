"""Level 4: functions over placeholders and variables, updates, the learning phase, control flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops import control
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check


def _x(*shape: int) -> np.ndarray:
    return (np.arange(int(np.prod(shape)), dtype="float32").reshape(shape) - 3) / 5


@check(4, "function")
def computes_from_what_is_fed(backend: Any) -> None:
    x, y = K.placeholder((None, 3)), K.placeholder((3,))
    f = K.function([x, y], [x * y + 1.0, K.sum(x)])
    for rows in (1, 4, 2):
        a, b = f([_x(rows, 3), _x(3)])
        same(a, _x(rows, 3) * _x(3) + 1, "product")
        same(b, _x(rows, 3).sum(), "sum")


@check(4, "function")
def variables_are_read_when_it_runs(backend: Any) -> None:
    v = K.variable(_x(2))
    y = v + 1.0
    K.set_value(v, np.asarray([5.0, 6.0]))
    same(K.eval(y), np.asarray([6.0, 7.0], "float32"), "v + 1 after set_value")


@check(4, "updates")
def updates_are_simultaneous(backend: Any) -> None:
    a, b = K.variable(1.0), K.variable(2.0)
    f = K.function([], [a + 0.0, b + 0.0], [(a, b + 0.0), (b, a + 10.0)])
    for want_out, want_a, want_b in (((1, 2), 2, 11), ((2, 11), 11, 12), ((11, 12), 12, 21)):
        same(np.asarray(f([])), np.asarray(want_out, "float32"), "outputs see the values before the call")
        same(K.get_value(a), np.float32(want_a), "a")
        same(K.get_value(b), np.float32(want_b), "b")


@check(4, "updates")
def swapped_variables_keep_their_values(backend: Any) -> None:
    a, b = K.variable(_x(3)), K.variable(_x(3) + 10)
    f = K.function([], [], [(a, b), (b, a)])
    f([])
    same(K.get_value(a), _x(3) + 10, "a after the swap")
    same(K.get_value(b), _x(3), "b after the swap")


@check(4, "updates")
def results_do_not_change_afterwards(backend: Any) -> None:
    v = K.variable(_x(3))
    f = K.function([], [v, v + 0.0], [(v, v + 1.0)])
    first, second = f([])
    before = first.copy(), second.copy()
    f([])
    same(first, before[0], "an earlier result after another call")
    same(second, before[1], "an earlier result after another call")
    same(first, _x(3), "the variable itself as output")


@check(4, "updates")
def many_calls_accumulate(backend: Any) -> None:
    total = K.variable(0.0)
    x = K.placeholder((None,))
    f = K.function([x], [], [K.update_add(total, K.sum(x))])
    for n in (1, 2, 3, 2, 1):
        f([np.ones(n)])
    same(K.get_value(total), np.float32(9), "sum over calls")


@check(4, "learning phase")
def the_phase_chooses(backend: Any) -> None:
    x = K.placeholder((2,))
    y = K.in_train_phase(x * 2.0, x - 1.0)
    f = K.function([x, K.learning_phase()], [y])
    same(f([_x(2), 1])[0], _x(2) * 2, "train")
    same(f([_x(2), 0])[0], _x(2) - 1, "test")


@check(4, "control flow")
def loops_carry_and_stack(backend: Any) -> None:
    x, h = K.placeholder((4, None, 3)), K.placeholder((None, 3))
    (last,), (ys,) = control.loop(lambda c, xs, i: ([0.5 * c[0] + xs[0]], [c[0]]), [h], [x])
    f = K.function([x, h], [last, ys])
    data, state = _x(4, 2, 3), _x(2, 3)
    want, seen = state, []
    for t in range(4):
        seen.append(want)
        want = 0.5 * want + data[t]
    got_last, got_ys = f([data, state])
    same(got_last, want, "final state")
    same(got_ys, np.stack(seen), "states before each step")


@check(4, "control flow")
def reversed_loops_keep_the_order_of_results(backend: Any) -> None:
    x = K.placeholder((4, 2))
    (last,), (ys,) = control.loop(lambda c, xs, i: ([c[0] + xs[0]], [c[0] + xs[0]]), [K.zeros((2,))], [x], reverse=True)
    got_last, got = K.function([x], [last, ys])([_x(4, 2)])
    want = np.cumsum(_x(4, 2)[::-1], axis=0)[::-1]
    same(got, want, "running sums from the end")
    same(got_last, want[0], "final state")


@check(4, "control flow")
def only_the_chosen_branch_counts(backend: Any) -> None:
    p, x = K.placeholder((), dtype="bool"), K.placeholder((2,))
    y = K.switch(p, lambda: x * 2.0, lambda: x / 0.5 + 1.0)
    f = K.function([p, x], [y])
    same(f([np.asarray(True), _x(2)])[0], _x(2) * 2, "then")
    same(f([np.asarray(False), _x(2)])[0], _x(2) * 2 + 1, "otherwise")


@check(4, "control flow")
def open_loops_stop(backend: Any) -> None:
    x = K.placeholder(())
    n, value = control.repeat_while(lambda i, v: v < 100.0, lambda i, v: [i + 1, v * 2.0], [K.constant(0, "int32"), x])
    steps, got = K.function([x], [n, value])([np.float32(3)])
    if (int(steps), float(got)) != (6, 192.0):
        raise Mismatch(f"doubling 3 until 100: got {int(steps)} steps and {float(got)}, expected 6 and 192")


@check(4, "shapes")
def unknown_dimensions_are_found_at_run_time(backend: Any) -> None:
    x = K.placeholder((None, None, 2))
    flat = K.reshape(x, (K.shape(x)[0], -1))
    f = K.function([x], [flat, K.shape(x), K.zeros_like(x) + K.cast(K.shape(x)[1], "float32")])
    for shape in ((2, 3, 2), (1, 4, 2)):
        a, b, c = f([_x(*shape)])
        same(a, _x(*shape).reshape(shape[0], -1), "reshape")
        same(b, np.asarray(shape, "int32"), "shape")
        same(c, np.full(shape, shape[1], "float32"), "shape arithmetic")
