"""Geometry of sliding windows, shared by convolution and pooling: sizes, padding, and views of NumPy arrays.

Nothing here declares an op. Spatial tuples (kernel, strides, ...) have one entry per spatial axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic

Pads = tuple[tuple[int, int], ...]


def window_output(n: int | None, k: int, stride: int, dilation: int, padding: str) -> int | None:
    """Number of windows along an axis of size n; negative where a 'valid' window does not fit.

    >>> window_output(28, 3, 1, 1, "valid"), window_output(7, 3, 2, 1, "same"), window_output(None, 3, 1, 1, "valid")
    (26, 4, None)
    """
    if n is None:
        return None
    if padding == "same":
        return -(-n // stride)
    reach = (k - 1) * dilation + 1
    return (n - reach) // stride + 1 if n >= reach else -1


def window_pads(sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
                padding: str) -> Pads:  # fmt: skip
    """(before, after) for each spatial axis; with 'same' the odd element goes after.

    >>> window_pads((28, 28), (3, 2), (1, 1), (1, 1), "same")
    ((1, 1), (0, 1))
    """
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    pads = []
    for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """Positions of the spatial axes of a batch of images.

    >>> spatial_axes(4, "channels_last"), spatial_axes(4, "channels_first")
    ((1, 2), (2, 3))
    """
    return tuple(range(1, rank - 1)) if data_format == "channels_last" else tuple(range(2, rank))


def channel_axis(rank: int, data_format: str) -> int:
    """Position of the channel axis."""
    return rank - 1 if data_format == "channels_last" else 1


def check_window_arguments(op: str, arguments: dict[str, Any], rank: int, tuples: Sequence[str]) -> None:
    """Complete `tuples` to one int per spatial axis, and check `padding` and `data_format` (in place)."""
    if rank not in (3, 4, 5):
        raise ShapeError(
            f"{op} expects a tensor of rank 3, 4 or 5 (batch, 1 to 3 spatial axes, channels), got rank {rank}."
        )
    if arguments["data_format"] not in ("channels_last", "channels_first"):
        raise ArgumentError(
            f"{op} expects data_format 'channels_last' or 'channels_first', got {arguments['data_format']!r}."
        )
    if arguments["padding"] not in ("valid", "same"):
        raise ArgumentError(
            f"{op} expects padding 'valid' or 'same', got {arguments['padding']!r}. (A 'causal' convolution is padded "
            "on the left first, then 'valid'.)"
        )
    for name in tuples:
        arguments[name] = _spatial_tuple(op, name, arguments[name], rank - 2)


def _spatial_tuple(op: str, name: str, value: Any, spatial: int) -> tuple[int, ...]:
    items = (value,) * spatial if isinstance(value, (int, np.integer)) else tuple(value)
    if len(items) != spatial or any(int(v) < 1 for v in items):
        raise ArgumentError(f"{op} expects {name} as {spatial} positive integers (or one for all), got {value!r}.")
    return tuple(int(v) for v in items)


def check_dims(arguments: dict[str, Any], name: str) -> None:
    """A `Dims` argument as a tuple of ints and symbolic integers, or a symbolic vector (in place)."""
    value = arguments[name]
    if not isinstance(value, Symbolic):
        arguments[name] = tuple(n if isinstance(n, Symbolic) or n is None else int(n) for n in value)


def window_shape(op: str, x: Any, kernel: Sequence[int | None], strides: Sequence[int], dilation: Sequence[int],
                 padding: str, data_format: str) -> tuple[int | None, ...]:  # fmt: skip
    """Spatial sizes of the output. Raises ShapeError where a window is larger than the image."""
    result: list[int | None] = []
    for axis, k, s, d in zip(spatial_axes(x.rank, data_format), kernel, strides, dilation, strict=True):
        n = x.shape[axis]
        size = window_output(n, k, s, d, padding) if k is not None else None
        if size is not None and size < 0:
            raise ShapeError(
                f"{op}: a window of size {(k - 1) * d + 1} does not fit axis {axis} of the input of shape {x.shape} "  # type: ignore[operator]
                f"({data_format}), which has size {n}. Use padding='same', or a smaller window."
            )
        result.append(size)
    return tuple(result)


# --- views of NumPy arrays --------------------------------------------------------------------------------------------


def padded(x: np.ndarray, axes: Sequence[int], pads: Pads, value: Any) -> np.ndarray:
    """The array with `value` around the given axes (itself where nothing is padded)."""
    if not any(a or b for a, b in pads):
        return x
    shape = list(x.shape)
    inside: list[slice] = [slice(None)] * x.ndim
    for axis, (before, after) in zip(axes, pads, strict=True):
        inside[axis] = slice(before, before + shape[axis])
        shape[axis] += before + after
    out = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    out[tuple(inside)] = x
    return out


def offsets(rank: int, axes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
            out: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:  # fmt: skip
    """For each position in the window, in row-major order: it, and the index of what all windows have there."""
    for position in itertools.product(*(range(k) for k in kernel)):
        index: list[slice] = [slice(None)] * rank
        for axis, p, s, d, n in zip(axes, position, strides, dilation, out, strict=True):
            index[axis] = slice(p * d, p * d + max(n - 1, 0) * s + 1 if n else p * d, s)
        yield position, tuple(index)


def windows(x: np.ndarray, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int],
            out: Sequence[int]) -> np.ndarray:  # fmt: skip
    """View (batch, *out, *kernel, channels) of a padded channels-last array."""
    n, *inner, c = x.strides
    shape = (x.shape[0], *out, *kernel, x.shape[-1])
    steps = (n, *(b * s for b, s in zip(inner, strides, strict=True)),
             *(b * d for b, d in zip(inner, dilation, strict=True)), c)  # fmt: skip
    return np.lib.stride_tricks.as_strided(x, shape, steps, writeable=False)
