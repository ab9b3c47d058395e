"""LSTM and GRU by PyTorch's fused loops, where the arguments are those that it knows.

A masked step changes nothing, so a masked sequence is the shorter one of its other steps. Those are moved to the front
and run as PyTorch's packed sequences; the output of each step is that of the last step before it that was not masked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from kcore_torch.kernels.table import override


def _standard(x: Any, activation: str, recurrent_activation: str, **_: Any) -> bool:
    return activation == "tanh" and recurrent_activation == "sigmoid" and x.dtype in ("float32", "float64")


@override(_standard)
def lstm(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, kernel: torch.Tensor, recurrent_kernel: torch.Tensor,
         bias: torch.Tensor | None, mask: torch.Tensor | None, activation: str, recurrent_activation: str,
         return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    # Gates are in the order i, f, c, o on both sides; the second bias of PyTorch's is zero here.
    weights = [kernel.t(), recurrent_kernel.t()]
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    return _run(torch._VF.lstm, x, (h, c), weights, mask, return_sequences, go_backwards)


def _zrh_to_rzn(w: torch.Tensor) -> torch.Tensor:
    """Gate columns in the order of PyTorch's, whose h' = (1 - z) * n + z * h is ours."""
    z, r, h = w.chunk(3, -1)
    return torch.cat((r, z, h), -1)


@override(lambda reset_after, **a: reset_after and _standard(**a))
def gru(x: torch.Tensor, h: torch.Tensor, kernel: torch.Tensor, recurrent_kernel: torch.Tensor,
        bias: torch.Tensor | None, mask: torch.Tensor | None, activation: str, recurrent_activation: str,
        reset_after: bool, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    weights = [_zrh_to_rzn(kernel).t(), _zrh_to_rzn(recurrent_kernel).t()]
    if bias is not None:
        own = _zrh_to_rzn(bias)
        weights += list(own) if bias.ndim == 2 else [own, torch.zeros_like(own)]
    return _run(torch._VF.gru, x, (h,), weights, mask, return_sequences, go_backwards)


def _run(loop: Callable[..., Any], x: torch.Tensor, states: tuple[torch.Tensor, ...], weights: list[torch.Tensor],
         mask: torch.Tensor | None, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    """Last output, outputs and final states."""
    x = x.flip(1) if go_backwards else x
    if mask is not None:
        mask = mask.flip(1).bool() if go_backwards else mask.bool()
    if mask is None or mask.all():  # there may be no sequences at all
        outputs, *after = _call(loop, (x,), [s.unsqueeze(0) for s in states], weights, batch_first=True)
        after = [s.squeeze(0) for s in after]
    elif not mask.any():
        outputs, after = x.new_zeros((*x.shape[:2], states[0].shape[-1])), [s.clone() for s in states]
    else:
        packed = _Packed(x, mask)
        data, *ends = _call(loop, (packed.data, packed.sizes), packed.states(states), weights)
        outputs, after = packed.outputs(data), [packed.final(s, end) for s, end in zip(states, ends, strict=True)]
    last = outputs[:, -1]
    return last, outputs if return_sequences else last.unsqueeze(1), *after


def _call(loop: Callable[..., Any], data: tuple[torch.Tensor, ...], states: list[torch.Tensor],
          weights: list[torch.Tensor], **layout: bool) -> Any:  # fmt: skip
    start = states if len(states) > 1 else states[0]
    flags = (len(weights) == 4, 1, 0.0, torch.is_grad_enabled(), False)  # biases, layers, dropout, training, two ways
    return loop(*data, start, weights, *flags, *layout.values())


class _Packed:
    """The steps of sequences that are not masked, as the fused loops take them: longest sequence first, step by step.

    Args:
        x: (batch, time, features).
        mask: bool (batch, time), true somewhere.
    """

    def __init__(self, x: torch.Tensor, mask: torch.Tensor) -> None:
        self.count = mask.cumsum(1)  # steps that are not masked, up to each step
        lengths = self.count[:, -1]
        self.order = lengths.argsort(descending=True, stable=True)
        steps = torch.arange(int(lengths.max()), device=x.device).unsqueeze(1)
        self.filled = steps < lengths[self.order]  # (steps, batch): which sequences still run
        self.sizes = self.filled.sum(1).cpu()  # PyTorch wants them there
        places = (~mask).to(torch.uint8).argsort(dim=1, stable=True)[self.order].t()[: len(steps)]
        rows = self.order.expand_as(self.filled)
        self.data = x[rows[self.filled], places[self.filled]]

    def states(self, states: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """States of the sequences that have steps, in the order of the data."""
        started = self.order[: int(self.sizes[0])]
        return [s[started].unsqueeze(0) for s in states]

    def final(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Final states of all sequences: where there was no step they are those before."""
        started = self.order[: after.shape[1]]
        return before.index_put((started,), after.squeeze(0))

    def outputs(self, data: torch.Tensor) -> torch.Tensor:
        """(batch, time, units): repeated at masked steps, zeros before the first that is not masked."""
        table = data.new_zeros((1 + len(self.sizes), len(self.order), data.shape[-1]))
        table[1:][self.filled] = data
        columns = self.order.argsort().unsqueeze(1)
        return table[self.count, columns]
