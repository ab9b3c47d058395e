"""Pooling: of maxima, which padding never wins, and of means, which padding does not count in."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from kcore_torch.kernels.conv import as_given, channels_second, pad, same_pads, two
from kcore_torch.kernels.table import kernel, vjp

_MAX = {2: F.max_pool2d, 3: F.max_pool3d}
_AVG = {2: F.avg_pool2d, 3: F.avg_pool3d}


def _pads(x: torch.Tensor, window: Any, strides: Any, padding: str) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(window)
    return same_pads(x.shape[2:], window, strides, (1,) * len(window))


@kernel
def max_pool(x: torch.Tensor, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    if not x.is_floating_point():
        return max_pool(x.double(), pool_size, strides, padding, data_format).to(x.dtype)
    rank, x = x.ndim, channels_second(x, data_format)
    window, strides = two(pool_size), two(strides)
    pads = _pads(x, window, strides, padding)
    before: Any = [a for a, _ in pads]
    if any(a != b for a, b in pads):
        x, before = pad(x, pads, float("-inf")), 0
    return as_given(_MAX[x.ndim - 2](x, window, strides, before), rank, data_format)


@kernel
def avg_pool(x: torch.Tensor, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    if x.itemsize == 2 and x.device.type == "cpu":  # not there for volumes
        return avg_pool(x.float(), pool_size, strides, padding, data_format).to(x.dtype)
    rank, x = x.ndim, channels_second(x, data_format)
    window, strides = two(pool_size), two(strides)
    pads = _pads(x, window, strides, padding)
    pool = _AVG[x.ndim - 2]
    if all(a == b for a, b in pads):
        y = pool(x, window, strides, [a for a, _ in pads], count_include_pad=False)
    else:
        inside = pad(x.new_ones((1, 1, *x.shape[2:])), pads)
        y = pool(pad(x, pads), window, strides) / pool(inside, window, strides)
    return as_given(y, rank, data_format)


@kernel
def max_pool_grad(g: torch.Tensor, x: torch.Tensor, pool_size: Any, strides: Any, padding: str,
                  data_format: str) -> Any:  # fmt: skip
    return vjp(lambda v: max_pool(v, pool_size, strides, padding, data_format), x, g)


@kernel
def avg_pool_grad(g: torch.Tensor, shape: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    return vjp(lambda v: avg_pool(v, pool_size, strides, padding, data_format), g.new_zeros(shape), g)
