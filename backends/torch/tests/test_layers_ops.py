"""Convolution, pooling, activations, losses, normalisation and recurrence against NumPy, with their gradients."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch

from kcore.ops import REGISTRY
from kcore_torch.kernels import kernels

RNG = np.random.default_rng(1)
KINKS = np.array([[-7.0, -2.5, -1.0, -0.4, 0.0, 0.3, 1.0, 2.0, 2.5, 6.0, 9.0]])


def op(name, /, **attributes):
    return functools.partial(REGISTRY[name].public, **attributes)


def images(rank, data_format, size=5, channels=2, batch=2):
    spatial = (size, size + 1, size - 1)[:rank]
    shape = (batch, *spatial, channels) if data_format == "channels_last" else (batch, channels, *spatial)
    return RNG.standard_normal(shape)


# --- convolution ------------------------------------------------------------------------------------------------------

GEOMETRY = [  # strides, dilation, window, groups
    (1, 1, 3, 1), (2, 1, 3, 1), (1, 2, 2, 1), (1, 1, 2, 2), (3, 1, 2, 1), (2, 1, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolution_and_its_gradients(rank, geometry, padding, data_format, agree_on):
    strides, dilation, window, groups = geometry
    kernel = RNG.standard_normal((*(window,) * rank, 2 // groups, 4))
    conv = op("conv", strides=(strides,) * rank, padding=padding, dilation=(dilation,) * rank,
              data_format=data_format, groups=groups)  # fmt: skip
    agree_on(conv, images(rank, data_format), kernel, second=rank == 2 and data_format == "channels_last")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("rank", [1, 2])
def test_the_gradients_of_convolution_as_ops_of_their_own(rank, geometry, padding, data_format, agree_on):
    strides, dilation, window, groups = geometry
    x = images(rank, data_format)
    kernel = RNG.standard_normal((*(window,) * rank, 2 // groups, 4))
    settings = dict(strides=(strides,) * rank, padding=padding, dilation=(dilation,) * rank, data_format=data_format,
                    groups=groups)  # fmt: skip
    reference = REGISTRY["conv"].reference
    g = RNG.standard_normal(reference(x, kernel, *settings.values()).shape)
    agree_on(op("conv_transpose", output_shape=x.shape, **settings), g, kernel)
    agree_on(op("conv_kernel_grad", kernel_shape=kernel.shape, **settings), x, g)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolution_with_a_single_filter(rank, agree_on):
    settings = dict(strides=(1,) * rank, padding="valid", dilation=(1,) * rank, data_format="channels_last")
    for batch in (1, 2):
        x, kernel = images(rank, "channels_last", batch=batch), RNG.standard_normal((*(2,) * rank, 2, 1))
        agree_on(op("conv", **settings), x, kernel)
        agree_on(op("conv", **settings), x.astype("float32"), kernel.astype("float32"), rtol=1e-4, atol=1e-5)


def test_channels_last_stays_in_its_memory_order():
    x, kernel = torch.ones(2, 6, 6, 3), torch.ones(3, 3, 3, 4)
    y = kernels["conv"](x, kernel, (1, 1), "same", (1, 1), "channels_last", 1)
    assert y.is_contiguous()
    assert kernels["max_pool"](y, (2, 2), (2, 2), "valid", "channels_last").is_contiguous()


# --- pooling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window", "strides"), [(2, 2), (3, 2), (3, 1), (2, 3), (2, 1)])
@pytest.mark.parametrize(("name", "rank"), list(itertools.product(["max_pool", "avg_pool"], [1, 2, 3])))
def test_pooling_and_its_gradients(name, rank, window, strides, padding, data_format, agree_on):
    pool = op(name, pool_size=(window,) * rank, strides=(strides,) * rank, padding=padding, data_format=data_format)
    agree_on(pool, images(rank, data_format), second=rank == 2 and data_format == "channels_last")


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
    agree_on(lambda v: op("max_pool_grad", **settings)(v, x), g)
    agree_on(op("avg_pool_grad", shape=x.shape, **settings), g)


def test_maxima_of_integers():
    x = RNG.integers(-9, 9, (1, 4, 4, 2)).astype("int32")
    settings = ((2, 2), (1, 1), "same", "channels_last")
    got = kernels["max_pool"](torch.from_numpy(x), *settings).numpy()
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
    np.testing.assert_array_equal(op("relu")(torch.from_numpy(x)).numpy(), [0, 0, 2, 9])
    np.testing.assert_array_equal(op("clip")(torch.from_numpy(x), 0, 5).numpy(), [0, 0, 2, 5])


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


@pytest.mark.parametrize("shape", [(1, 3), (5, 3)])
def test_the_variance_of_equal_rows_is_zero(shape):
    y, mean, variance = kernels["batch_norm"](torch.full(shape, 1e3, dtype=torch.float64), None, None, 1, 1e-3)
    assert y.abs().max() < 1e-10
    assert variance.tolist() == [0, 0, 0]
    assert mean.tolist() == [1e3] * 3


@pytest.mark.parametrize("axis", [1, 2])
def test_batch_normalization_with_given_moments(axis, agree_on):
    x = RNG.standard_normal((2, 3, 3))
    moments = [RNG.random(3) + 0.5 for _ in range(4)]
    agree_on(op("batch_normalization", axis=axis), x, *moments)


# --- recurrence -------------------------------------------------------------------------------------------------------

MASK = np.array([[True, True, False, True], [False, True, True, False]])
MASKS = {
    "scattered": MASK, "padded": np.array([[1, 1, 0, 0], [1, 1, 1, 0]]) > 0, "full": np.ones((2, 4), bool),
    "nothing": np.zeros((2, 4), bool), "nothing of one": np.array([[0, 0, 0, 0], [0, 1, 1, 1]]) > 0,
}  # fmt: skip
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


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("mask", MASKS)
def test_the_fused_loops_on_masked_sequences(mask, flags, agree_on):
    check_lstm(agree_on, mask=MASKS[mask], flags=flags)
    check_gru(agree_on, bias=2, mask=MASKS[mask], flags=flags)


def test_other_lstms_are_computed_by_their_definition(agree_on):
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
    check_gru(agree_on, reset_after=False, mask=MASK)


@pytest.mark.parametrize("mask", [None, MASK])
def test_second_derivatives_flow_through_the_fused_loops(mask, agree_on):
    arrays = [RNG.standard_normal(s) for s in ((2, 4, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,))]
    lstm = op("lstm", activation="tanh", recurrent_activation="sigmoid", mask=mask, return_sequences=True,
              go_backwards=False)  # fmt: skip
    agree_on(lstm, *arrays, second=True)


# --- attention and normalisation of samples ---------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, (3, 5), (2, 1, 3, 5), (2, 2, 1, 5)])
def test_attention_and_its_gradients(mask, causal, agree_on):
    hidden = None if mask is None else RNG.random(mask) < 0.7
    if hidden is not None:
        hidden[..., 0] = True
    query, key, value = (RNG.standard_normal((2, 2, n, k)) for n, k in ((3, 4), (5, 4), (5, 2)))
    attention = op("dot_product_attention", mask=hidden, scale=0.5, causal=causal)
    agree_on(attention, query, key, value, second=True)


def test_a_row_that_hides_everything_is_the_mean_of_the_values():
    query, value = torch.randn(1, 1, 2, 3), torch.randn(1, 1, 4, 3)
    y = kernels["dot_product_attention"](query, value, value, torch.zeros(2, 4, dtype=torch.bool), 1.0, False)
    np.testing.assert_allclose(y, value.mean(-2, keepdim=True).expand(1, 1, 2, 3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [(2,), (1, 2), (1,), (0, 2)])
def test_layer_norm_and_its_gradients(axis, agree_on):
    x = RNG.standard_normal((4, 3, 5))
    gamma, beta = (RNG.standard_normal([x.shape[a] for a in axis]) for _ in range(2))
    agree_on(op("layer_norm", axis=list(axis), epsilon=0.1), x, gamma, beta, second=True)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_and_its_gradients(affine, axis, agree_on):
    x, parameters = RNG.standard_normal((2, 4, 4, 4)), (RNG.standard_normal(4), RNG.standard_normal(4))
    if affine:
        agree_on(op("group_norm", groups=2, axis=axis, epsilon=0.1), x, *parameters, second=True)
    else:
        agree_on(op("group_norm", gamma=None, beta=None, groups=2, axis=axis, epsilon=0.1), x, second=True)


@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_of_data_has_gradients_by_its_parameters_alone(affine):
    gamma, beta = torch.ones(4, requires_grad=True) if affine else None, torch.zeros(4, requires_grad=True)
    with torch.enable_grad():
        y = kernels["group_norm"](torch.randn(2, 4, 4, 4), gamma, beta, 2, 3, 1e-3)
        (found,) = torch.autograd.grad(y.sum(), [beta])
    np.testing.assert_allclose(found, np.full(4, 32.0), rtol=1e-5)
