"""Convolutions: kernels (*spatial, in / groups, out), either layout, TensorFlow's rule for "same"."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax

from kcore_jax.kernels.table import kernel

Dims = tuple[int, ...]


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """The axes between batch and channels."""
    return tuple(range(1, rank - 1)) if data_format == "channels_last" else tuple(range(2, rank))


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """(before, after) so that ceil(size / stride) windows fit."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@kernel
def conv(x: Any, kernel: Any, strides: Dims, padding: str, dilation: Dims, data_format: str, groups: int = 1) -> Any:
    """Cross-correlation."""
    axes = spatial_axes(x.ndim, data_format)
    if groups == 1 and data_format == "channels_last" and set(kernel.shape[:-2]) == {1}:
        return _pointwise(x, kernel, strides)
    pads = [
        same_padding(x.shape[a], (k - 1) * d + 1, s) if padding == "same" else (0, 0)
        for a, k, d, s in zip(axes, kernel.shape, dilation, strides, strict=False)
    ]
    letters = "XYZ"[: len(axes)]
    layout = f"N{letters}C" if data_format == "channels_last" else f"NC{letters}"
    return lax.conv_general_dilated(
        x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=(layout, f"{letters}IO", layout),
        feature_group_count=groups,
    )  # fmt: skip


def _pointwise(x: Any, kernel: Any, strides: Dims) -> Any:
    # A kernel of size 1 needs no padding and is a matrix product; XLA's gradient of the convolution is 4 times slower.
    if set(strides) != {1}:
        x = lax.slice(x, (0,) * x.ndim, x.shape, (1, *strides, 1))
    return lax.dot_general(x, lax.reshape(kernel, kernel.shape[-2:]), (((x.ndim - 1,), (0,)), ((), ())))


@kernel
def conv_transpose(x: Any, kernel: Any, output_shape: Dims, strides: Dims, padding: str, dilation: Dims,
                   data_format: str, groups: int = 1) -> Any:  # fmt: skip
    """The gradient of conv with respect to its input, which has `output_shape`."""
    forward = lambda z: conv(z, kernel, strides, padding, dilation, data_format, groups)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(output_shape, x.dtype))(x)[0]


@kernel
def conv_kernel_grad(x: Any, g: Any, kernel_shape: Dims, strides: Dims, padding: str, dilation: Dims,
                     data_format: str, groups: int = 1) -> Any:  # fmt: skip
    """The gradient of conv with respect to its kernel."""
    forward = lambda k: conv(x, k, strides, padding, dilation, data_format, groups)  # noqa: E731
    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(kernel_shape, x.dtype))(g)[0]
