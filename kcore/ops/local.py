"""Locally connected layers' op: a convolution whose weights differ at each position."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Wrong
from kcore.ops.indexing import gather
from kcore.ops.linalg import matmul
from kcore.ops.shaping import reshape, shape_of, transpose
from kcore.ops.spec import Tensor, composite, spec_of


def _local_spec(
    x: TensorSpec, kernel: TensorSpec, kernel_size: Any, strides: Any, output_size: Any, data_format: str
) -> TensorSpec:
    first = data_format == "channels_first"
    channels = x.shape[1 if first else -1]
    expected = (int(np.prod(output_size)), None if channels is None else int(np.prod(kernel_size)) * channels)
    if kernel.rank != 3 or any(a is not None and b is not None and a != b for a, b in zip(expected, kernel.shape)):
        raise ShapeError(
            f"A locally connected kernel for inputs of shape {x.shape}, windows {kernel_size} and output {output_size} "
            f"has shape {(*expected, 'filters')}; got {kernel.shape}."
        )
    filters = kernel.shape[-1]
    sizes = (filters, *output_size) if first else (*output_size, filters)
    return x.with_shape((x.shape[0], *sizes))


def _windows(d: Draw) -> Any:
    rank, dtype = d.integer(1, 2), d.dtype(FLOATS)
    sizes, strides = [d.integer(1, 2) for _ in range(rank)], [d.integer(1, 2) for _ in range(rank)]
    outputs, channels = [d.integer(1, 3) for _ in range(rank)], d.integer(1, 2)
    spatial = [(n - 1) * s + k for n, s, k in zip(outputs, strides, sizes, strict=True)]
    data_format = d.choice(["channels_last", "channels_first"])
    shape = (2, *spatial, channels) if data_format == "channels_last" else (2, channels, *spatial)
    kernel = (int(np.prod(outputs)), int(np.prod(sizes)) * channels, 2)
    return {"x": d.array(shape, dtype, Real(-2, 2)), "kernel": d.array(kernel, dtype, Real(-2, 2)),
            "kernel_size": tuple(sizes), "strides": tuple(strides), "output_size": tuple(outputs),
            "data_format": data_format}  # fmt: skip


_PLACES = {"kernel_size": (2,), "strides": (1,), "output_size": (2,), "data_format": "channels_last"}
_MISFITS = (Wrong(ShapeError, x=(1, 3, 2), kernel=(3, 4, 1), **_PLACES),
            Wrong(ShapeError, x=(1, 3, 2), kernel=(2, 3, 1), **_PLACES),
            Wrong(ShapeError, x=(1, 3, 2), kernel=(2, 4), **_PLACES))  # fmt: skip


@composite(infer=_local_spec, static=("x", "kernel"), cases=Cases(_windows, errors=_MISFITS))
def local_conv(x: Tensor, kernel: Tensor, kernel_size: Any, strides: Any, output_size: Any, data_format: str) -> Any:
    """Each window of x times the weights of its position.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) for 'channels_first'.
        kernel: (positions, window elements, filters); elements in the order (*window, channels), or
            (channels, *window) for 'channels_first'.
        kernel_size: window sizes.
        strides: steps between windows.
        output_size: numbers of windows along the spatial axes.
        data_format: 'channels_last' or 'channels_first'.

    Returns:
        (batch, *output_size, filters), or with the filters after the batch.

    >>> x, kernel = np.array([[[1.], [2.], [3.]]]), np.array([[[1.], [0.]], [[0.], [10.]]])
    >>> local_conv(x, kernel, (2,), (1,), (2,), "channels_last").ravel()
    array([ 1., 30.])
    """
    first = data_format == "channels_first"
    rank = len(output_size)
    axis = 2 if first else 1
    for size, step, count in zip(kernel_size, strides, output_size, strict=True):
        windows = np.arange(count)[:, None] * step + np.arange(size)
        x = gather(x, windows.astype("int32"), axis)  # each spatial axis becomes (window, element)
        axis += 2
    spatial = range(2, 2 + 2 * rank) if first else range(1, 1 + 2 * rank)
    channels = 1 if first else 1 + 2 * rank
    positions, elements = tuple(spatial[::2]), tuple(spatial[1::2])
    order = (channels, *elements) if first else (*elements, channels)
    x = transpose(x, (*positions, 0, *order))
    positions_count, per_window, filters = spec_of(kernel).shape
    batch = shape_of(x)[rank]
    x = reshape(x, (positions_count, batch, per_window))
    out = reshape(matmul(x, kernel), (*output_size, batch, filters))
    return transpose(out, (rank, rank + 1, *range(rank)) if first else (rank, *range(rank), rank + 1))
