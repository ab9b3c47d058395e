"""Reductions over axes (a sorted tuple; none of them means a copy), and running sums and products along one."""

from __future__ import annotations

import math
from typing import Any

import torch

from kcore_torch.kernels.table import kernel, kernels


@kernel
def sum_(x: torch.Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    # An empty tuple means "all axes" to PyTorch.
    return torch.sum(x, axis, keepdims, dtype=x.dtype) if axis else x.clone()


@kernel
def mean(x: torch.Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    return torch.mean(x, axis, keepdims) if axis else x.clone()


@kernel
def var(x: torch.Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    if x.numel() == 0 and axis:  # torch.var warns of nothing
        return torch.mean(x, axis, keepdims)
    return torch.var(x, axis, correction=0, keepdim=keepdims) if axis else torch.square(x - x)


@kernel
def prod(x: torch.Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    result = x if axis else x.clone()
    for a in reversed(axis):
        result = torch.prod(result, a, keepdims, dtype=x.dtype)
    return result


def _extreme(fn: Any, of_nothing: Any) -> Any:
    def reduce(x: torch.Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
        if not axis:
            return x.clone()
        if x.numel() == 0 and any(x.shape[a] == 0 for a in axis):
            shape = [1 if i in axis else n for i, n in enumerate(x.shape) if keepdims or i not in axis]
            return x.new_full(shape, of_nothing(x.dtype))
        return fn(x, axis, keepdims)  # amax and amin share the gradient of ties evenly

    return reduce


def _limit(dtype: torch.dtype, sign: int) -> Any:
    """The least (sign -1) or largest value of a dtype."""
    if dtype.is_floating_point:
        return sign * math.inf
    if dtype == torch.bool:
        return sign > 0
    return torch.iinfo(dtype).max if sign > 0 else torch.iinfo(dtype).min


kernels.update(
    max=_extreme(torch.amax, lambda dtype: _limit(dtype, -1)), min=_extreme(torch.amin, lambda dtype: _limit(dtype, 1))
)


def _truth(fn: Any) -> Any:
    return lambda x, axis, keepdims: fn(x != 0, axis, keepdims) if axis else x != 0


kernels.update(any=_truth(torch.any), all=_truth(torch.all))


def _position(fn: Any) -> Any:
    return lambda x, axis: fn(x.byte() if x.dtype == torch.bool else x, axis)


kernels.update(
    argmax=_position(torch.argmax), argmin=_position(torch.argmin),
    cumsum=lambda x, axis: torch.cumsum(x, axis, dtype=x.dtype),
    cumprod=lambda x, axis: torch.cumprod(x, axis, dtype=x.dtype),
)  # fmt: skip


@kernel
def logsumexp(x: torch.Tensor, axis: Any, keepdims: bool) -> Any:
    axis = tuple(range(x.ndim)) if axis is None else axis
    return torch.logsumexp(x, axis, keepdims) if axis != () else x.clone()
