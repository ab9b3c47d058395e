"""Tensors from nothing: filled, ranges, and random draws (from keys, see kcore.random)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.errors import ArgumentError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.cases import FLOATS, INTS, Cases, Draw
from kcore.ops.edges import Wrong
from kcore.ops.spec import Dims, F, primitive


def _filled(shape: Any, dtype: str, **_: Any) -> TensorSpec:
    return TensorSpec(rules.static_shape(shape), dtype)


def _fills(d: Draw) -> Any:
    return {"shape": d.shape(), "value": float(d.integer(-3, 3)), "dtype": d.dtype((*FLOATS, *INTS, "float16"))}


@primitive(
    infer=lambda shape, value, dtype: _filled(shape, dtype), differentiable=False, cases=Cases(_fills, smooth=False)
)
def full(shape: Dims, value: float, dtype: str = "float32") -> Any:
    """A tensor filled with one value.

    Args:
        shape: its shape; entries may be symbolic integers.
        value: the number.
        dtype: its dtype.

    >>> full.op.reference((2,), 7., "int32")
    array([7, 7], dtype=int32)
    """
    return np.full(shape, value, dtypes.numpy_dtype(dtype))


def _arange_spec(start: Any, stop: Any, step: Any, dtype: str) -> TensorSpec:
    if any(isinstance(bound, Symbolic) for bound in (start, stop, step)):
        return TensorSpec((None,), dtype)
    if step == 0:
        raise ArgumentError("arange expects a step other than 0.")
    return TensorSpec((len(np.arange(start, stop, step)),), dtype)


def _ranges(d: Draw) -> Any:
    start, step = d.integer(-3, 3), d.choice([1, 2, 3, -1, -2])
    return {"start": start, "stop": start + step * d.integer(-1, 4), "step": step, "dtype": d.dtype((*INTS, *FLOATS))}


_NO_STEP = (Wrong(ArgumentError, start=0, stop=3, step=0, dtype="int32"),)


@primitive(infer=_arange_spec, differentiable=False, cases=Cases(_ranges, smooth=False, errors=_NO_STEP))
def arange(start: Dims, stop: Dims, step: Dims = 1, dtype: str = "int32") -> Any:
    """Evenly spaced values from start, up to but without stop; none where stop lies the other way.

    Args:
        start, stop, step: numbers, or symbolic integers of a shape.
        dtype: of the result.

    Raises:
        ArgumentError: a step of 0.

    >>> arange.op.reference(0, 5, 2, "int32")
    array([0, 2, 4], dtype=int32)
    """
    return np.arange(start, stop, step).astype(dtypes.numpy_dtype(dtype))


def _drawn(**choices: Any) -> Cases:
    """Shapes and parameters of random ops; what they draw is for tests of their statistics."""

    def draw(d: Draw) -> Any:
        return {"shape": d.shape(), **{k: d.choice(v) for k, v in choices.items()}, "dtype": d.dtype(FLOATS), "seed": 7}

    return Cases(draw, smooth=False)


def _random(**extra: Any) -> Callable[[F], F]:
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


@_random(reference=_uniform, cases=_drawn(minval=(0.0, -1.0), maxval=(1.0, 3.0)))
def random_uniform(shape: Dims, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32",
                   seed: Any = None) -> Any:  # fmt: skip
    """Uniform draws from [minval, maxval); of integers when dtype is an integer one.

    Args:
        shape: of the result; entries may be symbolic integers.
        minval, maxval: bounds.
        dtype: of the result.
        seed: of this site's draws; from NumPy's global generator when None.
    """


def _normal(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    return (_generator(key).standard_normal(shape) * stddev + mean).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_normal, cases=_drawn(mean=(0.0, 1.0), stddev=(1.0, 0.5)))
def random_normal(shape: Dims, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32", seed: Any = None) -> Any:
    """Normal draws.

    Args:
        shape: of the result; entries may be symbolic integers.
        mean, stddev: of the distribution.
        dtype, seed: as for random_uniform.
    """


def _truncated(key: Any, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    generator = _generator(key)
    draws = generator.standard_normal(shape)
    while (outside := np.abs(draws) > 2).any():
        draws[outside] = generator.standard_normal(int(outside.sum()))
    return (draws * stddev + mean).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_truncated, cases=_drawn(mean=(0.0, 1.0), stddev=(1.0, 0.5)))
def truncated_normal(shape: Dims, mean: float = 0.0, stddev: float = 1.0, dtype: str = "float32",
                     seed: Any = None) -> Any:  # fmt: skip
    """Normal draws, redrawn until within two standard deviations of the mean.

    Args:
        shape: of the result; entries may be symbolic integers.
        mean, stddev: of the distribution before it is cut.
        dtype, seed: as for random_uniform.
    """


def _binomial(key: Any, shape: Any, p: float, dtype: str) -> Any:
    return (_generator(key).random(shape) < p).astype(dtypes.numpy_dtype(dtype))


@_random(reference=_binomial, cases=_drawn(p=(0.0, 0.5, 1.0)))
def random_binomial(shape: Dims, p: float = 0.0, dtype: str = "float32", seed: Any = None) -> Any:
    """1 with probability p, else 0.

    Args:
        shape: of the result; entries may be symbolic integers.
        p: probability of a 1.
        dtype, seed: as for random_uniform.
    """
