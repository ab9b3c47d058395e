"""Shapes, joining, slicing, gathering and padding, where the K function differs from the op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.backend.tensors import int_shape, ndim
from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.ops import creation, dtypes, image, indexing, shaping

_Pair = Sequence[int]
_py_slice = slice


def transpose(x: Any) -> Any:
    """The axes of a tensor in reverse order.

    >>> K.int_shape(K.transpose(K.zeros((2, 3))))
    (3, 2)
    """
    return shaping.transpose(x)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """The axes of a tensor in another order.

    Args:
        x: tensor.
        pattern: for each axis of the result, which axis of `x` it is, for instance `(0, 2, 1)`.

    >>> K.int_shape(K.permute_dimensions(K.zeros((2, 3, 4)), (0, 2, 1)))
    (2, 4, 3)
    """
    return shaping.transpose(x, tuple(pattern))


def flatten(x: Any) -> Any:
    """All elements in one dimension.

    >>> K.int_shape(K.flatten(K.zeros((2, 3))))
    (6,)
    """
    return shaping.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """A matrix: all dimensions after the first become one.

    Both sizes count as unknown to `K.int_shape`, as they always did; other functions know them.

    >>> K.batch_flatten(K.placeholder(shape=(None, 3, 4))).shape
    (None, 12)
    """
    flat = shaping.reshape(x, (-1, shaping.count(x, range(1, ndim(x)))))
    if isinstance(flat, Symbolic):
        flat._keras_shape = (None, None)  # type: ignore[attr-defined]
    return flat


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Tensors joined along an axis that they have.

    Args:
        tensors: list of tensors whose shapes are equal except along `axis`.
        axis: where to join.

    Raises:
        ShapeError: the shapes differ elsewhere.

    >>> K.eval(K.concatenate([K.constant([[1.]]), K.constant([[2., 3.]])]))
    array([[1., 2., 3.]], dtype=float32)
    """
    return shaping.concatenate(list(tensors), axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape joined along a new axis.

    >>> K.eval(K.stack([K.constant([1., 2.]), K.constant([3., 4.])]))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    return shaping.stack(list(x), axis)


def gather(reference: Any, indices: Any) -> Any:
    """Rows of `reference` at integer `indices`.

    Args:
        reference: tensor.
        indices: integer tensor of any shape.

    Returns:
        A tensor of shape `indices.shape + reference.shape[1:]`.

    >>> K.eval(K.gather(K.constant([10., 20., 30.]), K.constant([2, 0], dtype="int32")))
    array([30., 10.], dtype=float32)
    """
    return indexing.gather(reference, indices)


def one_hot(indices: Any, num_classes: int) -> Any:
    """1 at each index, 0 elsewhere, along a new last axis.

    Args:
        indices: integer tensor of n dimensions.
        num_classes: size of the new axis; indices outside give zeros.

    Returns:
        A float32 tensor of n + 1 dimensions.

    >>> K.eval(K.one_hot(K.constant([1, 0], dtype="int32"), 2))
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    return indexing.one_hot(indices, int(num_classes))


def reverse(x: Any, axes: int | Sequence[int]) -> Any:
    """Elements in reverse order along one axis or several.

    >>> K.eval(K.reverse(K.constant([1., 2.]), 0))
    array([2., 1.], dtype=float32)
    """
    return shaping.reverse(x, axes)


def slice(x: Any, start: Any, size: Any) -> Any:
    """A block of a tensor.

    Args:
        x: tensor.
        start: for each axis, the index where the block starts; numbers or an integer tensor.
        size: for each axis, its number of elements; -1 for all that remain.

    Raises:
        ShapeError: `start` or `size` have not one entry for each axis.

    >>> K.eval(K.slice(K.constant([[1., 2., 3.], [4., 5., 6.]]), [0, 1], [2, -1]))
    array([[2., 3.],
           [5., 6.]], dtype=float32)
    """
    rank = ndim(x)
    starts, sizes = _entries(start), _entries(size)
    if not rank == len(starts) == len(sizes):
        raise ShapeError(
            f"K.slice needs one start and one size for each axis of shape {int_shape(x)}; got start {start!r} and "
            f"size {size!r}."
        )
    index = [_span(a, n) for a, n in zip(starts, sizes, strict=True)]
    return shaping.strided_slice(x, tuple(index))


def _span(start: Any, size: Any) -> Any:
    whole = isinstance(size, int) and size == -1
    return _py_slice(start, None if whole else start + size)


def _entries(vector: Any) -> list[Any]:
    if isinstance(vector, Symbolic):
        return [shaping.strided_slice(vector, (i,)) for i in range(len(vector))]
    return [n if isinstance(n, Symbolic) else int(n) for n in vector]


def repeat(x: Any, n: Any) -> Any:
    """A matrix repeated along a new second axis.

    Args:
        x: tensor of shape (samples, dim).
        n: how often.

    Returns:
        A tensor of shape (samples, n, dim).

    Raises:
        ShapeError: `x` is no matrix.

    >>> K.int_shape(K.repeat(K.zeros((2, 3)), 4))
    (2, 4, 3)
    """
    if ndim(x) != 2:
        raise ShapeError(f"K.repeat expects a tensor of shape (samples, dim), got shape {int_shape(x)}.")
    return shaping.tile(shaping.expand_dims(x, 1), (1, n, 1))


def tile(x: Any, n: Any) -> Any:
    """A tensor laid side by side.

    Args:
        x: tensor.
        n: repetitions of each axis, or of the last axes when there are fewer; an int stands for the last axis.

    >>> K.eval(K.tile(K.constant([[1., 2.]]), (2, 1)))
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    return shaping.tile(x, (int(n),) if isinstance(n, (int, np.integer)) else n)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Evenly spaced numbers.

    Args:
        start: first number; the numbers run from 0 to `start` when `stop` is not given.
        stop: end, not included.
        step: distance.
        dtype: name of the dtype.

    >>> K.eval(K.arange(1, 7, 2))
    array([1, 3, 5], dtype=int32)
    """
    if stop is None:
        start, stop = 0, start if isinstance(start, Symbolic) else max(start, 0)
    return creation.arange(start, stop, step, dtypes.name_of(dtype))


# --- padding and resizing ---------------------------------------------------------------------------------------------


def temporal_padding(x: Any, padding: _Pair = (1, 1)) -> Any:
    """Zeros before and after the middle axis of a tensor of shape (samples, time, dim).

    Raises:
        ArgumentError: `padding` is no pair.

    >>> K.int_shape(K.temporal_padding(K.zeros((2, 3, 4)), (1, 2)))
    (2, 6, 4)
    """
    _check_padding((padding,), 1)
    return shaping.pad(x, ((0, 0), tuple(padding), (0, 0)))


def spatial_2d_padding(x: Any, padding: Sequence[_Pair] = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    """Zeros around the rows and columns of images.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        padding: ((top, bottom), (left, right)).
        data_format: `channels_last` or `channels_first`; that of the configuration by default.

    Raises:
        ArgumentError: `padding` is not two pairs, or the data format is unknown.

    >>> K.int_shape(K.spatial_2d_padding(K.zeros((1, 2, 2, 3)), ((1, 1), (0, 2))))
    (1, 4, 4, 3)
    """
    return _spatial_padding(x, padding, data_format, 2)


def spatial_3d_padding(
    x: Any, padding: Sequence[_Pair] = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> Any:
    """Zeros around the three spatial axes of volumes.

    Args:
        x: tensor of shape (samples, depth, rows, cols, channels), or with the channels after the samples.
        padding: a pair (before, after) for each spatial axis.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.

    Raises:
        ArgumentError: `padding` is not three pairs, or the data format is unknown.

    >>> K.int_shape(K.spatial_3d_padding(K.zeros((1, 2, 2, 2, 3))))
    (1, 4, 4, 4, 3)
    """
    return _spatial_padding(x, padding, data_format, 3)


def _spatial_padding(x: Any, padding: Sequence[_Pair], data_format: str | None, rank: int) -> Any:
    _check_padding(padding, rank)
    pairs = tuple(tuple(pair) for pair in padding)
    none = ((0, 0),)
    if config.normalize_data_format(data_format) == "channels_first":
        return shaping.pad(x, none + none + pairs)
    return shaping.pad(x, none + pairs + none)


def _check_padding(padding: Any, rank: int) -> None:
    if len(padding) != rank or any(len(pair) != 2 for pair in padding):
        raise ArgumentError(f"Expected {rank} pair(s) (before, after) as padding, got {padding!r}.")


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str, interpolation: str = "nearest"
) -> Any:
    """Images made larger by whole factors.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        height_factor: positive integer.
        width_factor: positive integer.
        data_format: `channels_last` or `channels_first`.
        interpolation: `nearest` or `bilinear`.

    Raises:
        ArgumentError: unknown data format or interpolation.

    >>> K.eval(K.resize_images(K.constant([[[[1.], [3.]]]]), 1, 2, "channels_last", "bilinear"))[0, 0, :, 0]
    array([1., 2., 3., 3.], dtype=float32)
    """
    data_format = config.normalize_data_format(data_format)
    return image.resize(x, (int(height_factor), int(width_factor)), data_format, interpolation)


def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str) -> Any:
    """Volumes made larger by whole factors, repeating elements.

    Args:
        x: tensor of shape (samples, depth, rows, cols, channels), or with the channels after the samples.
        depth_factor: positive integer.
        height_factor: positive integer.
        width_factor: positive integer.
        data_format: `channels_last` or `channels_first`.

    Raises:
        ArgumentError: unknown data format.

    >>> K.int_shape(K.resize_volumes(K.zeros((1, 2, 2, 2, 3)), 1, 2, 3, "channels_last"))
    (1, 2, 4, 6, 3)
    """
    factors = (int(depth_factor), int(height_factor), int(width_factor))
    return image.resize(x, factors, config.normalize_data_format(data_format), "nearest")


