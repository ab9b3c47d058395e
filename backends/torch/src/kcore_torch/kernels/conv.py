"""Convolutions. kcore's kernels are (*spatial, in, out); PyTorch's are (out, in, *spatial): a permuted view.

Tensors with channels last are permuted too, which gives PyTorch's channels_last memory format: nothing is copied. One
spatial axis is computed as two, the first of size 1, because there is no such format for three axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from kcore_torch.kernels.table import kernel as entered
from kcore_torch.kernels.table import vjp

Pads = list[tuple[int, int]]
_CONV = {2: torch.conv2d, 3: torch.conv3d}
_CONV_TRANSPOSE = {2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


def channels_second(x: torch.Tensor, data_format: str) -> torch.Tensor:
    """(batch, channels, *spatial) with two or three spatial axes, as a view."""
    x = x.movedim(-1, 1) if data_format == "channels_last" else x
    return x.unsqueeze(2) if x.ndim == 3 else x


def as_given(y: torch.Tensor, rank: int, data_format: str) -> torch.Tensor:
    """The inverse of `channels_second` for a tensor of `rank` axes."""
    y = y.squeeze(2) if rank == 3 else y
    return y.movedim(1, -1) if data_format == "channels_last" else y


def two(values: Sequence[int], filler: int = 1) -> tuple[int, ...]:
    """An attribute of one spatial axis, made to fit two."""
    return (filler, *values) if len(values) == 1 else tuple(values)


def same_pads(sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Pads:
    """(before, after) of each axis by TensorFlow's rule for padding 'same'."""
    pads = []
    for n, k, s, d in zip(sizes, window, strides, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def pad(x: torch.Tensor, pads: Pads, value: float = 0.0) -> torch.Tensor:
    """Pad the spatial axes, which are the last ones."""
    return F.pad(x, [n for pair in reversed(pads) for n in pair], value=value)


def _oihw(kernel: torch.Tensor) -> torch.Tensor:
    weight = kernel.permute(kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))
    # PyTorch takes the view of a single filter for one in channels_last order, and then fails in its gradient.
    weight = weight.contiguous() if weight.shape[0] == 1 else weight
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


@entered
def conv(x: torch.Tensor, kernel: torch.Tensor, strides: Any, padding: str, dilation: Any, data_format: str,
         groups: int) -> Any:  # fmt: skip
    rank, x, weight = x.ndim, channels_second(x, data_format), _oihw(kernel)
    strides, dilation = two(strides), two(dilation)
    before: Any = 0
    if padding == "same":
        pads = same_pads(x.shape[2:], weight.shape[2:], strides, dilation)
        if all(a == b for a, b in pads):
            before = [a for a, _ in pads]
        else:
            x = pad(x, pads)
    y = _CONV[x.ndim - 2](x, weight, None, strides, before, dilation, groups)
    return as_given(y, rank, data_format)


@entered
def conv_transpose(x: torch.Tensor, kernel: torch.Tensor, output_shape: Any, strides: Any, padding: str, dilation: Any,
                   data_format: str, groups: int) -> Any:  # fmt: skip
    rank, x, weight = x.ndim, channels_second(x, data_format), _oihw(kernel)
    strides, dilation = two(strides), two(dilation)
    sizes = two(output_shape[1:-1] if data_format == "channels_last" else output_shape[2:])
    window = weight.shape[2:]
    pads = same_pads(sizes, window, strides, dilation) if padding == "same" else [(0, 0)] * len(sizes)
    before = [a for a, _ in pads]
    # What the transposed convolution gives with `before` cut off both ends; the rest is added or cut at the far end.
    given = [(n - 1) * s + (k - 1) * d + 1 - 2 * p
             for n, k, s, d, p in zip(x.shape[2:], window, strides, dilation, before, strict=True)]  # fmt: skip
    extra = [max(n - m, 0) for n, m in zip(sizes, given, strict=True)]
    y = _CONV_TRANSPOSE[x.ndim - 2](x, weight, None, strides, before, extra, groups, dilation)
    for axis, n in enumerate(sizes, 2):
        y = y.narrow(axis, 0, n) if y.shape[axis] != n else y
    return as_given(y, rank, data_format)


@entered
def conv_kernel_grad(x: torch.Tensor, g: torch.Tensor, kernel_shape: Any, strides: Any, padding: str, dilation: Any,
                     data_format: str, groups: int) -> Any:  # fmt: skip
    zeros = x.new_zeros(kernel_shape)  # the convolution is linear in its kernel
    return vjp(lambda kernel: conv(x, kernel, strides, padding, dilation, data_format, groups), zeros, g)
