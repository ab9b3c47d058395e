"""Overrides of composites of neural networks: activations and losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from kcore.ops.dtypes import is_float
from kcore_torch.kernels.table import kernel, kernels, override

kernels.update(softmax=torch.softmax, log_softmax=torch.log_softmax, elu=F.elu, selu=F.selu)


def _simple_relu(x: Any, alpha: float, max_value: Any, threshold: float) -> bool:
    return threshold == 0 and (alpha == 0 or (max_value is None and is_float(x.dtype)))


@override(_simple_relu)
def relu(x: torch.Tensor, alpha: float, max_value: float | None, threshold: float) -> Any:
    if alpha:
        return F.leaky_relu(x, alpha)
    y = torch.relu(x)
    return y if max_value is None else y.clamp(max=max_value)


@kernel
def softmax_crossentropy(target: torch.Tensor, logits: torch.Tensor, axis: int) -> Any:
    return -(target * torch.log_softmax(logits, axis)).sum(axis)


@kernel
def sparse_softmax_crossentropy(target: torch.Tensor, logits: torch.Tensor) -> Any:
    classes, shape = logits.shape[-1], logits.shape[:-1]
    target = target.long().masked_fill((target < 0) | (target >= classes), -100)  # no class: no loss
    if target.shape != shape:
        shape = torch.broadcast_shapes(target.shape, shape)
        target, logits = target.expand(shape), logits.expand(*shape, classes)
    losses = F.nll_loss(torch.log_softmax(logits, -1).reshape(-1, classes), target.reshape(-1), reduction="none")
    return losses.reshape(shape)


@kernel
def sigmoid_crossentropy(target: torch.Tensor, logits: torch.Tensor) -> Any:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
