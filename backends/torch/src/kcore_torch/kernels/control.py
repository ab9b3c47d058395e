"""Loops and branches, in Python: the emitted bodies run tensor by tensor, and autograd records what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from kcore_torch.kernels.table import devices, kernel


@kernel
def scan(body: Callable[..., Any], carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    count = len(xs[0]) if xs else int(length)
    n = len(carry)
    counters = torch.arange(count, dtype=torch.int32, device=devices[-1]).unbind()
    steps = list(zip(*[x.unbind() for x in xs], counters, strict=True))
    ys = []
    for step in reversed(steps) if reverse else steps:
        out = body(*carry, *step)
        carry = out[:n]
        ys.append(out[n:])
    if reverse:
        ys.reverse()
    return (*carry, *[torch.stack(column) for column in zip(*ys, strict=True)])


@kernel
def cond(condition: torch.Tensor, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    return then() if condition else otherwise()


@kernel
def while_loop(condition: Callable[..., Any], body: Callable[..., Any], carry: Any) -> Any:
    carry = tuple(carry)
    with torch.no_grad():  # open loops are not differentiable
        while condition(*carry)[0]:
            carry = body(*carry)
    return carry
