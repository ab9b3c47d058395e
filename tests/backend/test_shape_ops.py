from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError

X = np.arange(24, dtype="float32").reshape(2, 3, 4)


def both(fn, *arrays):
    """The result on constants, on placeholders of unknown shape, and at once on arrays: all equal."""
    fed = [K.placeholder(shape=(None,) * a.ndim, dtype=str(a.dtype)) for a in arrays]
    first = K.eval(fn(*[K.constant(a, dtype=str(a.dtype)) for a in arrays]))
    second = K.function(fed, [fn(*fed)])(list(arrays))[0]
    third = np.asarray(fn(*arrays))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    return first


def test_order_of_axes():
    np.testing.assert_array_equal(both(K.transpose, X), X.T)
    np.testing.assert_array_equal(both(lambda x: K.permute_dimensions(x, [1, 0, 2]), X), X.transpose(1, 0, 2))
    np.testing.assert_array_equal(both(lambda x: K.reverse(x, [0, 2]), X), X[::-1, :, ::-1])


def test_flattening():
    np.testing.assert_array_equal(both(K.flatten, X), X.ravel())
    np.testing.assert_array_equal(both(K.batch_flatten, X), X.reshape(2, 12))
    assert K.batch_flatten(K.placeholder(shape=(None, 3, 4))).shape == (None, 12)
    assert both(K.batch_flatten, np.zeros((0, 3, 4), "float32")).shape == (0, 12)


def test_joining():
    np.testing.assert_array_equal(both(lambda x: K.concatenate([x, x], 1), X), np.concatenate([X, X], 1))
    np.testing.assert_array_equal(both(lambda x: K.stack((x, x), -1), X), np.stack([X, X], -1))
    with pytest.raises(ShapeError, match="axis"):
        K.concatenate([K.zeros((2, 3)), K.zeros((3, 4))], axis=0)


@pytest.mark.parametrize(
    ("start", "size"),
    [([0, 1, 2], [1, 2, 2]), ([1, 0, 0], [-1, -1, 3]), ((0, 0, 0), (2, 3, 4)), ([1, 2, 3], [1, 1, 0])],
)
def test_slices(start, size):
    index = tuple(slice(a, None if n == -1 else a + n) for a, n in zip(start, size, strict=True))
    np.testing.assert_array_equal(both(lambda x: K.slice(x, start, size), X), X[index])


def test_slices_by_symbolic_sizes():
    x = K.placeholder(shape=(None, 3))
    half = K.function([x], [K.slice(x, K.stack([K.shape(x)[0] - 1, 0]), [1, 2])])
    assert half([np.arange(12).reshape(4, 3)])[0].tolist() == [[9, 10]]
    with pytest.raises(ShapeError, match="one start and one size"):
        K.slice(x, [0], [1, 1])


def test_gathering():
    rows = np.array([[1, 0], [1, 1]], "int32")
    np.testing.assert_array_equal(both(K.gather, X, rows), X[rows])
    hits = both(lambda i: K.one_hot(i, 3), np.array([2, -1, 7], "int32"))
    assert hits.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_repeating():
    matrix = X[0]
    np.testing.assert_array_equal(both(lambda x: K.repeat(x, 2), matrix), np.repeat(matrix[:, None], 2, axis=1))
    np.testing.assert_array_equal(both(lambda x: K.tile(x, 2), X), np.tile(X, 2))
    np.testing.assert_array_equal(both(lambda x: K.tile(x, [2, 1]), X), np.tile(X, [1, 2, 1]))
    np.testing.assert_array_equal(both(lambda x: K.repeat_elements(x, 2, 1), X), X.repeat(2, 1))
    with pytest.raises(ShapeError, match="samples, dim"):
        K.repeat(K.constant(X), 2)


@pytest.mark.parametrize("arguments", [(4,), (-3,), (1, 7, 2), (0.5, 3.0, 0.5, "float32"), (5, 0, -2)])
def test_ranges(arguments):
    got = K.eval(K.arange(*arguments))
    plain = arguments[:3] if len(arguments) > 1 else (max(arguments[0], 0),)
    np.testing.assert_allclose(got, np.arange(*plain))
    assert got.dtype == (arguments[3] if len(arguments) > 3 else "int32")


def test_a_range_over_an_unknown_size():
    x = K.placeholder(shape=(None,))
    assert K.function([x], [K.arange(K.shape(x)[0])])([np.zeros(3)])[0].tolist() == [0, 1, 2]


def test_padding():
    assert both(lambda x: K.temporal_padding(x, (2, 0)), X)[:, :2].sum() == 0
    image = X[..., None]
    first = both(lambda x: K.spatial_2d_padding(x, ((1, 0), (0, 2)), "channels_first"), image)
    np.testing.assert_array_equal(first, np.pad(image, ((0, 0), (0, 0), (1, 0), (0, 2))))
    volume = X[..., None, None]
    last = both(lambda x: K.spatial_3d_padding(x, ((1, 0), (0, 2), (0, 1))), volume)
    np.testing.assert_array_equal(last, np.pad(volume, ((0, 0), (1, 0), (0, 2), (0, 1), (0, 0))))
    for wrong in ((1, 1), ((1, 1),), ((1, 1, 1), (0, 0))):
        with pytest.raises((ArgumentError, TypeError)):
            K.spatial_2d_padding(K.constant(image), wrong)


@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from(["nearest", "bilinear"]))
def test_resized_images_hold_the_original_at_its_places(height, width, interpolation):
    image = np.random.default_rng(0).random((2, 3, 4, 2)).astype("float32")
    with K.backend_scope("numpy"):
        large = np.asarray(K.resize_images(image, height, width, "channels_last", interpolation))
        assert large.shape == (2, 3 * height, 4 * width, 2)
        np.testing.assert_array_equal(large[:, ::height, ::width], image)
        turned = K.resize_images(image.transpose(0, 3, 1, 2), height, width, "channels_first", interpolation)
        np.testing.assert_array_equal(np.asarray(turned).transpose(0, 2, 3, 1), large)
        assert image.min() <= large.min() <= large.max() <= image.max()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resizing_agrees_with_its_reference(interpolation):
    from kcore.ops.image import resize

    image = np.random.default_rng(0).random((2, 3, 4, 2)).astype("float32")
    got = both(lambda x: K.resize_images(x, 3, 2, "channels_last", interpolation), image)
    np.testing.assert_allclose(got, resize.op.reference(image, (3, 2), "channels_last", interpolation), atol=1e-6)


def test_resizing_refuses_what_it_does_not_know():
    with pytest.raises(ArgumentError, match="nearest"):
        K.resize_images(K.zeros((1, 2, 2, 1)), 2, 2, "channels_last", "cubic")
    with pytest.raises(ArgumentError, match="data_format"):
        K.resize_volumes(K.zeros((1, 2, 2, 2, 1)), 2, 2, 2, "channels_middle")
