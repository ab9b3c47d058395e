from __future__ import annotations

import itertools

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(1)
X = RNG.normal(size=(3, 4, 2)).astype("float32")
START = RNG.normal(size=(3, 2)).astype("float32")
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], "float32")


def step(x, states):
    h = 0.5 * states[0] + K.tanh(x)
    return 2.0 * h, [h, states[1] + x]


def oracle(mask, backwards):
    """The recurrence sample by sample, in plain Python."""
    outputs = np.zeros((3, 4, 2))
    h, total = START.astype(float).copy(), np.zeros((3, 2))
    last = np.zeros((3, 2))
    for place, t in enumerate(reversed(range(4)) if backwards else range(4)):
        for n in range(3):
            if mask is None or mask[n, t]:
                h[n] = 0.5 * h[n] + np.tanh(X[n, t])
                total[n] += X[n, t]
                last[n] = 2 * h[n]
            outputs[n, place] = last[n]
    return last, outputs, h, total


@pytest.mark.parametrize(
    ("mask", "backwards", "unroll", "known"),
    list(itertools.product([None, 2, 3], [False, True], [False, True], [False, True])),
)
def test_the_recurrence(mask, backwards, unroll, known):
    x = K.placeholder(shape=X.shape if known or unroll else (None, None, 2))
    m = None if mask is None else MASK if mask == 2 else MASK[..., None]
    states = [K.constant(START), K.zeros((3, 2))]
    last, outputs, new = K.rnn(
        step, x, states, go_backwards=backwards, mask=None if m is None else K.constant(m), unroll=unroll
    )
    got = K.function([x], [last, outputs, *new])([X])
    for a, b in zip(got, oracle(None if mask is None else MASK, backwards), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert K.int_shape(outputs)[-1] == K.int_shape(last)[-1] == 2


def test_arrays_are_iterated_at_once():
    last, outputs, new = K.rnn(step, X, [START, np.zeros((3, 2), "float32")], mask=MASK)
    for a, b in zip([last, outputs, *new], oracle(MASK, backwards=False), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_unrolled_and_looped_have_the_same_gradients():
    results = []
    for unroll in (False, True):
        x, w = K.placeholder(shape=(3, 4, 2)), K.variable([[1.0, 2.0], [0.5, -1.0]])
        cell = lambda x, states: (K.tanh(K.dot(x + states[0], w)), [K.dot(states[0], w)])  # noqa: B023, E731
        _, outputs, _ = K.rnn(cell, x, [K.constant(START)], mask=K.constant(MASK), unroll=unroll)
        results.append(K.function([x], K.gradients(K.sum(K.square(outputs)), [w, x]))([X]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_constants_and_nests():
    a, b = K.constant(X), K.constant(2 * X)
    def cell(inputs, states):
        (x, y), (s, c) = inputs, states
        return {0: [x * c, s], 1: None}[0], [s + y]

    last, outputs, (state,) = K.rnn(cell, [a, b], [K.zeros((3, 2))], constants=[K.constant(3.0)])
    assert [K.int_shape(t) for t in outputs] == [(3, 4, 2)] * 2
    np.testing.assert_allclose(K.eval(last[0]), 3 * X[:, -1], rtol=1e-6)
    np.testing.assert_allclose(K.eval(state), 2 * X.sum(1), rtol=1e-5)


def test_errors_say_what_is_expected():
    with pytest.raises(ShapeError, match="samples, time"):
        K.rnn(step, K.zeros((3, 4)), [])
    with pytest.raises(ShapeError, match="unroll"):
        K.rnn(step, K.placeholder(shape=(3, None, 2)), [K.zeros((3, 2))] * 2, unroll=True)
    with pytest.raises(ArgumentError, match="initial states"):
        K.rnn(lambda x, s: (x, []), K.constant(X), [], mask=K.constant(MASK))


def test_a_state_must_keep_its_shape():
    with pytest.raises(ShapeError, match="keep its shape"):
        K.rnn(lambda x, s: (x, [K.concatenate([s[0], x])]), K.constant(X), [K.zeros((3, 2))])
