from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("axes", [[0], [0, 1], [0, 2], [0, 1, 2], [1]])
def test_a_normalised_batch_has_mean_0_and_variance_1(axes):
    x = RNG.normal(3.0, 2.0, size=(6, 5, 4, 3)).astype("float32")
    y, mean, var = K.normalize_batch_in_training(K.constant(x), None, None, axes, epsilon=0.0)
    y, mean, var = K.eval(y), K.eval(mean), K.eval(var)
    np.testing.assert_allclose(y.mean(tuple(axes)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(tuple(axes)), 1, atol=1e-4)
    np.testing.assert_allclose(mean, x.mean(tuple(axes)), rtol=1e-4)
    # The original's fused kernel, for images with the channels last, estimated that of the population.
    unbiased = 1 if axes == [0, 1, 2] else 0
    np.testing.assert_allclose(var, x.var(tuple(axes), ddof=unbiased), rtol=1e-4)


def test_scale_and_shift_of_a_normalised_batch():
    x = RNG.normal(size=(6, 4)).astype("float32")
    plain = K.eval(K.normalize_batch_in_training(K.constant(x), None, None, [0])[0])
    gamma, beta = np.arange(4, dtype="float32"), np.ones(4, "float32")
    got = K.eval(K.normalize_batch_in_training(K.constant(x), gamma, beta, [0])[0])
    np.testing.assert_allclose(got, plain * gamma + beta, atol=1e-5)


def test_bias_add_follows_the_configured_format():
    bias = K.constant([1.0, 2.0])
    assert K.eval(K.bias_add(K.zeros((1, 3, 2)), bias))[0, 0].tolist() == [1, 2]
    K.set_image_data_format("channels_first")
    assert K.eval(K.bias_add(K.zeros((1, 2, 3)), bias))[0, :, 0].tolist() == [1, 2]
    with pytest.raises(ShapeError, match="rank"):
        K.bias_add(K.zeros((1, 2, 3, 4)), K.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="data_format"):
        K.bias_add(K.zeros((1, 2)), bias, data_format="last")


def test_in_top_k_counts_ties_as_in_and_refuses_nonsense():
    rising = [0.1, 0.2, 0.3, 0.4]
    predictions = K.constant([[0.1, 0.2, 0.2, 0.5], [0.1, np.inf, 0.2, 0.3], rising, rising])
    targets = K.constant([1, 0, 9, 0], dtype="int32")
    assert K.eval(K.in_top_k(predictions, targets, 2)).tolist() == [True, False, False, False]
    assert K.eval(K.in_top_k(predictions, targets, 4)).tolist() == [True, False, False, True]
    with pytest.raises(ShapeError, match="samples, classes"):
        K.in_top_k(predictions, predictions, 1)


def test_sqrt_of_negative_numbers_is_0():
    v = K.variable([4.0, -4.0])
    assert K.eval(K.sqrt(v)).tolist() == [2, 0]


def test_dropout_scales_what_it_keeps():
    x = K.ones((1000,))
    y = K.eval(K.dropout(x, 0.25, seed=1))
    np.testing.assert_allclose(sorted(set(y.tolist())), [0, 4 / 3], rtol=1e-6)
    assert 0.2 < (y == 0).mean() < 0.3
    rows = K.eval(K.dropout(K.ones((4, 50)), 0.5, noise_shape=(1, 50), seed=1))
    assert (rows == rows[0]).all()


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_relu_with_a_largest_value_cuts_what_passes_a_negative_threshold_at_0(alpha):
    x = np.array([-1.0, -0.3, -0.1, 0.5, 3.0], "float32")
    want = np.array([alpha * (-1 + 0.2), alpha * (-0.3 + 0.2), 0, 0.5, 2], "float32")
    np.testing.assert_allclose(K.eval(K.relu(K.constant(x), alpha, max_value=2.0, threshold=-0.2)), want, rtol=1e-5)
    p = K.placeholder((5,))
    y = K.relu(p, alpha, max_value=2.0, threshold=-0.2)
    got, gradient = K.function([p], [y, K.gradients(K.sum(y), p)[0]])([x])
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(gradient, [alpha, alpha, 0, 1, 0])
