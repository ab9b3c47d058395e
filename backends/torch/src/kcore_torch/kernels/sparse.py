"""Sparse tensors: PyTorch's COO layout, coalesced. Other sparse layouts that a user brings are converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from kcore_torch.kernels.table import kernel, override


def coo(indices: torch.Tensor, values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A COO tensor of sorted, distinct positions (rank, entries)."""
    return torch.sparse_coo_tensor(indices, values, tuple(shape), is_coalesced=True, check_invariants=False)


def coalesced(x: torch.Tensor) -> torch.Tensor:
    """The tensor in the layout that all kernels here take."""
    return (x if x.layout is torch.sparse_coo else x.to_sparse_coo()).coalesce()


@kernel
def to_dense(x: torch.Tensor) -> torch.Tensor:
    return x.to_dense()


@kernel
def sparse_values(x: torch.Tensor) -> torch.Tensor:
    return coalesced(x).values()


@kernel
def with_values(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return coo(coalesced(x).indices(), values, x.shape)


@override(lambda x, y, adjoint: y.dtype in ("float32", "float64"))
def sparse_dot(x: torch.Tensor, y: torch.Tensor, adjoint: bool) -> torch.Tensor:
    x = coalesced(x)
    return torch.sparse.mm(x.t() if adjoint else x, y)


@kernel
def sparse_concatenate(xs: list[torch.Tensor], axis: int) -> Any:
    return torch.cat([coalesced(x) for x in xs], axis).coalesce()


@kernel
def sparse_mask(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return coo(mask.nonzero().t(), x[mask], x.shape)
