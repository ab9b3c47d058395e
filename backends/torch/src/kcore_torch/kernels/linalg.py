"""Matrix products and adding biases."""

from __future__ import annotations

from typing import Any

import torch

from kcore_torch.kernels.table import kernel, kernels

kernels["matmul"] = torch.matmul


@kernel
def dot(x: torch.Tensor, y: torch.Tensor) -> Any:
    if y.ndim == 2 and x.ndim >= 2:
        return torch.matmul(x, y)
    return torch.tensordot(x, y, ([x.ndim - 1], [max(y.ndim - 2, 0)]))


@kernel
def bias_add(x: torch.Tensor, bias: torch.Tensor, data_format: str) -> Any:
    if data_format == "channels_first" and x.ndim > 2:
        # A bias for each position is reshaped, not transposed: Keras 2's rule.
        bias = bias.reshape((bias.shape[-1], *([1] * (x.ndim - 2) if bias.ndim == 1 else bias.shape[:-1])))
    return x + bias
