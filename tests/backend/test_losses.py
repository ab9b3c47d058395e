from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ShapeError

LOGITS = np.array([[1.0, 2.0, 0.5], [200.0, -1.0, 0.0]], "float32")
TARGET = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "float32")
LOG_P = LOGITS - np.log(np.exp(LOGITS.astype(float)).sum(-1, keepdims=True))


def test_probabilities_and_logits_agree():
    probabilities = np.exp(LOG_P[:1])
    want = -LOG_P[0, 1]
    assert K.eval(K.categorical_crossentropy(K.constant(TARGET[:1]), K.constant(probabilities))) == pytest.approx(want)
    logits = K.categorical_crossentropy(K.constant(TARGET), K.constant(LOGITS), from_logits=True)
    np.testing.assert_allclose(K.eval(logits), -(TARGET * LOG_P).sum(-1), rtol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_loss_of_a_softmax_is_exact_where_probabilities_round_to_0(sparse):
    x = K.constant(LOGITS)
    loss = K.sparse_categorical_crossentropy if sparse else K.categorical_crossentropy
    target = K.constant([1, 2], dtype="int32") if sparse else K.constant(TARGET)
    np.testing.assert_allclose(K.eval(loss(target, K.softmax(x))), -(TARGET * LOG_P).sum(-1), rtol=1e-6)
    clipped = K.eval(loss(target, K.softmax(x) + 0.0))[1]
    assert clipped == pytest.approx(-np.log(K.epsilon()), rel=1e-3)


def test_the_loss_of_a_sigmoid_is_exact_where_it_rounds_to_1():
    x = K.constant([50.0, -3.0])
    want = np.log1p(np.exp(np.array([50.0, -3.0])))
    target = K.constant([0.0, 0.0])
    np.testing.assert_allclose(K.eval(K.binary_crossentropy(target, K.sigmoid(x))), want, rtol=1e-6)
    np.testing.assert_allclose(K.eval(K.binary_crossentropy(target, x, from_logits=True)), want, rtol=1e-6)


def test_probabilities_are_normalised_to_a_sum_of_1():
    got = K.eval(K.categorical_crossentropy(K.constant([[0.0, 1.0]]), K.constant([[3.0, 1.0]])))
    assert got[0] == pytest.approx(-np.log(0.25))


@pytest.mark.parametrize("axis", [1, -2])
def test_the_axis_of_the_classes(axis):
    output = np.exp(LOG_P)[:1, :, None].repeat(2, 2)
    target = TARGET[:1, :, None].repeat(2, 2)
    got = K.eval(K.categorical_crossentropy(K.constant(target), K.constant(output), axis=axis))
    np.testing.assert_allclose(got, [[-LOG_P[0, 1]] * 2], rtol=1e-5)
    ids = K.constant([[1, 1]], dtype="int32")
    got = K.eval(K.sparse_categorical_crossentropy(ids, K.constant(output), axis=axis))
    np.testing.assert_allclose(got, [[-LOG_P[0, 1]] * 2], rtol=1e-5)
    with pytest.raises(ShapeError, match="Axis 3"):
        K.categorical_crossentropy(K.constant(target), K.constant(output), axis=3)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_class_indices_may_have_an_axis_of_size_1(dtype):
    output = K.constant(np.exp(LOG_P)[:1])
    flat = K.eval(K.sparse_categorical_crossentropy(K.constant([1], dtype=dtype), output))
    column = K.eval(K.sparse_categorical_crossentropy(K.constant([[1]], dtype=dtype), output))
    assert flat.shape == column.shape == (1,)
    deep = K.eval(K.sparse_categorical_crossentropy(K.constant([[[1]]], dtype=dtype), K.expand_dims(output, 0)))
    assert deep.shape == (1, 1)
    assert flat[0] == column[0] == deep[0, 0]
