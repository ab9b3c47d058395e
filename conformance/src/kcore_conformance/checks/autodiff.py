"""Level 5: gradients by variables, inputs and intermediate tensors, of several losses, of second order."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops import control
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


@check(5, "regions")
def by_variables_inputs_and_intermediate_tensors(backend: Any) -> None:
    x, w = K.placeholder((2, 3)), K.variable(X.T)
    h = K.tanh(K.dot(x, w))
    loss = K.sum(K.square(h))
    gx, gw, gh = K.gradients(loss, [x, w, h])
    got_x, got_w, got_h = K.function([x], [gx, gw, gh])([X])
    act = np.tanh(X @ X.T)
    back = 2 * act * (1 - act**2)
    same(got_h, 2 * act, "by an intermediate tensor")
    same(got_x, back @ X, "by an input")
    same(got_w, X.T @ back, "by a variable")


@check(5, "regions")
def a_tensor_and_what_it_comes_from(backend: Any) -> None:
    x = K.placeholder((2, 3))
    h = K.square(x)
    loss = K.sum(h * x)
    gx, gh = K.function([x], K.gradients(loss, [x, h]))([X])
    same(gx, 3 * X**2, "the path through h counts too")
    same(gh, X, "by h")


@check(5, "regions")
def several_losses_add_up(backend: Any) -> None:
    x = K.placeholder((2, 3))
    (g,) = K.gradients([K.sum(K.square(x)), x * 3.0], [x])
    same(K.function([x], [g])([X])[0], 2 * X + 3, "sum of a scalar and a tensor loss")


@check(5, "regions")
def values_and_gradients_of_one_pass(backend: Any) -> None:
    x, v = K.placeholder((2, 3)), K.variable(2.0)
    y = K.exp(x) * v
    loss = K.mean(y)
    (g,) = K.gradients(loss, [v])
    f = K.function([x], [loss, y, g], [(v, v - 0.1 * g)])
    value = 2.0
    for _ in range(3):
        got = f([X])
        same(got[0], np.float32((np.exp(X) * value).mean()), "loss")
        same(got[1], np.exp(X) * np.float32(value), "inner value")
        same(got[2], np.float32(np.exp(X).mean()), "gradient")
        value -= 0.1 * float(np.exp(X).mean())
    same(K.get_value(v), np.float32(value), "variable after three steps")


@check(5, "regions")
def second_order(backend: Any) -> None:
    x = K.placeholder((2, 3))
    (g,) = K.gradients(K.sum(x * x * x), [x])
    (gg,) = K.gradients(K.sum(K.square(g)), [x])
    got_g, got_gg = K.function([x], [g, gg])([X])
    same(got_g, 3 * X**2, "first")
    same(got_gg, 36 * X**3, "gradient of the squared gradient")


@check(5, "regions")
def gradient_penalty_trains_weights(backend: Any) -> None:
    x, w = K.placeholder((2, 3)), K.variable(X.T)
    (gx,) = K.gradients(K.sum(K.tanh(K.dot(x, w))), [x])
    penalty = K.sum(K.square(gx))
    (gw,) = K.gradients(penalty, [w])
    got = K.function([x], [gw])([X])[0]

    def value(weights: np.ndarray) -> float:
        slope = 1 - np.tanh(X.astype("float64") @ weights) ** 2
        return float(((slope @ weights.T) ** 2).sum())

    base, numeric = X.T.astype("float64"), np.zeros((3, 2))
    for i in np.ndindex(3, 2):
        step = np.zeros((3, 2))
        step[i] = 1e-5
        numeric[i] = (value(base + step) - value(base - step)) / 2e-5
    same(got, numeric.astype("float32"), "gradient through a gradient", 1e-3)


@check(5, "regions")
def no_path_gives_none_and_stopped_paths_count_nothing(backend: Any) -> None:
    x, y = K.placeholder((3,)), K.placeholder((3,))
    grads = K.gradients(K.sum(K.square(x)), [x, y])
    if grads[1] is not None:
        raise Mismatch("the gradient by an unconnected input is not None")
    (g,) = K.gradients(K.sum(x * K.stop_gradient(x)), [x])
    same(K.function([x], [g])([X[0]])[0], X[0], "x * stop_gradient(x)")


@check(5, "kinks")
def gradients_at_ties_and_edges_follow_the_rules(backend: Any) -> None:
    """maximum and minimum: to the first operand; max and min: shared evenly; abs and relu at 0: none; clip: passes."""
    x, y = K.placeholder((3,)), K.placeholder((3,))
    tied = np.asarray([1.0, 1.0, 0.0], "float32")
    for what, pair in (("maximum", K.maximum(x, y)), ("minimum", K.minimum(x, y))):
        gx, gy = K.function([x, y], K.gradients(K.sum(pair), [x, y]))([tied, tied])
        same(gx, np.ones(3, "float32"), f"{what} of equal operands, by the first")
        same(gy, np.zeros(3, "float32"), f"{what} of equal operands, by the second")
    for what, value, want in (
        ("max", K.max(x, axis=-1), [0.5, 0.5, 0]),
        ("max over all", K.max(x), [0.5, 0.5, 0]),
        ("min", K.min(-x, axis=0, keepdims=True), [-0.5, -0.5, 0]),
        ("abs", K.abs(x), [1, 1, 0]),
        ("relu", K.relu(x), [1, 1, 0]),
        ("clip", K.clip(x, 0.0, 1.0), [1, 1, 1]),
    ):
        (g,) = K.function([x], K.gradients(K.sum(value), [x]))([tied])
        same(g, np.asarray(want, "float32"), f"gradient of {what} at (1, 1, 0)")


@check(5, "control flow")
def through_loops(backend: Any) -> None:
    x, h, w = K.placeholder((4, 2)), K.placeholder((2,)), K.variable(0.5)
    (last,), (ys,) = control.loop(lambda c, xs, i: ([K.tanh(w * c[0] + xs[0])], [c[0] * w]), [h], [x])
    loss = K.sum(K.square(last)) + K.sum(ys)
    got = K.function([x, h], K.gradients(loss, [x, h, w]))([X.reshape(-1)[:4].reshape(4, 1).repeat(2, 1), X[0, :2]])

    def value(xs: np.ndarray, c: np.ndarray, weight: float) -> float:
        total = 0.0
        for t in range(4):
            total += (c * weight).sum()
            c = np.tanh(weight * c + xs[t])
        return float((c**2).sum() + total)

    xs, c = X.reshape(-1)[:4].reshape(4, 1).repeat(2, 1).astype("float64"), X[0, :2].astype("float64")
    same(
        got[2], np.float32((value(xs, c, 0.5 + 1e-5) - value(xs, c, 0.5 - 1e-5)) / 2e-5), "by a captured variable", 1e-3
    )
    for at, array in ((0, xs), (1, c)):
        numeric = np.zeros(array.shape)
        for i in np.ndindex(array.shape):
            moved = [array.copy(), array.copy()]
            moved[0][i] += 1e-5
            moved[1][i] -= 1e-5
            up, down = (value(m, c, 0.5) if at == 0 else value(xs, m, 0.5) for m in moved)
            numeric[i] = (up - down) / 2e-5
        same(got[at], numeric.astype("float32"), "by the inputs" if at == 0 else "by the first state", 1e-3)


@check(5, "control flow")
def through_branches(backend: Any) -> None:
    p, x = K.placeholder((), dtype="bool"), K.placeholder((3,))
    y = K.switch(p, lambda: K.square(x), lambda: 3.0 * x)
    f = K.function([p, x], K.gradients(K.sum(y), [x]))
    same(f([np.asarray(True), X[0]])[0], 2 * X[0], "then")
    same(f([np.asarray(False), X[0]])[0], np.full(3, 3.0, "float32"), "otherwise")
