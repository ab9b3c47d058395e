"""Operations on the bits of int32 tensors, and Threefry (the portable random mode) in few passes over memory."""

from __future__ import annotations

from typing import Any

import torch

from kcore_torch.kernels.table import kernel, kernels

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))

kernels.update(
    bitwise_and=torch.bitwise_and, bitwise_xor=torch.bitwise_xor,
    shift_left=torch.bitwise_left_shift,
)  # fmt: skip


@kernel
def shift_right(x: torch.Tensor, count: int) -> Any:
    return torch.bitwise_right_shift(x, count).bitwise_and_((1 << (32 - count)) - 1)  # the sign's copies cut off


@kernel
def threefry2x32(k0: torch.Tensor, k1: torch.Tensor, x0: torch.Tensor, x1: torch.Tensor) -> Any:
    keys = (k0, k1, k0 ^ k1 ^ 0x1BD11BDA)
    # New tensors of the full shape, which the rounds may overwrite.
    x0, x1 = (x.contiguous().clone() for x in torch.broadcast_tensors(x0 + k0, x1 + k1))
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0.add_(x1)
            low = shift_right(x1, 32 - r)
            x1.bitwise_left_shift_(r).bitwise_or_(low).bitwise_xor_(x0)
        x0.add_(keys[(group + 1) % 3])
        x1.add_(keys[(group + 2) % 3] + (group + 1))
    return x0, x1
