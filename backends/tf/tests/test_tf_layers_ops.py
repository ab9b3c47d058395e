"""Convolution, pooling, activations, losses, normalisation and recurrence against NumPy, with their gradients."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from kcore.ops import REGISTRY
from kcore_tf.kernels import KERNELS

RNG = np.random.default_rng(1)
KINKS = np.array([[-7.0, -2.5, -1.0, -0.4, 0.0, 0.3, 1.0, 2.0, 2.5, 6.0, 9.0]])


def op(name, /, **attributes):
    return functools.partial(REGISTRY[name].public, **attributes)


def images(rank, data_format, size=5, channels=2, batch=2):
    spatial = (size, size + 1, size - 1)[:rank]
    shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
    return RNG.standard_normal(shape)


# --- convolution ------------------------------------------------------------------------------------------------------

# Strides, dilation, window; groups and channels. With 2-D float64 and with groups other kernels are at work.
GEOMETRY = [((1, 1, 1), (1, 1, 1), (3, 3, 3)), ((2, 2, 2), (1, 1, 1), (3, 2, 2)), ((1, 1, 1), (2, 1, 2), (2, 2, 2)),
            ((2, 1, 2), (1, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1), (2, 2, 2)), ((2, 2, 2), (1, 1, 1), (1, 1, 1))]
GROUPS = [(1, 2, 3), (2, 4, 2), (3, 3, 6)]  # fmt: skip
LAYOUTS = list(itertools.product(["valid", "same"], ["channels_last", "channels_first"]))


def check(name, tolerance, *arguments):
    """Kernel and reference on the same arguments, at once."""
    expected = REGISTRY[name].reference(*arguments)
    got = KERNELS[name](*(tf.constant(a) if isinstance(a, np.ndarray) else a for a in arguments)).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    return expected


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolution_and_its_two_gradient_ops(rank, geometry, groups, dtype, tolerance):
    strides, dilation, window = (part[:rank] for part in geometry)
    parts, channels, filters = groups
    kernel = RNG.standard_normal((*window, channels // parts, filters)).astype(dtype)
    for padding, data_format in LAYOUTS:
        x = images(rank, data_format, channels=channels).astype(dtype)
        settings = (strides, padding, dilation, data_format, parts)
        y = check("conv", tolerance, x, kernel, *settings)
        check("conv_transpose", tolerance, y, kernel, x.shape, *settings)
        check("conv_kernel_grad", tolerance, x, y, kernel.shape, *settings)


@pytest.mark.parametrize("name", ["conv", "conv_transpose", "conv_kernel_grad"])
@pytest.mark.parametrize(
    ("rank", "padding", "data_format"),
    [(1, "same", "channels_last"), (2, "same", "channels_last"), (2, "valid", "channels_first")],
)
def test_derivatives_of_convolution_up_to_the_second(name, rank, padding, data_format, agree_on):
    for stride, dilation, groups in ((2, 1, 1), (1, 2, 2), (1, 1, 4)):
        kernel = RNG.standard_normal((*(2,) * rank, 4 // groups, 4))
        settings = ((stride,) * rank, padding, (dilation,) * rank, data_format, groups)
        x = images(rank, data_format, channels=4, batch=1)
        y = REGISTRY["conv"].reference(x, kernel, *settings)
        first, other, shape = {"conv": (x, kernel, ()), "conv_transpose": (y, kernel, (x.shape,)),
                               "conv_kernel_grad": (x, y, (kernel.shape,))}[name]  # fmt: skip
        run = REGISTRY[name].public
        agree_on(lambda a, b: run(a, b, *shape, *settings), first, other, second=True)  # noqa: B023 - run at once


# --- pooling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "strides"), [((2, 2, 2), (2, 2, 2)), ((3, 2, 1), (2, 1, 3)), ((3, 3, 3), (1, 1, 1))]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling_and_its_gradient_ops(rank, dtype, tolerance, window, strides):
    for padding, data_format in LAYOUTS:
        settings = (window[:rank], strides[:rank], padding, data_format)
        x = np.round(images(rank, data_format)).astype(dtype)  # with ties
        y = check("max_pool", tolerance, x, *settings)
        check("max_pool_grad", tolerance, y, x, *settings)
        check("avg_pool_grad", tolerance, check("avg_pool", tolerance, x, *settings), x.shape, *settings)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_derivatives_of_pooling_up_to_the_second(name, rank, agree_on):
    for padding, data_format in LAYOUTS[1:3]:
        for window, strides in ((2, 2), (2, 1), (1, 1)):
            sizes = dict(pool_size=(window,) * rank, strides=(strides,) * rank)
            pool = op(name, **sizes, padding=padding, data_format=data_format)
            agree_on(pool, images(rank, data_format), second=rank < 3)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_first_maximum_of_a_window_gets_the_gradient(padding, data_format, agree_on):
    pool = op("max_pool", pool_size=(2, 3), strides=(2, 2), padding=padding, data_format=data_format)
    agree_on(pool, RNG.integers(0, 2, (2, 7, 7, 9)).astype("float64"))
    agree_on(pool, np.full((1, 5, 5, 16), -3.0))


def test_gradients_of_pooling_as_ops_of_their_own(agree_on):
    x = RNG.integers(0, 3, (2, 5, 5, 2)).astype("float64")
    settings = dict(pool_size=(2, 2), strides=(2, 2), padding="same", data_format="channels_last")
    g = RNG.standard_normal((2, 3, 3, 2))
    agree_on(lambda v: op("max_pool_grad", **settings)(v, x), g, second=True)
    agree_on(op("avg_pool_grad", shape=x.shape, **settings), g)


def test_maxima_of_integers():
    x = RNG.integers(-9, 9, (1, 4, 4, 2)).astype("int32")
    settings = ((2, 2), (1, 1), "same", "channels_last")
    got = KERNELS["max_pool"](tf.constant(x), *settings).numpy()
    np.testing.assert_array_equal(got, REGISTRY["max_pool"].reference(x, *settings))


# --- activations and losses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [
    op("relu"), op("relu", alpha=0.3), op("relu", max_value=6.0), op("relu", alpha=0.1, max_value=2.5, threshold=1.0),
    op("elu"), op("elu", alpha=0.7), op("selu"), op("softsign"), op("hard_sigmoid"),
    op("clip", min_value=-1.0, max_value=2.0), op("clip", min_value=None, max_value=2.0),
    op("clip", min_value=None, max_value=None), op("softmax"), op("softmax", axis=0), op("log_softmax"),
    op("logsumexp"), op("logsumexp", axis=[0], keepdims=True), op("l2_normalize", axis=1), op("std", axis=1),
])  # fmt: skip
def test_activations_and_their_gradients_at_kinks_too(fn, agree_on):
    agree_on(fn, KINKS)


def test_relu_and_clip_of_integers():
    x = np.array([-3, 0, 2, 9], "int32")
    np.testing.assert_array_equal(op("relu")(tf.constant(x)).numpy(), [0, 0, 2, 9])
    np.testing.assert_array_equal(op("clip")(tf.constant(x), 0, 5).numpy(), [0, 0, 2, 5])


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmax_crossentropy(axis, agree_on):
    target = np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.5]])
    agree_on(op("softmax_crossentropy", axis=axis), target, np.array([[800.0, 0.0, -800.0], [1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1, 3)])
def test_sparse_softmax_crossentropy_ignores_targets_out_of_range(shape, agree_on):
    target = np.arange(-1, np.prod(shape) - 1).reshape(shape) % 7 - 1
    agree_on(lambda x: op("sparse_softmax_crossentropy")(target, x), RNG.standard_normal((*shape, 5)))


def test_sigmoid_crossentropy(agree_on):
    target, logits = np.array([0.0, 1.0, 0.3, 1.0, 0.0]), np.array([800.0, -800.0, 0.0, 30.0, -3.0])
    agree_on(op("sigmoid_crossentropy"), target, logits)


# --- normalisation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("shape", "axis"), [((6, 3), 1), ((4, 2, 3), 2), ((2, 3, 4), 1), ((2, 4, 5, 3), 3),
                                             ((2, 3, 4, 5), 1), ((2, 3, 2, 2, 3), 4)])  # fmt: skip
def test_batch_norm_with_gradients_through_the_moments_too(shape, axis, affine, agree_on):
    x, channels = 3 * RNG.standard_normal(shape) + 5, shape[axis]
    gamma, beta = (RNG.standard_normal(channels) if wanted else None for wanted in affine)
    given = [p for p in (gamma, beta) if p is not None]

    def apply(v, *parameters):
        left = list(parameters)
        g, b = (left.pop(0) if wanted else None for wanted in affine)
        return op("batch_norm", axis=axis, epsilon=1e-3)(v, g, b)

    agree_on(apply, x, *given, second=len(shape) < 4, rtol=1e-7, atol=1e-7)
    agree_on(lambda *a: apply(*a)[0], x, *given, rtol=1e-7, atol=1e-7)
    agree_on(lambda *a: apply(*a)[2], x, *given, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("parts", [slice(0, 1), slice(1, 3), slice(None)])
@pytest.mark.parametrize(("shape", "axis"), [((5, 4), 1), ((2, 3, 4), 1), ((2, 3, 4, 5), 3), ((2, 3, 4, 5), 1),
                                             ((2, 3, 4, 5), 2), ((2, 3, 2, 3, 4), 4), ((1, 4), 1)])  # fmt: skip
def test_the_fused_batch_norm_with_gradients_through_the_moments_too(shape, axis, parts, agree_on):
    arrays = [a.astype("float32") for a in (RNG.standard_normal(shape), *RNG.standard_normal((2, shape[axis])))]
    agree_on(lambda *a: op("batch_norm", axis=axis, epsilon=1e-3)(*a)[parts], *arrays, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("shape", [(1, 3), (5, 3)])
def test_the_variance_of_equal_rows_is_zero(shape):
    y, mean, variance = KERNELS["batch_norm"](tf.fill(shape, 1e3), None, None, 1, 1e-3)
    assert np.abs(y).max() < 1e-4
    assert variance.numpy().tolist() == [0, 0, 0]
    assert mean.numpy().tolist() == [1e3] * 3


@pytest.mark.parametrize("axis", [1, 2])
def test_batch_normalization_with_given_moments(axis, agree_on):
    x = RNG.standard_normal((2, 3, 3))
    moments = [RNG.random(3) + 0.5 for _ in range(4)]
    agree_on(op("batch_normalization", axis=axis), x, *moments)


# --- recurrence -------------------------------------------------------------------------------------------------------

MASK = np.array([[True, True, False, True], [False, True, True, False]])
FLAGS = list(itertools.product([False, True], [False, True]))


def check_lstm(agree_on, bias=True, recurrent_activation="sigmoid", mask=None, flags=(True, False)):
    arrays = [RNG.standard_normal(s) for s in ((2, 4, 3), (2, 5), (2, 5), (3, 20), (5, 20))]
    arrays += [RNG.standard_normal(20)] if bias else []
    lstm = op("lstm", activation="tanh", recurrent_activation=recurrent_activation, mask=mask,
              return_sequences=flags[0], go_backwards=flags[1])  # fmt: skip
    agree_on(lambda *a: lstm(*a, **({} if bias else {"bias": None})), *arrays)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_fused_lstm(bias, flags, agree_on):
    check_lstm(agree_on, bias, flags=flags)


def test_other_lstms_are_computed_by_their_definition(agree_on):
    check_lstm(agree_on, mask=MASK)
    check_lstm(agree_on, recurrent_activation="hard_sigmoid")


def check_gru(agree_on, bias=1, reset_after=True, mask=None, flags=(True, False)):
    arrays = [RNG.standard_normal(s) for s in ((2, 4, 3), (2, 5), (3, 15), (5, 15))]
    arrays += [RNG.standard_normal((15,) if bias == 1 else (2, 15))] if bias else []
    gru = op("gru", activation="tanh", recurrent_activation="sigmoid", mask=mask, reset_after=reset_after,
             return_sequences=flags[0], go_backwards=flags[1])  # fmt: skip
    agree_on(lambda *a: gru(*a, **({} if bias else {"bias": None})), *arrays)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("bias", [0, 1, 2])
def test_the_fused_gru(bias, flags, agree_on):
    check_gru(agree_on, bias, flags=flags)


def test_other_grus_are_computed_by_their_definition(agree_on):
    check_gru(agree_on, reset_after=False)
    check_gru(agree_on, bias=2, mask=MASK)


def test_second_derivatives_flow_through_the_fused_loops(agree_on):
    arrays = [RNG.standard_normal(s) for s in ((2, 3, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,))]
    lstm = op("lstm", activation="tanh", recurrent_activation="sigmoid", mask=None, return_sequences=True,
              go_backwards=False)  # fmt: skip
    agree_on(lstm, *arrays, second=True)


def test_relu_below_a_negative_threshold_and_a_maximum_has_slope_one_at_zero():
    x = tf.constant([-2.0, -0.5, 0.0, 0.5, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = KERNELS["relu"](x, 0.0, 2.0, -1.0)
    np.testing.assert_array_equal(y.numpy(), [0, 0, 0, 0.5, 2])
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [0, 0, 1, 1, 0])
