"""Shapes, joining, padding and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kcore_torch.kernels.table import kernel, kernels

kernels.update(
    shape=lambda x: np.array(x.shape, "int32"),
    reshape=lambda x, shape: x.reshape(shape),
    transpose=lambda x, perm: x.permute(perm),
    expand_dims=lambda x, axis: x.unsqueeze(axis),
    broadcast_to=lambda x, shape: x.expand(shape),
    reduce_to=lambda x, shape: x.sum_to_size(shape),
    concatenate=torch.cat,
    stack=torch.stack,
    tile=lambda x, n: x.repeat(n),
    repeat_elements=lambda x, rep, axis: x.repeat_interleave(rep, axis),
    reverse=lambda x, axis: x.flip(axis),
)


@kernel
def squeeze(x: torch.Tensor, axis: tuple[int, ...]) -> Any:
    # Not x.squeeze, which keeps axes of other sizes in silence.
    return x.reshape([n for i, n in enumerate(x.shape) if i not in axis])


@kernel
def pad(x: torch.Tensor, padding: tuple[tuple[int, int], ...], value: float) -> Any:
    return F.pad(x, [n for pair in reversed(padding) for n in pair], value=value)


def _forwards(index: tuple[Any, ...], shape: Any) -> tuple[tuple[Any, ...], list[int]]:
    """The index with falling slices turned round, and the axes of the result to flip afterwards."""
    items, flips, source, target = [], [], 0, 0
    for item in index:
        if isinstance(item, slice) and item.step is not None and item.step < 0:
            steps = range(*item.indices(shape[source]))
            item = slice(steps[-1], steps[0] + 1, -steps.step) if steps else slice(0, 0)
            flips.append(target)
        items.append(item)
        source += item is not None
        target += not isinstance(item, int)
    return tuple(items), flips


def _falling(index: tuple[Any, ...]) -> bool:
    return any(type(i) is slice and i.step is not None and i.step < 0 for i in index)


@kernel
def strided_slice(x: torch.Tensor, index: tuple[Any, ...]) -> Any:
    if not _falling(index):
        return x[index]
    index, flips = _forwards(index, x.shape)
    return x[index].flip(flips)


@kernel
def scatter_slice(x: torch.Tensor, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = x.new_zeros(shape)
    index, flips = _forwards(index, shape)
    out[index] = x.flip(flips) if flips else x
    return out
