"""Convolutions and pooling of one, two and three spatial dimensions: K's arguments put into the ops' normal form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import config
from kcore.backend.tensors import int_shape, ndim
from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.ops import conv as conv_ops
from kcore.ops import local, pool, shaping
from kcore.ops.spec import spec_of

_Ints = int | Sequence[int]


def _spatial(value: _Ints, rank: int, what: str) -> tuple[int, ...]:
    sizes = (value,) * rank if isinstance(value, int) else tuple(int(n) for n in value)
    if len(sizes) != rank or any(n < 1 for n in sizes):
        raise ArgumentError(f"{what}: expected {rank} positive integer(s), got {value!r}.")
    return sizes


def _padding(value: str) -> str:
    if value not in ("valid", "same"):
        raise ArgumentError(f"padding: expected 'valid' or 'same', got {value!r}.")
    return value


def _conv(
    x: Any, kernel: Any, strides: _Ints, padding: str, data_format: str | None, dilation: _Ints, rank: int
) -> Any:
    if ndim(x) != rank + 2 or ndim(kernel) != rank + 2:
        raise ShapeError(
            f"K.conv{rank}d expects tensors of rank {rank + 2}, got an input of shape {int_shape(x)} and a kernel of "
            f"shape {int_shape(kernel)}."
        )
    return conv_ops.conv(
        x, kernel, _spatial(strides, rank, "strides"), _padding(padding), _spatial(dilation, rank, "dilation_rate"),
        config.normalize_data_format(data_format),
    )  # fmt: skip


def conv1d(
    x: Any, kernel: Any, strides: int = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: int = 1,
) -> Any:  # fmt: skip
    """Convolution over time.

    Args:
        x: tensor of shape (samples, time, channels), or (samples, channels, time).
        kernel: tensor of shape (size, channels, filters).
        strides: step in time.
        padding: `valid`, `same`, or `causal`: step t of the result sees no later step of `x`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distance between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format; `causal` with `channels_first`.

    >>> x, kernel = K.constant([[[1.], [2.], [3.]]]), K.ones((2, 1, 1))
    >>> K.eval(K.conv1d(x, kernel, padding="causal"))[0, :, 0]
    array([1., 3., 5.], dtype=float32)
    """
    data_format = config.normalize_data_format(data_format)
    if padding == "causal":
        if data_format != "channels_last":
            raise ArgumentError("K.conv1d with padding='causal' needs data_format='channels_last'.")
        size, step = spec_of(kernel).shape[0], _spatial(dilation_rate, 1, "dilation_rate")[0]
        if size is None:
            raise ShapeError("K.conv1d with padding='causal' needs a kernel of known size.")
        x = shaping.pad(x, ((0, 0), (step * (size - 1), 0), (0, 0)))
        padding = "valid"
    return _conv(x, kernel, strides, padding, data_format, dilation_rate, 1)


def conv2d(
    x: Any, kernel: Any, strides: _Ints = (1, 1), padding: str = "valid", data_format: str | None = None,
    dilation_rate: _Ints = (1, 1),
) -> Any:  # fmt: skip
    """Convolution of images.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        kernel: tensor of shape (rows, cols, channels, filters).
        strides: steps along rows and columns.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distances between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.

    >>> K.int_shape(K.conv2d(K.placeholder(shape=(None, 8, 8, 3)), K.ones((3, 3, 3, 5)), padding="same"))
    (None, 8, 8, 5)
    """
    return _conv(x, kernel, strides, padding, data_format, dilation_rate, 2)


def conv3d(
    x: Any, kernel: Any, strides: _Ints = (1, 1, 1), padding: str = "valid", data_format: str | None = None,
    dilation_rate: _Ints = (1, 1, 1),
) -> Any:  # fmt: skip
    """Convolution of volumes.

    Args:
        x: tensor of shape (samples, depth, rows, cols, channels), or with the channels after the samples.
        kernel: tensor of shape (depth, rows, cols, channels, filters).
        strides: steps along the three axes.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distances between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.

    >>> K.int_shape(K.conv3d(K.placeholder(shape=(None, 4, 4, 4, 1)), K.ones((2, 2, 2, 1, 3))))
    (None, 3, 3, 3, 3)
    """
    return _conv(x, kernel, strides, padding, data_format, dilation_rate, 3)


# --- transposed -------------------------------------------------------------------------------------------------------


def _transposed(
    x: Any, kernel: Any, output_shape: Any, strides: _Ints, padding: str, data_format: str | None, dilation: _Ints,
    rank: int,
) -> Any:  # fmt: skip
    if isinstance(output_shape, Symbolic):
        shape = tuple(shaping.strided_slice(output_shape, (i,)) for i in range(len(output_shape)))
    else:
        shape = tuple(output_shape)
    if len(shape) != rank + 2 or ndim(x) != rank + 2:
        raise ShapeError(
            f"K.conv{rank}d_transpose expects an input and an output_shape of {rank + 2} dimensions, got an input of "
            f"shape {int_shape(x)} and output_shape {output_shape!r}."
        )
    shape = (shaping.shape_of(x)[0] if shape[0] is None else shape[0], *shape[1:])
    return conv_ops.conv_transpose(
        x, kernel, shape, _spatial(strides, rank, "strides"), _padding(padding),
        _spatial(dilation, rank, "dilation_rate"), config.normalize_data_format(data_format),
    )  # fmt: skip


def conv2d_transpose(
    x: Any, kernel: Any, output_shape: Any, strides: _Ints = (1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: _Ints = (1, 1),
) -> Any:  # fmt: skip
    """The gradient of a convolution of images with respect to its input, as an op.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        kernel: tensor of shape (rows, cols, filters, channels).
        output_shape: full shape of the result, in the order of the data format; a first size of None is that of `x`.
        strides: steps of that convolution along rows and columns.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distances between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.
        ShapeError: no convolution makes the shape of `x` from `output_shape`.

    >>> x, kernel = K.placeholder(shape=(None, 4, 4, 3)), K.ones((3, 3, 5, 3))
    >>> K.int_shape(K.conv2d_transpose(x, kernel, (None, 8, 8, 5), strides=(2, 2), padding="same"))
    (None, 8, 8, 5)
    """
    return _transposed(x, kernel, output_shape, strides, padding, data_format, dilation_rate, 2)


def conv3d_transpose(
    x: Any, kernel: Any, output_shape: Any, strides: _Ints = (1, 1, 1), padding: str = "valid",
    data_format: str | None = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution of volumes with respect to its input, as an op.

    Args:
        x: tensor of shape (samples, depth, rows, cols, channels), or with the channels after the samples.
        kernel: tensor of shape (depth, rows, cols, filters, channels).
        output_shape: full shape of the result, in the order of the data format; a first size of None is that of `x`.
        strides: steps of that convolution along the three axes.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.

    Raises:
        ArgumentError: unknown padding or data format.
        ShapeError: no convolution makes the shape of `x` from `output_shape`.

    >>> x, kernel = K.placeholder(shape=(None, 2, 2, 2, 3)), K.ones((2, 2, 2, 5, 3))
    >>> K.int_shape(K.conv3d_transpose(x, kernel, (None, 3, 3, 3, 5)))
    (None, 3, 3, 3, 5)
    """
    return _transposed(x, kernel, output_shape, strides, padding, data_format, 1, 3)


# --- depthwise and separable ------------------------------------------------------------------------------------------


def _depthwise(x: Any, kernel: Any, strides: _Ints, padding: str, data_format: str, dilation: _Ints, rank: int) -> Any:
    """Each channel convolved with its own filters: a convolution with as many groups as channels."""
    shape = spec_of(kernel).shape
    if len(shape) != rank + 2 or None in shape or ndim(x) != rank + 2:
        raise ShapeError(
            f"Expected tensors of rank {rank + 2}, the kernel of known shape; got an input of shape {int_shape(x)} and "
            f"a depthwise kernel of shape {shape}."
        )
    channels, multiplier = int(shape[-2]), int(shape[-1])  # type: ignore[arg-type]
    wide = shaping.reshape(kernel, (*shape[:-2], 1, channels * multiplier))
    return conv_ops.conv(
        x, wide, _spatial(strides, rank, "strides"), _padding(padding), _spatial(dilation, rank, "dilation_rate"),
        data_format, channels,
    )  # fmt: skip


def _separable(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: _Ints, padding: str, data_format: str | None,
    dilation: _Ints, rank: int,
) -> Any:  # fmt: skip
    data_format = config.normalize_data_format(data_format)
    x = _depthwise(x, depthwise_kernel, strides, padding, data_format, dilation, rank)
    return _conv(x, pointwise_kernel, 1, "valid", data_format, 1, rank)


def separable_conv1d(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: _Ints = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: _Ints = 1,
) -> Any:  # fmt: skip
    """Convolution over time of each channel alone, then of all channels at each step.

    Args:
        x: tensor of shape (samples, time, channels), or (samples, channels, time).
        depthwise_kernel: tensor of shape (size, channels, multiplier).
        pointwise_kernel: tensor of shape (1, channels * multiplier, filters).
        strides: step in time.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distance between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.

    >>> x = K.placeholder(shape=(None, 8, 3))
    >>> K.int_shape(K.separable_conv1d(x, K.ones((3, 3, 2)), K.ones((1, 6, 5))))
    (None, 6, 5)
    """
    return _separable(x, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate, 1)


def separable_conv2d(
    x: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: _Ints = (1, 1), padding: str = "valid",
    data_format: str | None = None, dilation_rate: _Ints = (1, 1),
) -> Any:  # fmt: skip
    """Convolution of each channel of images alone, then of all channels at each pixel.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        depthwise_kernel: tensor of shape (rows, cols, channels, multiplier).
        pointwise_kernel: tensor of shape (1, 1, channels * multiplier, filters).
        strides: steps along rows and columns.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distances between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.

    >>> x = K.placeholder(shape=(None, 8, 8, 3))
    >>> K.int_shape(K.separable_conv2d(x, K.ones((3, 3, 3, 2)), K.ones((1, 1, 6, 5))))
    (None, 6, 6, 5)
    """
    return _separable(x, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate, 2)


def depthwise_conv2d(
    x: Any, depthwise_kernel: Any, strides: _Ints = (1, 1), padding: str = "valid", data_format: str | None = None,
    dilation_rate: _Ints = (1, 1),
) -> Any:  # fmt: skip
    """Convolution of each channel of images with its own filters.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        depthwise_kernel: tensor of shape (rows, cols, channels, multiplier).
        strides: steps along rows and columns.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        dilation_rate: distances between the elements that the kernel sees.

    Raises:
        ArgumentError: unknown padding or data format.

    >>> K.int_shape(K.depthwise_conv2d(K.placeholder(shape=(None, 8, 8, 3)), K.ones((3, 3, 3, 2))))
    (None, 6, 6, 6)
    """
    data_format = config.normalize_data_format(data_format)
    return _depthwise(x, depthwise_kernel, strides, padding, data_format, dilation_rate, 2)


# --- pooling ----------------------------------------------------------------------------------------------------------


def _pool(
    x: Any, pool_size: _Ints, strides: _Ints, padding: str, data_format: str | None, pool_mode: str, rank: int
) -> Any:
    if pool_mode not in ("max", "avg"):
        raise ArgumentError(f"pool_mode: expected 'max' or 'avg', got {pool_mode!r}.")
    if ndim(x) != rank + 2:
        raise ShapeError(f"K.pool{rank}d expects a tensor of rank {rank + 2}, got shape {int_shape(x)}.")
    op = pool.max_pool if pool_mode == "max" else pool.avg_pool
    return op(
        x, _spatial(pool_size, rank, "pool_size"), _spatial(strides, rank, "strides"), _padding(padding),
        config.normalize_data_format(data_format),
    )  # fmt: skip


def pool2d(
    x: Any, pool_size: _Ints, strides: _Ints = (1, 1), padding: str = "valid", data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:  # fmt: skip
    """The maximum or mean over windows of images.

    Args:
        x: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        pool_size: rows and columns of a window.
        strides: steps along rows and columns.
        padding: `valid` or `same`; what is padded neither wins nor counts.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        pool_mode: `max` or `avg`.

    Raises:
        ArgumentError: unknown padding, data format or mode.

    >>> K.int_shape(K.pool2d(K.placeholder(shape=(None, 8, 8, 3)), (2, 2), (2, 2)))
    (None, 4, 4, 3)
    """
    return _pool(x, pool_size, strides, padding, data_format, pool_mode, 2)


def pool3d(
    x: Any, pool_size: _Ints, strides: _Ints = (1, 1, 1), padding: str = "valid", data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:  # fmt: skip
    """The maximum or mean over windows of volumes.

    Args:
        x: tensor of shape (samples, depth, rows, cols, channels), or with the channels after the samples.
        pool_size: sizes of a window.
        strides: steps along the three axes.
        padding: `valid` or `same`; what is padded neither wins nor counts.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.
        pool_mode: `max` or `avg`.

    Raises:
        ArgumentError: unknown padding, data format or mode.

    >>> K.int_shape(K.pool3d(K.placeholder(shape=(None, 4, 4, 4, 3)), (2, 2, 2), (2, 2, 2)))
    (None, 2, 2, 2, 3)
    """
    return _pool(x, pool_size, strides, padding, data_format, pool_mode, 3)


# --- locally connected ------------------------------------------------------------------------------------------------


def local_conv1d(
    inputs: Any, kernel: Any, kernel_size: Sequence[int], strides: Sequence[int], data_format: str | None = None
) -> Any:
    """Convolution over time with other weights at each step.

    Args:
        inputs: tensor of shape (samples, time, channels).
        kernel: tensor of shape (output steps, size * channels, filters).
        kernel_size: a tuple of one integer.
        strides: a tuple of one integer.
        data_format: checked, and otherwise ignored: the channels are last.

    Returns:
        Tensor of shape (samples, output steps, filters).

    >>> K.int_shape(K.local_conv1d(K.placeholder(shape=(None, 5, 3)), K.ones((4, 6, 2)), (2,), (1,)))
    (None, 4, 2)
    """
    config.normalize_data_format(data_format)
    return local.local_conv(
        inputs, kernel, _spatial(kernel_size, 1, "kernel_size"), _spatial(strides, 1, "strides"),
        (spec_of(kernel).shape[0],), "channels_last",
    )  # fmt: skip


def local_conv2d(
    inputs: Any, kernel: Any, kernel_size: Sequence[int], strides: Sequence[int], output_shape: Sequence[int],
    data_format: str | None = None,
) -> Any:  # fmt: skip
    """Convolution of images with other weights at each position.

    Args:
        inputs: tensor of shape (samples, rows, cols, channels), or (samples, channels, rows, cols).
        kernel: tensor of shape (output rows * output cols, kernel rows * kernel cols * channels, filters); for
            `channels_first` its middle axis has the channels first.
        kernel_size: rows and columns of the kernel.
        strides: steps along rows and columns.
        output_shape: rows and columns of the result.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.

    >>> x, kernel = K.placeholder(shape=(None, 4, 4, 3)), K.ones((9, 12, 2))
    >>> K.int_shape(K.local_conv2d(x, kernel, (2, 2), (1, 1), (3, 3)))
    (None, 3, 3, 2)
    """
    return local.local_conv(
        inputs, kernel, _spatial(kernel_size, 2, "kernel_size"), _spatial(strides, 2, "strides"),
        _spatial(output_shape, 2, "output_shape"), config.normalize_data_format(data_format),
    )  # fmt: skip
