"""Laws of recurrent ops, loops and branches: by hand in double precision, by unrolling, by shortening, by reversing."""

from __future__ import annotations

from typing import Any

import numpy as np

import kcore as keras
from kcore import backend as K
from kcore import layers
from kcore.ops import control
from kcore_conformance.checks.drawing import Recorded, law
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check

CLOSE = 5e-5
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}


class _Weights:
    """Operands of a recurrent op: inputs (2, 4, 2), units 3."""

    def __init__(self, d: Recorded, name: str, *, reset_after: bool = False) -> None:
        rng = np.random.default_rng(d.integer(0, 99))

        def some(*shape: int) -> np.ndarray:
            return rng.uniform(-1, 1, shape).astype("float32")

        n = GATES[name] * 3
        self.name, self.reset_after = name, reset_after
        self.x, self.states = some(2, 4, 2), [some(2, 3) for _ in range(2 if name == "lstm" else 1)]
        self.kernel, self.recurrent = some(2, n), some(3, n)
        # One vector, or with reset_after one for the inputs and one for the state.
        self.bias = some(2, n) if reset_after and d.choice((True, False)) else some(n)

    def run(self, op: Any, x: np.ndarray, mask: np.ndarray | None = None, *, backwards: bool = False,
            rows: Any = slice(None)) -> Any:  # fmt: skip
        """(last output, outputs, *states)."""
        names = ["tanh"] if self.name == "simple_rnn" else ["tanh", "sigmoid"]
        extra = [self.reset_after] if self.name == "gru" else []
        states = [np.ascontiguousarray(s[rows]) for s in self.states]
        return getattr(op, self.name)(
            np.ascontiguousarray(x), *states, self.kernel, self.recurrent, self.bias, mask, *names, *extra, True,
            backwards,
        )  # fmt: skip


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _lstm_by_hand(w: _Weights) -> np.ndarray:
    h, c = (s.astype("float64") for s in w.states)
    for t in range(4):
        i, f, g, o = np.split(w.x[:, t] @ w.kernel.astype("float64") + h @ w.recurrent + w.bias, 4, -1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
    return np.concatenate([h, c], -1).astype("float32")


def _gru_by_hand(w: _Weights) -> np.ndarray:
    h = w.states[0].astype("float64")
    bias, inner = w.bias if w.bias.ndim == 2 else (w.bias, np.zeros(9))
    for t in range(4):
        xz, xr, xh = np.split(w.x[:, t] @ w.kernel.astype("float64") + bias, 3, -1)
        kz, kr, kh = np.split(w.recurrent.astype("float64"), 3, -1)
        bz, br, bh = np.split(inner, 3)
        z, r = _sigmoid(xz + h @ kz + bz), _sigmoid(xr + h @ kr + br)
        new = np.tanh(xh + (r * (h @ kh + bh) if w.reset_after else (r * h) @ kh))
        h = z * h + (1 - z) * new
    return h.astype("float32")


@law("lstm", 3)
def equals_the_formula_in_double_precision(op: Any, d: Recorded) -> None:
    w = _Weights(d, "lstm")
    last, _, h, c = w.run(op, w.x)
    same(np.concatenate([h, c], -1), _lstm_by_hand(w), "states", CLOSE)
    same(last, h, "the last output is the state", 1e-6)


@law("gru", 3)
def equals_the_formulas_in_double_precision(op: Any, d: Recorded) -> None:
    for reset_after in (False, True):
        w = _Weights(d, "gru", reset_after=reset_after)
        same(w.run(op, w.x)[2], _gru_by_hand(w), f"state, reset_after={reset_after}", CLOSE)


def _any(d: Recorded) -> _Weights:
    name = d.choice(("lstm", "gru", "simple_rnn"))
    return _Weights(d, name, reset_after=name == "gru" and d.choice((False, True)))


@law("recurrence", 3)
def backwards_is_forwards_over_reversed_inputs(op: Any, d: Recorded) -> None:
    w = _any(d)
    for a, b in zip(w.run(op, w.x, backwards=True), w.run(op, w.x[:, ::-1]), strict=True):
        same(a, b, f"{w.name}: go_backwards and reversed inputs", CLOSE)


@law("recurrence", 3)
def masked_steps_are_not_there(op: Any, d: Recorded) -> None:
    """A masked step keeps the states: the result is that of the sequence without it, at the last step too."""
    w = _any(d)
    for left_out in (d.integer(0, 3), 3):
        mask = np.ones((2, 4), bool)
        mask[:, left_out] = False
        masked = w.run(op, w.x, mask)
        shorter = w.run(op, np.delete(w.x, left_out, 1))
        same(masked[0], shorter[0], f"{w.name}: last output without step {left_out}", CLOSE)
        for a, b in zip(masked[2:], shorter[2:], strict=True):
            same(a, b, f"{w.name}: state without step {left_out}", CLOSE)
        if left_out:
            same(masked[1][:, left_out], masked[1][:, left_out - 1], f"{w.name}: output of the masked step repeats")
    for a, b in zip(w.run(op, w.x, np.ones((2, 4), bool)), w.run(op, w.x), strict=True):
        same(a, b, f"{w.name}: a mask that hides nothing", CLOSE)


@law("recurrence", 3)
def masks_are_per_sample(op: Any, d: Recorded) -> None:
    w = _any(d)
    mask = np.asarray([[1, 1, 1, 0], [1, 0, 1, 1]], bool)
    both = w.run(op, w.x, mask)
    for i in range(2):
        alone = w.run(op, w.x[i : i + 1], mask[i : i + 1], rows=slice(i, i + 1))
        for a, b in zip(both, alone, strict=True):
            same(a[i : i + 1], b, f"{w.name}: sample {i} alone", CLOSE)


@check(4, "loops, laws")
def unrolled_loops_are_the_same(backend: Any) -> None:
    """K.rnn with and without `unroll`: values and gradients, masked at the last step, in both directions."""
    rng = np.random.default_rng(0)
    data = rng.uniform(-1, 1, (2, 4, 3)).astype("float32")
    mask = np.asarray([[1, 1, 1, 0], [0, 1, 0, 1]], bool)
    for backwards in (False, True):
        results = []
        for unroll in (False, True):
            x, m, w = K.placeholder((2, 4, 3)), K.placeholder((2, 4), dtype="bool"), K.variable(0.7)

            def step(value: Any, states: Any, w: Any = w) -> Any:
                new = K.tanh(value + w * states[0])
                return new * 2.0, [new]

            last, outputs, states = K.rnn(step, x, [K.zeros((2, 3))], backwards, m, unroll=unroll)
            loss = K.sum(K.square(outputs)) + K.sum(last * states[0])
            results.append(K.function([x, m], [last, outputs, *states, *K.gradients(loss, [x, w])])([data, mask]))
        for i, (a, b) in enumerate(zip(*results, strict=True)):
            same(a, b, f"result {i} of the loop and of the unrolled steps (go_backwards={backwards})", CLOSE)
        if not backwards:
            same(results[0][1][0, 3], results[0][1][0, 2], "the output of a masked last step repeats the one before")


@check(4, "loops, laws")
def loops_end_where_python_ends(backend: Any) -> None:
    x = K.placeholder((5, 2))
    data = np.arange(10, dtype="float32").reshape(5, 2)
    running = K.foldl(lambda acc, v: acc * 0.5 + v, x)
    back = K.foldr(lambda acc, v: acc * 0.5 + v, x)
    squares = K.map_fn(lambda v: v * v + 1.0, x)
    got = K.function([x], [running, back, squares])([data])
    want, reverse = data[0], data[4]
    for t in range(1, 5):
        want, reverse = want * 0.5 + data[t], reverse * 0.5 + data[4 - t]
    same(got[0], want, "foldl")
    same(got[1], reverse, "foldr")
    same(got[2], data**2 + 1, "map_fn")


@check(4, "loops, laws")
def steps_are_counted_from_zero(backend: Any) -> None:
    x = K.placeholder((4, 2))
    for reverse in (False, True):
        (last,), (counts,) = control.loop(
            lambda c, xs, i: ([c[0] * 2.0 + K.cast(i, "float32")], [i]), [K.constant(0.0)], [x], reverse=reverse
        )
        got_last, got = K.function([x], [last, counts])([np.zeros((4, 2))])
        want = 0.0
        for i in reversed(range(4)) if reverse else range(4):
            want = want * 2 + i
        same(got, np.arange(4, dtype="int32"), f"counters of the steps (reverse={reverse})")
        same(got_last, np.float32(want), f"what was computed from counters (reverse={reverse})")


@check(4, "loops, laws")
def open_loops_test_before_each_step(backend: Any) -> None:
    start = K.placeholder((), dtype="int32")
    n, total = control.repeat_while(lambda i, s: i < 5, lambda i, s: [i + 1, s + i], [start, K.constant(0, "int32")])
    f = K.function([start], [n, total])
    for first, want in ((0, (5, 10)), (4, (5, 4)), (5, (5, 0)), (9, (9, 0))):
        got = tuple(int(v) for v in f([np.int32(first)]))
        if got != want:
            raise Mismatch(f"while i < 5 from {first}: got {got}, expected {want}")


@check(4, "branches, laws")
def only_one_branch_is_taken(backend: Any) -> None:
    """The other branch's infinities and NaN reach neither values nor gradients; its state does not move."""
    p, x = K.placeholder((), dtype="bool"), K.placeholder((3,))
    y = K.switch(p, lambda: K.log(x), lambda: x * 2.0)
    f = K.function([p, x], [y, *K.gradients(K.sum(y), [x])])
    data = np.asarray([-1.0, 0.0, 2.0], "float32")
    value, grad = f([np.asarray(False), data])
    same(value, data * 2, "value")
    same(grad, np.full(3, 2, "float32"), "gradient")
    value, grad = f([np.asarray(True), np.abs(data) + 1])
    same(value, np.log(np.abs(data) + 1), "value of the other branch", CLOSE)
    same(grad, 1 / (np.abs(data) + 1), "gradient of the other branch", CLOSE)


@check(5, "branches, laws")
def what_where_leaves_out_has_no_gradient(backend: Any) -> None:
    """The safe form, in which the masked operand is replaced before the function that is not defined there."""
    x = K.placeholder((3,))
    positive = K.greater(x, 0.0)
    y = K.switch(positive, K.log(K.switch(positive, x, K.ones_like(x))), K.zeros_like(x))
    data = np.asarray([-1.0, 0.0, 2.0], "float32")
    (grad,) = K.function([x], K.gradients(K.sum(y), [x]))([data])
    same(grad, np.asarray([0, 0, 0.5], "float32"), "gradient of log where x is positive, else 0")


@check(6, "bidirectional, laws")
def directions_change_places_with_time(backend: Any) -> None:
    """Exchange the two layers' weights and reverse the sequence: the halves of the output change places."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (3, 4, 2)).astype("float32")
    for cell in (layers.LSTM, layers.GRU):
        K.clear_session()
        model = keras.models.Sequential([
            layers.Bidirectional(cell(3, return_sequences=True, bias_initializer="ones"), input_shape=(4, 2)),
        ])  # fmt: skip
        before = model.predict(x)
        weights = model.get_weights()
        half = len(weights) // 2
        model.set_weights(weights[half:] + weights[:half])
        after = model.predict(np.ascontiguousarray(x[:, ::-1]))[:, ::-1]
        same(np.concatenate([after[..., 3:], after[..., :3]], -1), before, cell.__name__, CLOSE)
