"""Optimizer updates over lists of tensors, in place and by value, with PyTorch's fused and foreach kernels.

The formulas are Keras 2's: epsilon is added to the square root, learning rates come corrected.
"""

from __future__ import annotations

from typing import Any

import torch

from kcore.ops import REGISTRY
from kcore_torch.kernels.table import inplace, kernels, scalar

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
    torch._fused_adam_(
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
    steps = torch._foreach_mul(grads, lr)  # by the tensor: nothing is read back from a device
    torch._foreach_mul_(moments, momentum)
    torch._foreach_sub_(moments, steps)
    if nesterov:
        torch._foreach_add_(params, torch._foreach_mul(moments, momentum))
        torch._foreach_sub_(params, steps)
    else:
        torch._foreach_add_(params, moments)


def _by_value(name: str, update: Any, lists: tuple[int, ...]) -> Any:
    """The update as new tensors: in place on copies, or by the op's own definition where gradients flow through it."""

    def run(*arguments: Any) -> Any:
        if torch.is_grad_enabled():
            return REGISTRY[name].body(*arguments)  # type: ignore[misc]
        fresh = [[t.clone() for t in a] if i in lists else a for i, a in enumerate(arguments)]
        update(*fresh)
        return [t for i in lists for t in fresh[i]]

    return run


# By op: the update and the positions of the lists that it overwrites.
for _name, _update, _lists in (
    ("adam_update", _adam, (0, 2, 3, 4)), ("rmsprop_update", _rmsprop, (0, 2)), ("sgd_update", _sgd, (0, 2)),
):  # fmt: skip
    inplace[_name] = _update
    kernels[_name] = _by_value(_name, _update, _lists)
