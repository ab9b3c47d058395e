"""LSTM and GRU by PyTorch's fused loops, where the arguments are those that it knows."""

from __future__ import annotations

from typing import Any

import torch

from kcore_torch.kernels.table import override


def _standard(x: Any, mask: Any, activation: str, recurrent_activation: str, **_: Any) -> bool:
    plain = activation == "tanh" and recurrent_activation == "sigmoid" and mask is None
    return plain and x.dtype in ("float32", "float64")


def _outputs(outputs: torch.Tensor, return_sequences: bool) -> tuple[torch.Tensor, torch.Tensor]:
    last = outputs[:, -1]
    return last, outputs if return_sequences else last.unsqueeze(1)


@override(_standard)
def lstm(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, kernel: torch.Tensor, recurrent_kernel: torch.Tensor,
         bias: torch.Tensor | None, mask: None, activation: str, recurrent_activation: str, return_sequences: bool,
         go_backwards: bool) -> Any:  # fmt: skip
    # Gates are in the order i, f, c, o on both sides; the second bias of PyTorch's is zero here.
    weights = [kernel.t(), recurrent_kernel.t()]
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    x = x.flip(1) if go_backwards else x
    outputs, h, c = torch._VF.lstm(
        x, (h.unsqueeze(0), c.unsqueeze(0)), weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True
    )
    return *_outputs(outputs, return_sequences), h.squeeze(0), c.squeeze(0)


def _zrh_to_rzn(w: torch.Tensor) -> torch.Tensor:
    """Gate columns in the order of PyTorch's, whose h' = (1 - z) * n + z * h is ours."""
    z, r, h = w.chunk(3, -1)
    return torch.cat((r, z, h), -1)


@override(lambda reset_after, **a: reset_after and _standard(**a))
def gru(x: torch.Tensor, h: torch.Tensor, kernel: torch.Tensor, recurrent_kernel: torch.Tensor,
        bias: torch.Tensor | None, mask: None, activation: str, recurrent_activation: str, reset_after: bool,
        return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    weights = [_zrh_to_rzn(kernel).t(), _zrh_to_rzn(recurrent_kernel).t()]
    if bias is not None:
        own = _zrh_to_rzn(bias)
        weights += list(own) if bias.ndim == 2 else [own, torch.zeros_like(own)]
    x = x.flip(1) if go_backwards else x
    outputs, h = torch._VF.gru(
        x, h.unsqueeze(0), weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True
    )
    return *_outputs(outputs, return_sequences), h.squeeze(0)
