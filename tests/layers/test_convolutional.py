"""Convolutions, resizing, pooling and local layers: configurations, shapes, values against plain NumPy, errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore import backend as K
from kcore import layers as L
from kcore.layers import Input
from kcore.models import Model


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def run(layer, x, shape=None):
    """The layer's output; its symbolic shape must agree with what it declares and with the result."""
    inputs = Input(batch_shape=shape or (None, *x.shape[1:]))
    y = layer(inputs)
    value = K.function([inputs], [y])([x])[0]
    declared = layer.compute_output_shape(K.int_shape(inputs))
    assert K.int_shape(y) == tuple(declared)
    assert all(n in (None, m) for n, m in zip(declared, value.shape, strict=True))
    return value


def with_weights(layer, x, seed=1):
    """The layer, built for x, with random weights (biases included)."""
    layer(Input(batch_shape=(None, *x.shape[1:])))
    layer.set_weights([data(*w.shape, seed=seed + i) for i, w in enumerate(layer.get_weights())])
    return layer


LAST, FIRST = "channels_last", "channels_first"
LAYERS = [
    (L.Conv1D(3, 2, padding="causal", dilation_rate=2, activation="relu", kernel_regularizer="l2"), (None, 7, 2)),
    (L.Conv2D(3, (2, 3), strides=2, data_format=FIRST, use_bias=False, bias_constraint="non_neg"), (None, 2, 7, 6)),
    (L.Conv3D(2, 2, padding="same", activity_regularizer="l1"), (None, 3, 4, 5, 2)),
    (L.SeparableConv1D(3, 2, depth_multiplier=2, pointwise_constraint="max_norm"), (None, 7, 2)),
    (L.SeparableConv2D(3, 2, dilation_rate=2, depthwise_regularizer="l1"), (None, 7, 6, 2)),
    (L.DepthwiseConv2D((2, 3), strides=2, depth_multiplier=2), (None, 7, 6, 3)),
    (L.Conv2DTranspose(3, 3, strides=2, output_padding=1), (None, 4, 5, 2)),
    (L.Conv3DTranspose(2, 2, strides=(1, 2, 1), padding="same"), (None, 2, 3, 4, 2)),
    (L.UpSampling1D(3), (None, 4, 2)),
    (L.UpSampling2D((2, 3), interpolation="bilinear"), (None, 4, 3, 2)),
    (L.UpSampling3D(2, data_format=FIRST), (None, 2, 3, 4, 2)),
    (L.ZeroPadding1D((1, 2)), (None, 4, 2)),
    (L.ZeroPadding2D(((1, 0), (2, 3)), data_format=FIRST), (None, 2, 4, 3)),
    (L.ZeroPadding3D((1, 2, 0)), (None, 2, 3, 4, 2)),
    (L.Cropping1D((1, 2)), (None, 6, 2)),
    (L.Cropping2D(((1, 0), (2, 0))), (None, 4, 5, 2)),
    (L.Cropping3D(1, data_format=FIRST), (None, 2, 4, 5, 6)),
    (L.MaxPooling1D(3, 2, "same", data_format=FIRST), (None, 2, 7)),
    (L.AveragePooling2D((2, 3), strides=1), (None, 5, 6, 2)),
    (L.MaxPooling3D(2, padding="same"), (None, 3, 4, 5, 2)),
    (L.GlobalAveragePooling1D(data_format=FIRST), (None, 2, 7)),
    (L.GlobalMaxPooling2D(), (None, 3, 4, 2)),
    (L.GlobalAveragePooling3D(data_format=FIRST), (None, 2, 3, 4, 5)),
    (L.LocallyConnected1D(3, 2, strides=2), (None, 7, 2)),
    (L.LocallyConnected2D(3, (2, 1), data_format=FIRST), (None, 2, 4, 3)),
]
IDS = [type(layer).__name__ for layer, _ in LAYERS]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=IDS)
def test_a_layer_made_from_its_configuration_is_equal_and_declares_its_shape(layer, shape):
    config = L.serialize(layer)
    again = L.deserialize(config)
    assert L.serialize(again) == config
    ignored = {"kwargs", "data_format"} if "data_format" not in config["config"] else {"kwargs"}
    assert config["config"].keys() >= inspect.signature(type(layer)).parameters.keys() - ignored
    x = data(2, *shape[1:])
    assert run(again, x, shape).shape == (2, *again.compute_output_shape(shape)[1:])


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=IDS)
def test_unknown_spatial_sizes_are_found_when_it_runs(layer, shape):
    if type(layer).__name__.startswith("LocallyConnected"):
        pytest.skip("needs them to make its weights")
    config = layer.get_config()
    channels = 1 if config.get("data_format") == FIRST else len(shape) - 1
    free = tuple(n if i == channels else None for i, n in enumerate(shape))
    first, second = (type(layer).from_config(config) for _ in range(2))
    x = data(2, *shape[1:])
    first(Input(batch_shape=shape))
    second(Input(batch_shape=free))
    second.set_weights(first.get_weights())
    np.testing.assert_allclose(run(second, x, free), run(first, x), rtol=1e-5, atol=1e-6)


# --- convolutions -----------------------------------------------------------------------------------------------------


def naive_conv(x, kernel, strides, dilation):
    """A 'valid' convolution of channels-last data, window by window."""
    rank = x.ndim - 2
    size = kernel.shape[:rank]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    out = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:-1], reach, strides, strict=True)]
    y = np.zeros((len(x), *out, kernel.shape[-1]))
    for at in np.ndindex(*out):
        window = tuple(
            slice(a * s, a * s + r, d) for a, s, r, d in zip(at, strides, reach, dilation, strict=True)
        )
        y[(slice(None), *at)] = np.tensordot(x[(slice(None), *window)], kernel, rank + 1)
    return y


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("strides_dilation", [(1, 1), (2, 1), (1, 2)])
def test_a_convolution_is_a_weighted_sum_of_each_window(rank, strides_dilation):
    strides, dilation = strides_dilation
    x = data(2, *range(5, 5 + rank), 2)
    layer = getattr(L, f"Conv{rank}D")(3, (2, 3, 1)[:rank], strides=strides, dilation_rate=dilation)
    with_weights(layer, x)
    kernel, bias = layer.get_weights()
    expected = naive_conv(x, kernel, (strides,) * rank, (dilation,) * rank) + bias
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-4, atol=1e-5)


@given(
    kind=st.sampled_from(["Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D",
                          "AveragePooling1D", "LocallyConnected2D"]),
    padding=st.sampled_from(["valid", "same"]),
    stride=st.integers(1, 2),
)  # fmt: skip
def test_channels_first_is_channels_last_with_the_axes_moved(kind, padding, stride):
    with K.backend_scope("numpy"):
        args = {"padding": padding, "strides": stride}
        if kind.startswith("Local"):  # its bias is stored in another order
            args.update(padding="valid", use_bias=False)
        if "Pool" in kind:
            args["pool_size"] = 2
        else:
            args["kernel_size"] = 3 if stride == 2 else 2
            if kind != "DepthwiseConv2D":
                args["filters"] = 3
        x = data(2, 6, 2) if "1D" in kind else data(2, 6, 5, 2)
        last = with_weights(getattr(L, kind)(data_format=LAST, **args), x)
        moved = np.moveaxis(x, -1, 1)
        first = with_weights(getattr(L, kind)(data_format=FIRST, **args), moved)
        weights = last.get_weights()
        if kind.startswith("Local"):  # the window of a kernel is stored in the order of the data
            kernel = weights[0].reshape(weights[0].shape[0], -1, 2, 3)
            weights[0] = np.moveaxis(kernel, 2, 1).reshape(weights[0].shape)
        first.set_weights(weights)
        np.testing.assert_allclose(np.moveaxis(run(first, moved), 1, -1), run(last, x), rtol=1e-4, atol=1e-5)


def test_a_causal_convolution_does_not_look_ahead():
    x = data(1, 8, 2)
    layer = with_weights(L.Conv1D(3, 3, padding="causal", dilation_rate=2), x)
    changed = x.copy()
    changed[:, 5:] += 1
    a, b = run(layer, x), run(layer, changed)
    assert a.shape == (1, 8, 3)
    np.testing.assert_array_equal(a[:, :5], b[:, :5])
    assert (a[:, 5:] != b[:, 5:]).all()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(padding, strides):
    x = data(2, 8, 8, 3)
    conv = with_weights(L.Conv2D(4, 2, strides=strides, padding=padding, use_bias=False), x)
    y = data(*run(conv, x).shape, seed=5)
    transposed = L.Conv2DTranspose(3, 2, strides=strides, padding=padding, use_bias=False)
    transposed(Input(batch_shape=(None, *y.shape[1:])))
    transposed.set_weights(conv.get_weights())
    back = run(transposed, y)
    assert back.shape == x.shape
    np.testing.assert_allclose((run(conv, x) * y).sum(), (x * back).sum(), rtol=1e-4)


def test_a_separable_convolution_is_a_depthwise_and_a_pointwise_one():
    x = data(2, 6, 5, 2)
    whole = with_weights(L.SeparableConv2D(4, 3, depth_multiplier=2, use_bias=False), x)
    deep, wide = whole.get_weights()
    first = L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, weights=[deep])
    second = L.Conv2D(4, 1, use_bias=False, weights=[wide])
    np.testing.assert_allclose(run(second, run(first, x)), run(whole, x), rtol=1e-4, atol=1e-5)


# --- resizing and pooling ---------------------------------------------------------------------------------------------


def test_cropping_undoes_zero_padding():
    x = data(2, 3, 4, 5, 2)
    for rank in (1, 2, 3):
        images = x[:, :, : 4 if rank > 1 else 1, : 5 if rank > 2 else 1].reshape(2, *x.shape[1 : 1 + rank], -1)
        amounts = ((1, 0), (2, 1), (0, 3))[:rank]
        amounts = amounts[0] if rank == 1 else amounts
        padded = run(getattr(L, f"ZeroPadding{rank}D")(amounts), images)
        np.testing.assert_allclose(abs(padded).sum(), abs(images).sum(), rtol=1e-5)
        np.testing.assert_array_equal(run(getattr(L, f"Cropping{rank}D")(amounts), padded), images)


def test_upsampling_repeats():
    x = data(2, 3, 2, 2)
    np.testing.assert_array_equal(run(L.UpSampling2D((2, 3)), x), x.repeat(2, 1).repeat(3, 2))
    np.testing.assert_array_equal(run(L.UpSampling1D(2), x[:, 0]), x[:, 0].repeat(2, 1))


def test_padding_neither_wins_nor_counts_in_pooling():
    x = -1 - abs(data(1, 5, 1))
    pairs = [x[0, 0:2], x[0, 2:4], x[0, 4:5]]
    np.testing.assert_allclose(run(L.MaxPooling1D(2, padding="same"), x)[0], [p.max(0) for p in pairs])
    np.testing.assert_allclose(run(L.AveragePooling1D(2, padding="same"), x)[0], [p.mean(0) for p in pairs], rtol=1e-6)


@pytest.mark.parametrize("data_format", [LAST, FIRST])
def test_the_mean_over_time_leaves_out_masked_steps(data_format):
    x = data(2, 4, 3)
    mask = np.array([[1, 1, 0, 1], [0, 1, 0, 0]], "bool")
    pool = L.GlobalAveragePooling1D(data_format=data_format)
    given_x, given_mask = K.placeholder(shape=(None, 4, 3)), K.placeholder(shape=(None, 4), dtype="bool")
    moved = given_x if data_format == LAST else K.permute_dimensions(given_x, (0, 2, 1))
    y = K.function([given_x, given_mask], [pool.call(moved, mask=given_mask)])([x, mask])[0]
    np.testing.assert_allclose(y, [x[i][mask[i]].mean(0) for i in range(2)], rtol=1e-5, atol=1e-6)
    assert pool.compute_mask(moved, given_mask) is None


def test_layers_without_masking_refuse_a_mask():
    masked = L.Masking()(Input((5, 4)))
    for layer in (L.Conv1D(3, 2), L.MaxPooling1D(2)):
        with pytest.raises(TypeError, match=f"{layer.name} does not support masking"):
            layer(masked)


# --- locally connected ------------------------------------------------------------------------------------------------


def test_a_locally_connected_layer_with_equal_weights_is_a_convolution():
    x = data(2, 5, 4, 2)
    conv = with_weights(L.Conv2D(3, (2, 3)), x)
    kernel, bias = conv.get_weights()
    local = L.LocallyConnected2D(3, (2, 3))
    local(Input(batch_shape=(None, 5, 4, 2)))
    local.set_weights([np.tile(kernel.reshape(1, -1, 3), (8, 1, 1)), np.tile(bias, (4, 2, 1))])
    np.testing.assert_allclose(run(local, x), run(conv, x), rtol=1e-4, atol=1e-5)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: L.Conv2D(3, (2, 2, 2)), r"`kernel_size` .* must be a tuple of 2 integers. Received: \(2, 2, 2\)"),
        (lambda: L.Conv2D(3, "ab"), "`kernel_size` argument must be a tuple of 2 integers"),
        (lambda: L.Conv2D(3, 3, padding="foo"), '`padding` argument must be one of "valid", "same".*foo'),
        (lambda: L.Conv2D(3, 3, padding="causal"), "causal' is for Conv1D"),
        (lambda: L.Conv1D(3, 2, padding="causal", data_format=FIRST), 'must be "channels_last"'),
        (lambda: L.Conv2D(3, 3, data_format="last"), "data_format"),
        (lambda: L.Conv2D(-3, 3), "`filters` must be a positive integer, got -3"),
        (lambda: L.Conv2DTranspose(3, 3, output_padding=1), r"strides \(1, 1\) must be greater than output padding"),
        (lambda: L.MaxPooling2D((2, 2, 2)), "`pool_size` argument must be a tuple of 2 integers"),
        (lambda: L.LocallyConnected1D(3, 2, padding="same"), 'only "valid" is supported'),
        (lambda: L.UpSampling2D(interpolation="cubic"), 'one of "nearest" or "bilinear".*cubic'),
        (lambda: L.ZeroPadding2D((1, 2, 3)), r"`padding` should have 2 elements. Found: \(1, 2, 3\)"),
        (lambda: L.Cropping3D("abc"), "`cropping` should be an int"),
        (lambda: L.Conv2D(3, 3)(Input((4, 4, None))), "channel dimension of the inputs .* should be defined"),
        (lambda: L.Conv2D(3, 5)(Input((4, 4, 3))), "does not fit axis 1"),
        (lambda: L.Conv2D(3, 3)(Input((4, 4))), "expected ndim=4, found ndim=3"),
        (lambda: L.LocallyConnected2D(3, 2)(Input((None, 4, 3))), "should be fully-defined"),
    ],
)
def test_wrong_arguments_say_what_was_expected(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_built_convolution_refuses_other_channels():
    layer = L.Conv2D(3, 3)
    layer(Input((8, 8, 3)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        layer(Input((8, 8, 4)))


def test_arguments_of_keras_1_are_renamed_with_a_warning():
    with pytest.warns(UserWarning, match=r"kernel_size=\(3, 5\), padding='same', data_format='channels_first'"):
        layer = L.Convolution2D(8, 3, 5, border_mode="same", dim_ordering="th")
    assert (layer.kernel_size, layer.padding, layer.data_format) == ((3, 5), "same", FIRST)
    with pytest.raises(TypeError, match="both `padding` and its name of Keras 1, `border_mode`"):
        L.Conv2D(8, 3, border_mode="same", padding="same")
    with pytest.warns(UserWarning, match="Conv2D with `dilation_rate`"):
        assert L.AtrousConvolution2D(8, 3, atrous_rate=2).dilation_rate == (2, 2)
    assert L.Conv1D(3, 2, input_dim=4, input_length=7).batch_input_shape == (None, 7, 4)


def test_weights_are_named_after_the_layer():
    layer = L.SeparableConv2D(2, 3, name="deep")
    Model(x := Input((5, 5, 2)), layer(x))
    assert [w.name for w in layer.weights] == ["deep/depthwise_kernel:0", "deep/pointwise_kernel:0", "deep/bias:0"]
