"""Composites and windows against formulas written down independently, with plain NumPy loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kcore.backend import active
from kcore.graph.function import Function, placeholder
from kcore.ops import activation, crossentropy, nn, normalization, optimizer, products, recurrent
from kcore.ops.cases import NumpyDraw, Real
from kcore.ops.conv import conv, conv_transpose
from kcore.ops.pool import avg_pool, max_pool
from kcore.variables import Variable


@pytest.fixture(autouse=True)
def _numpy() -> Iterator[None]:
    with active.backend_scope("numpy"):
        yield


def draw(*shape: int, seed: int = 0, low: float = -2, high: float = 2) -> np.ndarray:
    return NumpyDraw(seed + sum(shape)).array(shape, "float64", Real(low, high, edges=()))


def close(a: Any, b: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), tolerance, tolerance)


# --- activations and losses -------------------------------------------------------------------------------------------


X = np.array([-3.0, -1.0, -0.2, 0.0, 0.4, 1.0, 2.5, 7.0])


@pytest.mark.parametrize(
    ("alpha", "top", "threshold"), list(itertools.product([0.0, 0.3], [None, 6.0, 2.0], [0.0, 1.0]))
)
def test_relu_in_all_its_forms(alpha: float, top: Any, threshold: float) -> None:
    expected = [(x if top is None else min(x, top)) if x > threshold else alpha * (x - threshold) for x in X.tolist()]
    close(activation.relu(X, alpha, top, threshold), expected)


def test_units() -> None:
    close(activation.elu(X, 0.7), [x if x > 0 else 0.7 * (math.exp(x) - 1) for x in X])
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    close(activation.selu(X), [scale * (x if x > 0 else alpha * (math.exp(x) - 1)) for x in X])
    close(activation.softsign(X), X / (1 + np.abs(X)))
    close(activation.hard_sigmoid(X), [min(max(0.2 * x + 0.5, 0), 1) for x in X])


def test_a_maximum_below_the_minimum_counts_as_the_minimum() -> None:
    close(activation.clip(X, 1.0, -1.0), np.ones_like(X))
    close(activation.clip(X, None, math.inf), X)
    assert activation.clip(np.array([-5, 5]), -1.0, 1.0).dtype == np.int64


def test_softmax_does_not_overflow() -> None:
    close(activation.softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])
    close(activation.log_softmax(np.array([1000.0, 0.0])), [0.0, -1000.0])
    close(activation.logsumexp(np.array([[1000.0, 1000.0], [0.0, -1000.0]]), axis=1), [1000 + math.log(2), 0.0])


def test_crossentropies() -> None:
    logits, target = draw(4, 3), np.array([[0.2, 0.3, 0.5]] * 4)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    close(crossentropy.softmax_crossentropy(target, logits), -(target * np.log(p)).sum(-1))
    close(crossentropy.sparse_softmax_crossentropy(np.array([0, 2, 1, 1]), logits), -np.log(p[range(4), [0, 2, 1, 1]]))
    z, s = np.array([[0.0, 0.3, 1.0]] * 4), 1 / (1 + np.exp(-logits))
    close(crossentropy.sigmoid_crossentropy(z, logits), -z * np.log(s) - (1 - z) * np.log(1 - s))


def test_moments_and_lengths() -> None:
    x = draw(3, 4)
    close(nn.var(x, axis=0), x.var(axis=0))
    close(nn.std(x), x.std())
    close(nn.l2_normalize(x, axis=-1), x / np.linalg.norm(x, axis=-1, keepdims=True))
    close(nn.l2_normalize(np.zeros(3)), np.zeros(3))


def test_batch_norm_over_any_axis() -> None:
    x, gamma, beta = draw(3, 4, 2), draw(4, seed=1), draw(4, seed=2)
    y, mean, variance = normalization.batch_norm(x, gamma, beta, 1, 0.01)
    close(mean, x.mean((0, 2)))
    close(variance, x.var((0, 2)))
    wide = [v[None, :, None] for v in (mean, variance, gamma, beta)]
    close(y, (x - wide[0]) / np.sqrt(wide[1] + 0.01) * wide[2] + wide[3])
    close(normalization.batch_normalization(x, mean, variance, beta, gamma, 1, 0.01), y)
    close(normalization.batch_normalization(x, wide[0], wide[1], wide[3], wide[2], 1, 0.01), y)


# --- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"), [((2, 3), (3, 4)), ((3,), (3,)), ((2, 5, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((2, 2, 3), (2, 3, 2))]
)
def test_dot_contracts_last_with_second_last(x: Any, y: Any) -> None:
    a, b = draw(*x), draw(*y, seed=3)
    close(products.dot(a, b), np.dot(a, b))


@pytest.mark.parametrize(
    ("x", "y", "axes", "formula"),
    [
        ((5, 3), (5, 3), 1, "bi,bi->b"), ((5, 3), (5, 3, 2), 1, "bi,bij->bj"), ((5, 2, 3), (5, 3), 2, "bji,bi->bj"),
        ((5, 2, 3), (5, 3, 4), None, "bji,bik->bjk"), ((5, 3, 2), (5, 4, 3), (1, 2), "bij,bki->bjk"),
        ((5, 2, 3, 4), (5, 4, 3), (2, 2), "bjik,bli->bjkl"), ((5, 2, 3), (5, 4, 3, 2), (-1, 2), "bji,bkil->bjkl"),
    ],
)  # fmt: skip
def test_batch_dot_over_any_axes(x: Any, y: Any, axes: Any, formula: str) -> None:
    a, b = draw(*x), draw(*y, seed=3)
    if axes == 2:
        axes = (2, 1)
    expected = np.einsum(formula, a, b)
    close(products.batch_dot(a, b, axes), expected[:, None] if formula.endswith("->b") else expected)


def test_bias_add_of_vectors_and_of_positions() -> None:
    x, vector, full = draw(2, 3, 4, 5), draw(5), draw(3, 4, 5)
    close(nn.bias_add(x, vector), x + vector)
    close(nn.bias_add(x, full), x + full)
    first = draw(2, 5, 3, 4)
    close(nn.bias_add(first, vector, "channels_first"), first + vector[:, None, None])
    close(nn.bias_add(first, full, "channels_first"), first + full.reshape(5, 3, 4))


def test_dropout_scales_what_it_keeps() -> None:
    y = nn.dropout(np.ones((50, 40)), 0.25, seed=3)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.03
    rows = nn.dropout(np.ones((50, 4)), 0.5, noise_shape=(None, 1), seed=3)
    assert (rows == rows[:, :1]).all()
    close(nn.dropout(X, 0.0), X)


# --- windows ----------------------------------------------------------------------------------------------------------


def _padded(x: np.ndarray, k: Any, s: Any, d: Any, fill: float) -> tuple[np.ndarray, list[int]]:
    """'same' padding by its definition, for channels-last images."""
    pads, out = [(0, 0)], []
    for n, kk, ss, dd in zip(x.shape[1:-1], k, s, d, strict=True):
        count = math.ceil(n / ss)
        total = max((count - 1) * ss + (kk - 1) * dd + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
        out.append(count)
    return np.pad(x, [*pads, (0, 0)], constant_values=fill), out


@pytest.mark.parametrize("seed", range(6))
def test_convolution_by_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, cin, cout = [(1, 2, 3), (2, 4, 2), (3, 3, 6)][seed % 3]
    s, d = ((2, 1), (1, 1)) if seed % 2 else ((1, 1), (1, 2))
    x, w = rng.normal(size=(2, 5, 6, cin)), rng.normal(size=(3, 2, cin // groups, cout))
    p, out = _padded(x, (3, 2), s, d, 0.0)
    expected = np.zeros((2, *out, cout))
    per_in, per_out = cin // groups, cout // groups
    for b, i, j, o in itertools.product(range(2), range(out[0]), range(out[1]), range(cout)):
        group = o // per_out
        for a, c, m in itertools.product(range(3), range(2), range(per_in)):
            pixel = p[b, i * s[0] + a * d[0], j * s[1] + c * d[1], group * per_in + m]
            expected[b, i, j, o] += pixel * w[a, c, m, o]
    close(conv(x, w, s, "same", d, "channels_last", groups), expected)
    first = conv(np.moveaxis(x, -1, 1), w, s, "same", d, "channels_first", groups)
    close(np.moveaxis(first, 1, -1), expected)


def test_transposed_convolution_spreads_the_kernel() -> None:
    x, w = draw(1, 2, 1), np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)
    y = conv_transpose(x, w, (1, 5, 1), 2, "valid", 1, "channels_last").ravel()
    a, b = x.ravel()
    close(y, [a, 10 * a, 100 * a + b, 10 * b, 100 * b])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_by_its_definition(padding: str) -> None:
    x, k, s = draw(2, 5, 7, 2), (2, 3), (2, 2)
    if padding == "same":
        p, out = _padded(x, k, s, (1, 1), np.nan)
    else:
        p, out = x, [(n - kk) // ss + 1 for n, kk, ss in zip((5, 7), k, s, strict=True)]
    windows = {(i, j): p[:, i * s[0] : i * s[0] + k[0], j * s[1] : j * s[1] + k[1]] for i, j in np.ndindex(*out)}
    biggest, mean = max_pool(x, k, s, padding, "channels_last"), avg_pool(x, k, s, padding, "channels_last")
    for (i, j), window in windows.items():
        close(biggest[:, i, j], np.nanmax(window, (1, 2)))
        close(mean[:, i, j], np.nanmean(window, (1, 2)))


# --- recurrence -------------------------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _masked_loop(step: Any, x: Any, states: Any, mask: Any, backwards: bool) -> tuple[Any, Any, Any]:
    """K.rnn by its definition: masked steps repeat the output (zeros first) and keep the states."""
    times = list(range(x.shape[1]))[:: -1 if backwards else 1]
    output, outputs = np.zeros_like(states[0]), []
    for t in times:
        new_output, new = step(x[:, t], states)
        keep = mask[:, t, None] if mask is not None else np.ones((len(x), 1), bool)
        output = np.where(keep, new_output, output)
        states = [np.where(keep, a, b) for a, b in zip(new, states, strict=True)]
        outputs.append(output)
    return output, np.stack(outputs, 1), states


MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("mask", [None, MASK])
def test_lstm_by_its_definition(mask: Any, backwards: bool) -> None:
    x, h, c, k, r, b = draw(3, 4, 2), draw(3, 2), draw(3, 2, seed=9), draw(2, 8), draw(2, 8, seed=9), draw(8)

    def step(now: Any, states: Any) -> Any:
        i, f, g, o = np.split(now @ k + states[0] @ r + b, 4, axis=1)
        cell = _sigmoid(f) * states[1] + _sigmoid(i) * np.tanh(g)
        hidden = _sigmoid(o) * np.tanh(cell)
        return hidden, [hidden, cell]

    last, outputs, states = _masked_loop(step, x, [h, c], mask, backwards)
    got = recurrent.lstm(x, h, c, k, r, b, mask, "tanh", "sigmoid", True, backwards)
    for a, e in zip(got, [last, outputs, *states], strict=True):
        close(a, e)
    assert recurrent.lstm(x, h, c, k, r, b, mask, "tanh", "sigmoid", False, backwards)[1].shape == (3, 1, 2)


@pytest.mark.parametrize("reset_after", [False, True])
def test_gru_by_its_definition(reset_after: bool) -> None:
    x, h, k, r = draw(3, 4, 2), draw(3, 2), draw(2, 6), draw(2, 6, seed=9)
    b = draw(2, 6, seed=11) if reset_after else draw(6)
    bx, bh = (b[0], b[1]) if reset_after else (b, np.zeros(6))

    def step(now: Any, states: Any) -> Any:
        before = states[0]
        (xz, xr, xh), (hz, hr, hh) = np.split(now @ k + bx, 3, axis=1), np.split(before @ r + bh, 3, axis=1)
        z, reset = _sigmoid(xz + hz), _sigmoid(xr + hr)
        inner = reset * hh if reset_after else (reset * before) @ r[:, 4:]
        hidden = z * before + (1 - z) * np.tanh(xh + inner)
        return hidden, [hidden]

    last, outputs, (state,) = _masked_loop(step, x, [h], MASK, False)
    got = recurrent.gru(x, h, k, r, b, MASK, "tanh", "sigmoid", reset_after, True, False)
    for a, e in zip(got, [last, outputs, state], strict=True):
        close(a, e)


def test_simple_rnn_by_its_definition() -> None:
    x, h, k, r = draw(3, 4, 2), draw(3, 2), draw(2, 2), draw(2, 2, seed=9)
    last, outputs, (state,) = _masked_loop(
        lambda now, s: (np.tanh(now @ k + s[0] @ r), [np.tanh(now @ k + s[0] @ r)]), x, [h], MASK, True
    )
    got = recurrent.simple_rnn(x, h, k, r, None, MASK, "tanh", True, True)
    for a, e in zip(got, [last, outputs, state], strict=True):
        close(a, e)


def test_recurrent_ops_take_unknown_batch_and_time() -> None:
    x, h = placeholder((None, None, 2), "float64"), placeholder((None, 2), "float64")
    out = recurrent.gru(x, h, draw(2, 6), draw(2, 6), None, None, "tanh", "sigmoid", False, True, False)
    assert [o.shape for o in out] == [(None, 2), (None, None, 2), (None, 2)]
    values = Function([x, h], out)([draw(3, 4, 2), draw(3, 2)])
    assert [v.shape for v in values] == [(3, 2), (3, 4, 2), (3, 2)]


# --- optimizers -------------------------------------------------------------------------------------------------------


scalar = np.asarray  # a tensor of float64, where a plain number would be of floatx
P, G, S, T = (draw(3, seed=i, low=0.1) for i in range(4))


def test_sgd() -> None:
    v = 0.9 * S - 0.1 * G
    p, m = optimizer.sgd_update([P], [G], [S], scalar(0.1), scalar(0.9), False)
    close(p, P + v)
    close(m, v)
    close(optimizer.sgd_update([P], [G], [S], scalar(0.1), scalar(0.9), True)[0], P + 0.9 * v - 0.1 * G)


def test_scaled_by_squares() -> None:
    a = 0.9 * S + 0.1 * G**2
    p, new = optimizer.rmsprop_update([P], [G], [S], scalar(0.1), scalar(0.9), 1e-3)
    close(new, a)
    close(p, P - 0.1 * G / (np.sqrt(a) + 1e-3))
    p, new = optimizer.adagrad_update([P], [G], [S], scalar(0.1), 1e-3)
    close(new, S + G**2)
    close(p, P - 0.1 * G / (np.sqrt(S + G**2) + 1e-3))
    step = G * np.sqrt(T + 1e-3) / np.sqrt(a + 1e-3)
    p, accumulator, delta = optimizer.adadelta_update([P], [G], [S], [T], scalar(0.5), scalar(0.9), 1e-3)
    close(p, P - 0.5 * step)
    close(accumulator, a)
    close(delta, 0.9 * T + 0.1 * step**2)


def test_adam_and_its_kin() -> None:
    m, v = 0.9 * S + 0.1 * G, 0.99 * T + 0.01 * G**2
    p, new_m, new_v = optimizer.adam_update([P], [G], [S], [T], [], scalar(0.1), scalar(0.9), scalar(0.99), 1e-3)
    close(new_m, m)
    close(new_v, v)
    close(p, P - 0.1 * m / (np.sqrt(v) + 1e-3))
    p, _, _, hat = optimizer.adam_update(
        [P], [G], [S], [T], [np.full(3, 1.5)], scalar(0.1), scalar(0.9), scalar(0.99), 1e-3
    )
    close(hat, np.maximum(v, 1.5))
    close(p, P - 0.1 * m / (np.sqrt(hat) + 1e-3))
    u = np.maximum(0.99 * T, np.abs(G))
    p, _, new_u = optimizer.adamax_update([P], [G], [S], [T], scalar(0.1), scalar(0.9), scalar(0.99), 1e-3)
    close(new_u, u)
    close(p, P - 0.1 * m / (u + 1e-3))
    p, *_ = optimizer.nadam_update(
        [P],
        [G],
        [S],
        [T],
        scalar(0.1),
        scalar(0.9),
        scalar(0.99),
        scalar(0.7),
        scalar(0.8),
        scalar(0.6),
        scalar(0.5),
        scalar(0.98),
        1e-3,
    )
    mean = 0.3 * G / 0.4 + 0.8 * m / 0.5
    close(p, P - 0.1 * mean / (np.sqrt(v / 0.02) + 1e-3))


def test_updates_keep_the_dtypes_of_what_they_update() -> None:
    params = [Variable(np.ones(2), "float32", name="a"), Variable(np.ones(2), "float64", name="b")]
    moments = [Variable(np.zeros(2), p.dtype, name="m") for p in params]
    new = optimizer.sgd_update(params, params, moments, 0.1, 0.9, False)
    assert [x.dtype for x in new] == ["float32", "float64"] * 2
    assert [x.dtype.name for x in Function([], new)([])] == ["float32", "float64"] * 2
