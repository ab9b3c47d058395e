"""Arithmetic, comparison, logic, exponentials, trigonometry, and casts."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from kcore_torch.kernels.table import DTYPES, kernel, kernels, needs_grad

kernels.update(
    add=torch.add, subtract=torch.sub, multiply=torch.mul, divide=torch.true_divide, negative=torch.neg,
    square=torch.square, sqrt=torch.sqrt, rsqrt=torch.rsqrt, exp=torch.exp, log=torch.log, log1p=torch.log1p,
    expm1=torch.expm1, sin=torch.sin, cos=torch.cos, tanh=torch.tanh, sigmoid=torch.sigmoid, erf=torch.erf,
    isnan=torch.isnan, isfinite=torch.isfinite,
    equal=torch.eq, not_equal=torch.ne, greater=torch.gt, greater_equal=torch.ge, less=torch.lt, less_equal=torch.le,
    logical_and=torch.logical_and, logical_or=torch.logical_or, logical_not=torch.logical_not, where=torch.where,
    identity=lambda x: x, copy=torch.clone, stop_gradient=torch.Tensor.detach, zeros_like=torch.zeros_like,
)  # fmt: skip


@kernel
def abs_(x: torch.Tensor) -> Any:
    return x.clone() if x.dtype == torch.bool else torch.abs(x)


@kernel
def sign(x: torch.Tensor) -> Any:
    # torch.sign(NaN) is 0.
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


@kernel
def softplus(x: torch.Tensor) -> Any:
    return F.softplus(x, 1.0, 50.0)  # linear only where float64 cannot tell any more


def _rounding(fn: Any) -> Any:
    return lambda x: fn(x) if x.is_floating_point() else x.clone()


kernels.update(floor=_rounding(torch.floor), ceil=_rounding(torch.ceil), round=_rounding(torch.round))


def _by_zero_gives_zero(fn: Any) -> Any:
    """Integer division of `fn`, which PyTorch refuses for zeros among the divisors."""

    def divide(x: torch.Tensor, y: torch.Tensor) -> Any:
        if x.is_floating_point():
            return fn(x, y)
        zero = y == 0
        return fn(x, y.masked_fill(zero, 1)).masked_fill(zero, 0)

    return divide


kernels.update(floor_divide=_by_zero_gives_zero(torch.floor_divide), mod=_by_zero_gives_zero(torch.remainder))


@kernel
def power(x: torch.Tensor, y: torch.Tensor) -> Any:
    if not needs_grad(y):
        return torch.pow(x, y)
    # The gradient by y is 0 where x <= 0: parted, so that neither branch sees the other's operands.
    positive = x > 0
    above = torch.pow(torch.where(positive, x, 1), y)
    return torch.where(positive, above, torch.pow(torch.where(positive, 1, x), y.detach()))


@kernel
def maximum(x: torch.Tensor, y: torch.Tensor) -> Any:
    if not needs_grad(x, y):
        return torch.maximum(x, y)
    return torch.where((x >= y) | x.isnan(), x, y)  # torch.maximum would share a tie's gradient


@kernel
def minimum(x: torch.Tensor, y: torch.Tensor) -> Any:
    if not needs_grad(x, y):
        return torch.minimum(x, y)
    return torch.where((x <= y) | x.isnan(), x, y)


@kernel
def clip(x: torch.Tensor, min_value: Any, max_value: Any) -> Any:
    return x.clone() if min_value is None and max_value is None else torch.clamp(x, min_value, max_value)


@kernel
def cast(x: torch.Tensor, dtype: str) -> Any:
    return x.to(DTYPES[dtype])


@kernel
def print_tensor(x: torch.Tensor, message: str) -> Any:
    host = x.detach().cpu()
    print(message, (host.float() if host.dtype == torch.bfloat16 else host).numpy())  # noqa: T201 - that is the op
    return x
