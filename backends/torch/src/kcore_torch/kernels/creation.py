"""Tensors from nothing, on the current device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kcore_torch.kernels.table import DTYPES, devices, kernel


@kernel
def full(shape: tuple[int, ...], value: float, dtype: str) -> Any:
    return torch.full(shape, value, dtype=DTYPES[dtype], device=devices[-1])


@kernel
def arange(start: Any, stop: Any, step: Any, dtype: str) -> Any:
    # NumPy's rule for the number of elements, and its rounding of fractional steps.
    return torch.from_numpy(np.arange(start, stop, step)).to(devices[-1], DTYPES[dtype])
