"""Optimizers of `torch.optim` as kcore's adapter wants them: pure functions of parameters, gradients and state."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from kcore.errors import ArgumentError
from kcore_torch.kernels.table import devices

Make = Callable[[list[torch.Tensor]], torch.optim.Optimizer]


def adapter(optimizer: Any) -> TorchOptimizer | None:
    """For an optimizer, its class, or a function of parameters that makes one; None for anything else.

    An optimizer object says how to step: its class and the options of its parameter group, read at each step, so that
    a learning-rate scheduler acts. The parameters that it was made with are not touched.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        if len(optimizer.param_groups) != 1:
            raise ArgumentError(
                f"An optimizer of one parameter group is expected, got {len(optimizer.param_groups)} groups: kcore "
                "trains all weights alike. Give the class, or an object made with one list of parameters."
            )
        return TorchOptimizer(lambda params: _again(optimizer, params), optimizer)
    if isinstance(optimizer, type):
        return TorchOptimizer(optimizer) if issubclass(optimizer, torch.optim.Optimizer) else None
    if callable(optimizer) and not isinstance(optimizer, torch.nn.Module):
        return TorchOptimizer(optimizer)
    return None


def _again(optimizer: torch.optim.Optimizer, params: list[torch.Tensor]) -> torch.optim.Optimizer:
    known = inspect.signature(type(optimizer)).parameters
    options = {name: value for name, value in optimizer.param_groups[0].items() if name in known and name != "params"}
    return type(optimizer)(params, **options)


class TorchOptimizer:
    """`make(parameters)` gives the optimizer; it is made anew for each step, which starts where the last one ended.

    The state is: whether there was a step, then what the optimizer keeps for each parameter. PyTorch makes its state at
    the first step, from the gradients; so does this.

    Args:
        make: of the optimizer.
        model: the object whose options are those of the steps, where there is one.
    """

    def __init__(self, make: Make, model: torch.optim.Optimizer | None = None) -> None:
        self.make = make
        self._model = model
        self._kept: list[list[str]] = []
        self._numbers: set[tuple[int, str]] = set()

    def init(self, params: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Zeros of the sizes that one step on copies leaves behind."""
        leaves = [torch.tensor(p, device=devices[-1]) for p in params]
        optimizer = self._stepped(leaves, [torch.zeros_like(p) for p in leaves], None)
        start = [np.zeros((), "int64")]
        for i, leaf in enumerate(leaves):
            state = optimizer.state[leaf]
            kept = {name: value for name, value in state.items() if isinstance(value, (torch.Tensor, int, float))}
            self._kept.append(list(kept))
            self._numbers |= {(i, name) for name, value in kept.items() if not isinstance(value, torch.Tensor)}
            start += [np.zeros_like(torch.as_tensor(value).cpu().numpy()) for value in kept.values()]
        return start

    def get_options(self) -> dict[str, Any]:
        """The options of the object's group, where it is an object: what schedulers change."""
        if self._model is None:
            return {}
        options = {name: value for name, value in self._model.param_groups[0].items() if name != "params"}
        return {name: v.item() if isinstance(v, torch.Tensor) else v for name, v in options.items()}

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Set them again."""
        if self._model is None:
            return
        group = self._model.param_groups[0]
        for name, value in options.items():
            if isinstance(group.get(name), torch.Tensor):
                group[name].fill_(value)
            else:
                group[name] = value

    def _stepped(self, leaves: list[torch.Tensor], grads: Sequence[Any], state: Any) -> torch.optim.Optimizer:
        optimizer = self.make(leaves)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ArgumentError(
                "A function of parameters that gives a torch.optim.Optimizer is expected, got one that gives "
                f"{type(optimizer).__name__}."
            )
        for i, (leaf, grad) in enumerate(zip(leaves, grads, strict=True)):
            leaf.grad = grad
            if state is not None:
                optimizer.state[leaf] = {
                    name: value.item() if (i, name) in self._numbers else value.clone()
                    for name, value in zip(self._kept[i], state[i], strict=True)
                }
        try:
            optimizer.step()
        except TypeError as error:  # LBFGS and its like
            raise ArgumentError(
                f"{type(optimizer).__name__} cannot step by gradients alone: it wants to compute the loss again. Use "
                "one that steps without a closure."
            ) from error
        return optimizer

    def step(self, params: list[Any], grads: list[Any], state: list[Any]) -> tuple[list[Any], list[Any]]:
        """One step on copies."""
        started, rest = state[0], iter(state[1:])
        before = [[next(rest) for _ in names] for names in self._kept]
        leaves = [p.detach().clone() for p in params]
        optimizer = self._stepped(leaves, [g.detach().clone() for g in grads], before if started.item() else None)
        after = [torch.as_tensor(optimizer.state[leaf][name], device=leaf.device if name != "step" else None)
                 for leaf, names in zip(leaves, self._kept, strict=True) for name in names]  # fmt: skip
        return leaves, [torch.ones_like(started), *after]
