"""Overrides of composites of neural networks: activations, losses, batch normalisation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from kcore_torch.kernels.table import kernel, kernels, override

kernels.update(softmax=torch.softmax, log_softmax=torch.log_softmax)


def _plain_relu(x: Any, alpha: Any, max_value: Any, threshold: Any) -> bool:
    return alpha == 0 and max_value is None and threshold == 0


@override(_plain_relu)
def relu(x: torch.Tensor, alpha: float, max_value: None, threshold: float) -> Any:
    return torch.relu(x)


@kernel
def softmax_crossentropy(target: torch.Tensor, logits: torch.Tensor, axis: int) -> Any:
    return -(target * torch.log_softmax(logits, axis)).sum(axis)


@kernel
def sparse_softmax_crossentropy(target: torch.Tensor, logits: torch.Tensor) -> Any:
    flat = F.nll_loss(torch.log_softmax(logits, -1).flatten(0, -2), target.reshape(-1).long(), reduction="none")
    return flat.reshape(target.shape)


@kernel
def sigmoid_crossentropy(target: torch.Tensor, logits: torch.Tensor) -> Any:
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
