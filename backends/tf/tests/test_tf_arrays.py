"""Reductions, shapes, slices, gathering, products and creation against the NumPy references, with their gradients."""

from __future__ import annotations

import functools

import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis.extra import numpy as hnp

from kcore.ops import REGISTRY
from kcore_tf.kernels import KERNELS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4))
TIES = np.array([[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, -1.0]])


def op(name, /, *positions, **attributes):
    """A function of tensors: the op with attributes given."""
    return functools.partial(REGISTRY[name].public, *positions, **attributes)


def same(name, *arguments):
    """Kernel and reference on the same arguments."""
    expected = REGISTRY[name].reference(*arguments)
    got = KERNELS[name](*(tf.constant(a) if isinstance(a, np.ndarray) else a for a in arguments)).numpy()
    assert got.dtype == np.asarray(expected).dtype
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


# --- reductions -------------------------------------------------------------------------------------------------------

AXES = [(), (0,), (1,), (0, 2), (0, 1, 2)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "logsumexp"])
def test_reductions_and_their_gradients(name, axis, keepdims, agree_on):
    agree_on(op(name, axis=axis, keepdims=keepdims), X, second=name in ("sum", "mean", "var", "logsumexp"))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "int64"])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("axis", [(0,), (0, 1), ()])
def test_reductions_of_integers_keep_their_dtype(name, dtype, axis):
    same(name, np.array([[0, 1, 3], [200, 0, 7]]).astype(dtype), axis, False)


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient_evenly(name, agree_on):
    agree_on(op(name, axis=1), TIES)


def test_the_gradient_of_a_product_with_zeros(agree_on):
    agree_on(op("prod", axis=1), np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0], [1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_positions_of_extremes_are_the_first_ones(name, dtype):
    for axis in (0, 1):
        same(name, np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 0, 1]]).astype(dtype), axis)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("axis", [0, 2])
def test_running_sums_and_products(name, axis, agree_on):
    agree_on(op(name, axis=axis), X)
    same(name, np.array([[3, 2], [100, 9]], "uint8"), 1)


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [
    op("reshape", shape=(4, -1)), op("transpose", perm=(2, 0, 1)), op("expand_dims", axis=1),
    op("broadcast_to", shape=(5, 2, 3, 4)), op("tile", n=(2, 1, 3)), op("repeat_elements", rep=3, axis=1),
    op("reverse", axis=(0, 2)), op("pad", padding=((1, 0), (0, 2), (3, 1)), value=2.5),
    op("strided_slice", index=(slice(None), 1, slice(1, 4, 2))),
    op("strided_slice", index=(None, -1, slice(None, None, -1), slice(3, 0, -2))),
    op("strided_slice", index=(slice(5, 1, -1), slice(None), None)),
    op("strided_slice", index=(0, 1, 2)),
    op("scatter_slice", index=(slice(0, 4, 2), slice(2, None, -1), slice(None)), shape=(4, 5, 4)),
    op("reduce_to", shape=(3, 1)),
    lambda x: op("squeeze", axis=(1,))(op("reshape", shape=(6, 1, 4))(x)),
    lambda x: op("concatenate", axis=1)([x, x * 2.0]), lambda x: op("stack", axis=2)([x, x * 2.0]),
])  # fmt: skip
def test_shape_ops_and_their_gradients(fn, agree_on):
    agree_on(fn, X)


@given(st.data())
def test_every_slice_that_numpy_takes(data):
    x = data.draw(hnp.arrays("int32", hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)))
    index = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=False))
    index = index if isinstance(index, tuple) else (index,)
    got = KERNELS["strided_slice"](tf.constant(x), index).numpy()
    np.testing.assert_array_equal(got, x[index])
    same("scatter_slice", np.array(x[index]), index, x.shape)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16"])
def test_padding_and_joining_in_other_dtypes(dtype):
    x = np.array([[1, 0], [1, 1]], dtype)
    same("pad", x, ((1, 0), (0, 1)), 1)
    joined = KERNELS["concatenate"]([tf.constant(x)] * 2, 1)
    np.testing.assert_array_equal(joined.numpy(), np.concatenate([x] * 2, 1))


def test_many_axes_are_repeated_and_broadcast():
    x = np.arange(6, dtype="uint16").reshape(1, 2, 1, 3)
    same("tile", x, (2, 2, 1, 3))
    same("broadcast_to", x[:, :, None], (4, 3, 2, 2, 2, 3))
    same("repeat_elements", x.reshape(1, 2, 1, 3, 1), 3, 1)


def test_shape_is_a_numpy_vector():
    got = KERNELS["shape"](tf.ones((2, 3)))
    assert isinstance(got, np.ndarray)
    assert got.dtype == "int32"
    assert got.tolist() == [2, 3]


# --- gathering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("indices", [[0, 2, 2], [[1, 0], [2, 2]], 1])
def test_gather_and_its_gradient_add_up_repeated_indices(indices, axis, dtype, agree_on):
    for x in (RNG.standard_normal((4, 3, 2)), RNG.standard_normal((3, 3))):
        agree_on(op("gather", axis=axis), x, np.array(indices, dtype), second=True)


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 2), (3,)])
def test_negative_indices_count_from_the_end(shape):
    x = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    same("gather", x, np.array([-1, 0, -3]), 0)
    same("scatter_add", np.array([-1, 0, -1]), x, (4, *shape[1:]), 0)


@pytest.mark.parametrize("axis", [0, 1])
def test_indices_out_of_range_meet_the_nearest_end_and_so_do_their_gradients(axis, agree_on):
    agree_on(op("gather", axis=axis), RNG.standard_normal((3, 3)), np.array([-4, 3, 9, -(2**31), 1]), second=True)


def test_printing_says_what_numpy_would_in_a_trace_too(capsys):
    traced = tf.function(lambda x: KERNELS["print_tensor"](x, "it is"))
    assert traced(tf.constant([1.0, 2.5])).numpy().tolist() == [1.0, 2.5]
    traced(tf.constant([1.0, 3.0], tf.bfloat16))
    assert capsys.readouterr().out == "it is [1.  2.5]\nit is [1. 3.]\n"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_ranks_first_in_a_trace_too(dtype):
    x = np.array([[1, np.nan, np.inf, -np.nan], [2, -0.0, 0.0, -np.inf]], dtype)
    values, indices = tf.function(lambda x: KERNELS["top_k"](x, 4))(tf.constant(x))
    assert indices.numpy().tolist() == [[1, 3, 2, 0], [0, 1, 2, 3]]
    assert np.array_equal(values, np.take_along_axis(x, indices.numpy(), -1), equal_nan=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_add_and_its_gradient(axis, agree_on):
    updates = RNG.standard_normal((2, 2, 3) if axis == 0 else (4, 2, 2, 3))
    shape = (5, 3) if axis == 0 else (4, 5, 3)
    agree_on(lambda u, i: op("scatter_add", shape=shape, axis=axis)(i, u), updates, np.array([[0, 4], [4, 1]]))


def test_one_hot_is_zero_for_indices_out_of_range(agree_on):
    for dtype in ("float32", "bool", "int32"):
        for source in ("int64", "int32", "int8", "uint8", "float32"):
            indices = np.array([[0, 2], [1 if source == "uint8" else -1, 3]]).astype(source)
            same("one_hot", indices, 3, dtype)
        agree_on(op("one_hot", num_classes=3, dtype=dtype), indices)


def test_top_k_takes_the_lower_index_first_at_ties(agree_on):
    x = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, -1.0, 0.0]])
    values, order = KERNELS["top_k"](tf.constant(x), 3)
    np.testing.assert_array_equal(order.numpy(), [[1, 2, 3], [0, 1, 3]])
    np.testing.assert_array_equal(values.numpy(), [[3, 3, 2], [0, 0, 0]])
    assert order.dtype == tf.int32
    agree_on(lambda v: op("top_k", k=2)(v)[0], x)


# --- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 1))]
)
def test_matmul_broadcasts_leading_axes(a, b, agree_on):
    agree_on(op("matmul"), RNG.standard_normal(a), RNG.standard_normal(b), second=True)


@pytest.mark.parametrize(("a", "b"), [
    ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3,)), ((3,), (3,)), ((3,), (3, 2)),
    ((4, 2, 3), (2, 5, 3, 1)),
])  # fmt: skip
def test_dot_of_any_ranks_is_as_its_definition_says(a, b, agree_on):
    agree_on(op("dot"), RNG.standard_normal(a), RNG.standard_normal(b))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("rank", [2, 3, 4])
def test_bias_add(rank, full, data_format, agree_on):
    shape = (2, 3, 4, 5)[:rank]
    channels = shape[-1] if data_format == "channels_last" or rank == 2 else shape[1]
    rest = shape[1:-1] if data_format == "channels_last" else shape[2:]
    bias = RNG.standard_normal((*rest, channels) if full else channels)
    agree_on(op("bias_add", data_format=data_format), RNG.standard_normal(shape), bias)


@pytest.mark.parametrize("arguments", [(0, 5, 1, "int32"), (1.0, 2.0, 0.25, "float32"), (5, 0, -2, "int64"),
                                       (0.5, 3, 1, "int32"), (3, 3, 1, "float64")])  # fmt: skip
def test_arange(arguments):
    same("arange", *arguments)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float64"])
def test_full(dtype):
    same("full", (2, 0, 3), 1, dtype)
    same("full", (), 1, dtype)
