"""Random draws. A key is an integer, the seed of a generator for one draw: equal keys give equal numbers."""

from __future__ import annotations

import math
from typing import Any

import torch

from kcore_torch.kernels.table import DTYPES, devices, kernel

_MASK = 2**64 - 1


def step_key(step: int) -> int:
    """A key for call number `step`."""
    return fold_key(0x9E3779B97F4A7C15, step)


def fold_key(key: int, data: Any) -> int:
    """A key from a key and an integer: splitmix64 of their mix."""
    mixed = (key * 0x100000001B3 + int(data) + 1) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


def generator(key: int, device: torch.device | None = None) -> torch.Generator:
    """A generator on the device (the current one), seeded with the key."""
    return torch.Generator(device or devices[-1]).manual_seed(key >> 1)


def _empty(shape: Any, dtype: str) -> torch.Tensor:
    return torch.empty(shape, dtype=DTYPES[dtype], device=devices[-1])


@kernel
def random_uniform(key: int, shape: Any, minval: float, maxval: float, dtype: str) -> Any:
    draws = _empty(shape, dtype)
    if not draws.is_floating_point():
        return draws.random_(int(minval), int(maxval), generator=generator(key))
    return draws.uniform_(minval, maxval, generator=generator(key))


@kernel
def random_normal(key: int, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    return _empty(shape, dtype).normal_(generator=generator(key)).mul_(stddev).add_(mean)


@kernel
def truncated_normal(key: int, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    # By the inverse of the distribution function, between its values at -2 and 2.
    bound = math.erf(2 / math.sqrt(2))
    draws = torch.empty(shape, dtype=torch.float64, device=devices[-1])
    draws.uniform_(-bound, bound, generator=generator(key)).erfinv_().mul_(math.sqrt(2)).clamp_(-2, 2)
    return draws.mul_(stddev).add_(mean).to(DTYPES[dtype])


@kernel
def random_binomial(key: int, shape: Any, p: float, dtype: str) -> Any:
    return _empty(shape, dtype).bernoulli_(p, generator=generator(key))


@kernel
def dropout(key: int, x: torch.Tensor, level: float, noise_shape: Any) -> Any:
    shape = x.shape if noise_shape is None else [x.shape[i] if n is None else n for i, n in enumerate(noise_shape)]
    keep = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(1 - level, generator=generator(key, x.device))
    return x * keep.div_(1 - level)
