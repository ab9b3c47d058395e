"""Tensors from nothing: filled, ranges, and random draws (from keys, see kcore.random)."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.spec import Dims, primitive


def _filled(shape: Any, dtype: str, **_: Any) -> TensorSpec:
    return TensorSpec(rules.static_shape(shape), dtype)


@primitive(infer=lambda shape, value, dtype: _filled(shape, dtype), differentiable=False)
def full(shape: Dims, value: float, dtype: str = "float32") -> Any:
    """A tensor of the shape filled with one value."""
    return np.full(shape, value, dtypes.numpy_dtype(dtype))


def _arange_spec(start: Any, stop: Any, step: Any, dtype: str) -> TensorSpec:
    if any(isinstance(bound, Symbolic) for bound in (start, stop, step)):
        return TensorSpec((None,), dtype)
    return TensorSpec((len(np.arange(start, stop, step)),), dtype)


@primitive(infer=_arange_spec, differentiable=False)
def arange(start: Dims, stop: Dims, step: Dims = 1, dtype: str = "int32") -> Any:
    """Evenly spaced values from start, below stop. Bounds are numbers or integers of the shape."""
    return np.arange(start, stop, step).astype(dtypes.numpy_dtype(dtype))


def _random(**extra: Any) -> Any:
    def rule(**a: Any) -> TensorSpec:
        return _filled(a["shape"], a["dtype"])

    return primitive(infer=rule, random=True, differentiable=False, **extra)


# The references take a key first, as all kernels of random ops do: here a NumPy generator's seed sequence.


def _generator(key: Any) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.asarray(key, "uint64")))


def _uniform(key: Any, shape: Any, minval: float, maxval: float, dtype: str) -> Any:
    if dtypes.is_integer(dtype):
        return _generator(key).integers(int(minval), int(maxval), shape).astype(dtype)
    return (_generator(key).random(shape) * (maxval - minval) + minval).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_uniform)
def random_uniform(shape: Dims, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32",
                   seed: Any = None) -> Any:  # fmt: skip
    """Uniform draws from [minval, maxval); of integers when dtype is an integer one."""


def _normal(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    return (_generator(key).standard_normal(shape) * stddev + mean).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_normal)
def random_normal(shape: Dims, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Any = None) -> Any:
    """Normal draws."""


def _truncated(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    generator = _generator(key)
    draws = generator.standard_normal(shape)
    while (outside := np.abs(draws) > 2).any():
        draws[outside] = generator.standard_normal(int(outside.sum()))
    return (draws * stddev + mean).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_truncated)
def truncated_normal(shape: Dims, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32",
                     seed: Any = None) -> Any:  # fmt: skip
    """Normal draws, redrawn until within two standard deviations of the mean."""


def _binomial(key: Any, shape: Any, p: float, dtype: str) -> Any:
    return (_generator(key).random(shape) < p).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_binomial)
def random_binomial(shape: Dims, p: float = 0.0, dtype: str = "float32", seed: Any = None) -> Any:
    """1 with probability p, else 0."""
