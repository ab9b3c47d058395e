"""Gathering, scattering, one-hot and top-k. Indices may be negative (counted from the end) and of any integer dtype."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from kcore_torch.kernels.table import DTYPES, kernel


def _positive(indices: torch.Tensor, size: int) -> torch.Tensor:
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices)


@kernel
def gather(x: torch.Tensor, indices: torch.Tensor, axis: int) -> Any:
    if x.ndim == 2 and axis == 0 and x.is_floating_point():
        if indices.dtype not in (torch.int32, torch.int64):
            indices = indices.long()
        try:
            # The fast path of embeddings; the CPU refuses negative indices, other devices cannot.
            return F.embedding(indices if x.device.type == "cpu" else _positive(indices, len(x)), x)
        except (IndexError, RuntimeError):  # the latter for rows of nothing
            pass
    index: Any = (*[slice(None)] * axis, indices.long())
    return x[index] if indices.ndim else x[index].clone()  # PyTorch takes a scalar index for a view


@kernel
def scatter_add(indices: torch.Tensor, updates: torch.Tensor, shape: tuple[int, ...], axis: int) -> Any:
    flat = updates.reshape((*shape[:axis], indices.numel(), *shape[axis + 1 :]))
    return updates.new_zeros(shape).index_add(axis, _positive(indices, shape[axis]).reshape(-1), flat)


@kernel
def one_hot(indices: torch.Tensor, num_classes: int, dtype: str) -> Any:
    classes = torch.arange(num_classes, device=indices.device)
    return (indices.unsqueeze(-1) == classes).to(DTYPES[dtype])


@kernel
def top_k(x: torch.Tensor, k: int) -> Any:
    # torch.topk promises no order among ties.
    values, order = torch.sort(x, dim=-1, descending=True, stable=True)
    return values[..., :k], order[..., :k].int()
