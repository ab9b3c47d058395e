"""Optimizer updates over lists of tensors, in place and by value, with PyTorch's fused and foreach kernels.

The formulas are Keras 2's: epsilon is added to the square root, learning rates come corrected.
"""

from __future__ import annotations

from typing import Any

import torch

from kcore_torch.kernels.table import inplace, kernel, scalar

List = list[torch.Tensor]


def _dense(grads: List) -> List:
    """Gradients in plain memory order, as the fused kernels read them."""
    return [g if g.is_contiguous() else g.contiguous() for g in grads]


def _never_corrects(params: List) -> List:
    """Step counts for `_fused_adam_`: its bias corrections 1 - beta ** steps become 1."""
    return [_endless(params[0].device)] * len(params)


def _endless(device: torch.device) -> torch.Tensor:
    if device not in _endless_steps:
        _endless_steps[device] = torch.tensor(float("inf"), device=device)
    return _endless_steps[device]


_endless_steps: dict[torch.device, torch.Tensor] = {}


def _adam_step(params: List, grads: List, ms: List, vs: List, vhats: List, lr: torch.Tensor, beta_1: Any, beta_2: Any,
               epsilon: float) -> None:  # fmt: skip
    on_host = params[0].device.type == "cpu"
    torch._fused_adam_(  # noqa: SLF001 - the kernel of torch.optim.Adam(fused=True)
        params, grads, ms, vs, vhats, _never_corrects(params), lr=scalar(lr) if on_host else lr, beta1=scalar(beta_1),
        beta2=scalar(beta_2), weight_decay=0.0, eps=epsilon, amsgrad=bool(vhats), maximize=False,
    )  # fmt: skip


def _adam(params: List, grads: List, ms: List, vs: List, vhats: List, lr_t: torch.Tensor, beta_1: Any, beta_2: Any,
          epsilon: float) -> None:  # fmt: skip
    if params:
        _adam_step(params, _dense(grads), ms, vs, vhats, lr_t, beta_1, beta_2, epsilon)


def _rmsprop(params: List, grads: List, accumulators: List, lr: torch.Tensor, rho: Any, epsilon: float) -> None:
    # Adam without its first moment (beta_1 = 0): that moment is the gradient itself.
    if params:
        grads = _dense(grads)
        _adam_step(params, grads, grads, accumulators, [], lr, 0.0, rho, epsilon)


def _sgd(params: List, grads: List, moments: List, lr: torch.Tensor, momentum: Any, nesterov: bool) -> None:
    if not params:
        return
    rate, momentum = scalar(lr), scalar(momentum)
    torch._foreach_mul_(moments, momentum)
    torch._foreach_add_(moments, grads, alpha=-rate)
    if nesterov:
        torch._foreach_add_(params, moments, alpha=momentum)
        torch._foreach_add_(params, grads, alpha=-rate)
    else:
        torch._foreach_add_(params, moments)


inplace.update(adam_update=_adam, rmsprop_update=_rmsprop, sgd_update=_sgd)
