"""K's convolutions against sums written out; the ops themselves are tested with the ops."""

from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(2)


def draw(*shape):
    return RNG.normal(size=shape).astype("float32")


def value(x):
    return np.asarray(K.eval(x) if K.is_tensor(x) else x)


def test_causal_convolution_sees_only_the_past():
    x, kernel = draw(2, 7, 3), draw(3, 3, 4)
    got = value(K.conv1d(x, kernel, padding="causal", dilation_rate=2))
    padded = np.pad(x, ((0, 0), (4, 0), (0, 0)))
    want = sum(padded[:, 2 * k : 2 * k + 7] @ kernel[k] for k in range(3))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    with pytest.raises(ArgumentError, match="channels_last"):
        K.conv1d(x, kernel, padding="causal", data_format="channels_first")


def test_channels_first_is_the_same_convolution():
    x, kernel = draw(2, 5, 6, 3), draw(3, 2, 3, 4)
    last = value(K.conv2d(x, kernel, (2, 1), "same"))
    first = value(K.conv2d(x.transpose(0, 3, 1, 2), kernel, (2, 1), "same", "channels_first"))
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), last, rtol=1e-4, atol=1e-5)


def test_the_configured_data_format_is_the_default():
    K.set_image_data_format("channels_first")
    assert K.int_shape(K.conv2d(K.placeholder(shape=(None, 3, 8, 8)), K.ones((3, 3, 3, 5)))) == (None, 5, 6, 6)
    assert K.int_shape(K.pool2d(K.placeholder(shape=(None, 3, 8, 8)), (2, 2), (2, 2))) == (None, 3, 4, 4)


def test_a_transposed_convolution_is_the_gradient_of_one():
    x, kernel = K.constant(draw(2, 8, 8, 5)), K.constant(draw(3, 3, 5, 3))
    seed = draw(2, 4, 4, 3)
    y = K.conv2d(x, kernel, (2, 2), "same")
    gradient = K.gradients(K.sum(y * K.constant(seed)), [x])[0]
    transposed = K.conv2d_transpose(K.constant(seed), kernel, (None, 8, 8, 5), (2, 2), "same")
    np.testing.assert_allclose(value(transposed), value(gradient), rtol=1e-4, atol=1e-4)


def test_a_transposed_convolution_takes_a_symbolic_shape():
    x, like = K.placeholder(shape=(None, 4, 4, 3)), K.placeholder(shape=(None, None, None, 5))
    y = K.conv2d_transpose(x, K.ones((3, 3, 5, 3)), K.shape(like), (2, 2), "same")
    assert K.function([x, like], [y])([draw(2, 4, 4, 3), draw(2, 7, 8, 5)])[0].shape == (2, 7, 8, 5)


def test_depthwise_convolves_each_channel_alone():
    x, kernel = draw(2, 6, 5, 3), draw(2, 2, 3, 2)
    got = value(K.depthwise_conv2d(x, kernel))
    for channel in range(3):
        alone = value(K.conv2d(x[..., channel : channel + 1], kernel[:, :, channel : channel + 1]))
        np.testing.assert_allclose(got[..., 2 * channel : 2 * channel + 2], alone, rtol=1e-4, atol=1e-5)


def test_separable_is_depthwise_then_pointwise():
    x, depthwise, pointwise = draw(2, 6, 5, 3), draw(2, 2, 3, 2), draw(1, 1, 6, 4)
    want = value(K.conv2d(K.depthwise_conv2d(x, depthwise, padding="same"), pointwise))
    np.testing.assert_allclose(value(K.separable_conv2d(x, depthwise, pointwise, padding="same")), want, rtol=1e-5)
    line, along, across = draw(2, 6, 3), draw(3, 3, 2), draw(1, 6, 4)
    flat = value(K.separable_conv2d(line[:, None], along[None], across[None]))[:, 0]
    np.testing.assert_allclose(value(K.separable_conv1d(line, along, across)), flat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_equal_weights_make_a_local_convolution_an_ordinary_one(data_format):
    x, kernel = draw(2, 5, 6, 3), draw(2, 3, 3, 4)
    first = data_format == "channels_first"
    want = value(K.conv2d(x, kernel, (1, 2)))
    rows = kernel.transpose(2, 0, 1, 3) if first else kernel
    weights = np.tile(rows.reshape(1, 18, 4), (8, 1, 1))
    fed = x.transpose(0, 3, 1, 2) if first else x
    got = value(K.local_conv2d(fed, weights, (2, 3), (1, 2), (4, 2), data_format))
    np.testing.assert_allclose(got.transpose(0, 2, 3, 1) if first else got, want, rtol=1e-4, atol=1e-5)
    line = value(K.local_conv1d(x[:, 0], np.tile(kernel[0].reshape(1, 9, 4), (4, 1, 1)), (3,), (1,)))
    np.testing.assert_allclose(line, value(K.conv1d(x[:, 0], kernel[0])), rtol=1e-4, atol=1e-5)


def test_a_local_kernel_of_a_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"\(4, 6"):
        K.local_conv1d(K.zeros((2, 5, 3)), K.zeros((4, 5, 2)), (2,), (1,))


def test_pooling_modes_and_integers_for_sizes():
    x = K.constant(np.arange(8).reshape(1, 2, 4, 1))
    assert value(K.pool2d(x, 2, 2)).ravel().tolist() == [5, 7]
    assert value(K.pool2d(x, (2, 2), (2, 2), pool_mode="avg")).ravel().tolist() == [2.5, 4.5]
    with pytest.raises(ArgumentError, match="'max' or 'avg'"):
        K.pool2d(x, 2, 2, pool_mode="min")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x, k: K.conv2d(x, k, padding="full"), "'valid' or 'same'"),
        (lambda x, k: K.conv2d(x, k, strides=(1, 1, 1)), "strides"),
        (lambda x, k: K.conv2d(x, k, dilation_rate=0), "dilation_rate"),
        (lambda x, k: K.conv2d(x, k, data_format="last"), "data_format"),
        (K.conv1d, "rank 3"),
        (lambda x, k: K.conv2d_transpose(x, k, (8, 8, 3)), "output_shape"),
        (lambda x, k: K.depthwise_conv2d(x, K.placeholder(shape=(3, 3, 3, None))), "known shape"),
        (lambda x, k: K.pool3d(x, 2), "rank 5"),
    ],
)
def test_errors_name_what_is_wrong(call, match):
    with pytest.raises((ArgumentError, ShapeError), match=match):
        call(K.placeholder(shape=(None, 8, 8, 3)), K.ones((3, 3, 3, 5)))
