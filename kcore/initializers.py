"""Initial values of weights, drawn on the host: the same seed gives the same weights on every backend.

An initializer is called with a shape and returns a NumPy array. Random ones draw from NumPy's Philox generator
(`kcore.random`); without a seed of their own they take one from `np.random`, so `np.random.seed(...)` repeats a run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kcore import config as settings
from kcore import random as core_random
from kcore.errors import ArgumentError, ShapeError
from kcore.ops.dtypes import numpy_dtype
from kcore.utils.objects import as_configuration, deserialize_keras_object, resolve, serialize_keras_object
from kcore.variables import Deferred

Array = np.ndarray
Shape = Sequence[int]

# Standard deviation of a unit normal distribution cut at two standard deviations.
_TRUNCATED_STD = 0.87962566103423978


def _dtype(dtype: str | None) -> Any:
    return numpy_dtype(dtype or settings.floatx())


class Initializer:
    """Base of all initializers: called with a shape, returns an array."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """An array of the shape; floatx unless a dtype is given."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__(shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The initializer that `get_config` described (a `dtype` that other Keras versions write is dropped)."""
        return cls(**{k: v for k, v in config.items() if k != "dtype"})


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Zeros of the shape."""
        return np.zeros(shape, _dtype(dtype))


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Ones of the shape."""
        return np.ones(shape, _dtype(dtype))


class Constant(Initializer):
    """One value everywhere, or an array that is broadcast to the shape.

    >>> Constant(3)((2,))
    array([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """The value, repeated over the shape."""
        value = np.asarray(self.value)
        if value.ndim and value.size == math.prod(shape):
            value = value.reshape(shape)
        try:
            return np.array(np.broadcast_to(value, tuple(shape)), _dtype(dtype))
        except ValueError:
            raise ShapeError(
                f"Constant: a value of shape {value.shape} does not fill a weight of shape {tuple(shape)}."
            ) from None

    def get_config(self) -> dict[str, Any]:
        """The value."""
        return {"value": self.value}


class _Random(Initializer):
    """Draws; a seeded initializer gives other numbers at its next call, as in Keras 2 (its seed counts up)."""

    seed: int | None

    def _generator(self) -> np.random.Generator:
        return core_random.generator(self._next_seed())

    def _next_seed(self) -> int:
        if self.seed is None:
            return core_random.fresh_seed()
        self.seed += 1
        return self.seed - 1

    def fixed(self) -> _Random:
        """One that draws now and for good what this one would draw at its next call."""
        other = copy.copy(self)
        other.seed = self._next_seed()
        return other


def _truncated(generator: np.random.Generator, shape: Shape, mean: float, stddev: float) -> Array:
    """Normal numbers; those beyond two standard deviations are drawn again."""
    values = generator.standard_normal(math.prod(shape))
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = generator.standard_normal(outside.size)
        outside = outside[np.abs(values[outside]) > 2]
    return mean + stddev * values.reshape(shape)


class RandomNormal(_Random):
    """Normally distributed numbers.

    Args:
        mean: of the numbers.
        stddev: their standard deviation.
        seed: an integer, or None for one from `np.random`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Numbers of the shape."""
        return self._generator().normal(self.mean, self.stddev, tuple(shape)).astype(_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(_Random):
    """Uniformly distributed numbers.

    Args:
        minval: lower bound.
        maxval: upper bound.
        seed: an integer, or None for one from `np.random`.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Numbers of the shape."""
        return self._generator().uniform(self.minval, self.maxval, tuple(shape)).astype(_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normally distributed numbers; those more than two standard deviations from the mean are drawn again."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Numbers of the shape."""
        return _truncated(self._generator(), shape, self.mean, self.stddev).astype(_dtype(dtype))


class VarianceScaling(_Random):
    """Numbers whose variance is `scale / n`, with n from the weight's shape.

    Args:
        scale: a positive number.
        mode: what n is: "fan_in" (inputs of a unit), "fan_out" (outputs), "fan_avg" (their mean).
        distribution: "normal" (truncated at two standard deviations) or "uniform".
        seed: an integer, or None for one from `np.random`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "normal",
        seed: int | None = None,
    ) -> None:
        if scale <= 0:
            raise ArgumentError(f"VarianceScaling: `scale` must be above 0, got {scale!r}.")
        mode, distribution = mode.lower(), distribution.lower()
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ArgumentError(f"VarianceScaling: `mode` is 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}.")
        if distribution not in ("normal", "uniform"):
            raise ArgumentError(f"VarianceScaling: `distribution` is 'normal' or 'uniform', got {distribution!r}.")
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.seed = seed

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Numbers of the shape."""
        fan_in, fan_out = _compute_fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        generator = self._generator()
        if self.distribution == "normal":
            values = _truncated(generator, shape, 0.0, math.sqrt(variance) / _TRUNCATED_STD)
        else:
            limit = math.sqrt(3 * variance)
            values = generator.uniform(-limit, limit, tuple(shape))
        return values.astype(_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns; leading axes of larger shapes count as rows.

    It draws with `np.random` as Keras 2 did, so one seed gives the matrix that Keras 2 gave.

    Args:
        gain: factor on the matrix.
        seed: an integer, or None for `np.random` itself.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain = gain
        self.seed = seed

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """The matrix."""
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: expected a shape of at least two axes, got {tuple(shape)}.")
        rng: Any = np.random
        if self.seed is not None:
            rng = np.random.RandomState(self.seed)
            self.seed += 1
        flat = (math.prod(shape[:-1]), shape[-1])
        u, _, v = np.linalg.svd(rng.normal(0.0, 1.0, flat), full_matrices=False)
        q = u if u.shape == flat else v
        return (self.gain * q.reshape(shape)).astype(_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zeros elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """The matrix."""
        if len(shape) != 2:
            raise ShapeError(f"Identity: expected the shape of a matrix (two axes), got {tuple(shape)}.")
        return (self.gain * np.eye(shape[0], shape[1])).astype(_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The gain."""
        return {"gain": self.gain}


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within +-sqrt(3 / fan_in)."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of standard deviation sqrt(1 / fan_in)."""
    return VarianceScaling(1.0, "fan_in", "normal", seed)


def glorot_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within +-sqrt(6 / (fan_in + fan_out)); also called Xavier."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed)


def glorot_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)); also called Xavier."""
    return VarianceScaling(1.0, "fan_avg", "normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within +-sqrt(6 / fan_in)."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of standard deviation sqrt(2 / fan_in)."""
    return VarianceScaling(2.0, "fan_in", "normal", seed)


zero = zeros = Zeros
one = ones = Ones
constant = Constant
uniform = random_uniform = RandomUniform
normal = random_normal = RandomNormal
truncated_normal = TruncatedNormal
identity = Identity
orthogonal = Orthogonal


def _compute_fans(shape: Shape, data_format: str = "channels_last") -> tuple[float, float]:
    """Inputs and outputs of one unit, for a weight of this shape (matrix, convolution kernel, or anything).

    >>> _compute_fans((5, 3)), _compute_fans((3, 3, 4, 8))
    ((5, 3), (36, 72))
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in (3, 4, 5):
        if data_format == "channels_first":
            window = math.prod(shape[2:])
            return shape[1] * window, shape[0] * window
        window = math.prod(shape[:-2])
        return shape[-2] * window, shape[-1] * window
    root = math.sqrt(math.prod(shape))
    return root, root


_SCALED = (lecun_uniform, lecun_normal, glorot_uniform, glorot_normal, he_uniform, he_normal)
_KNOWN: dict[str, Any] = {
    **{c.__name__: c for c in (Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal,
                               VarianceScaling, Orthogonal, Identity)},
    "zero": Zeros, "zeros": Zeros, "one": Ones, "ones": Ones, "constant": Constant, "uniform": RandomUniform,
    "random_uniform": RandomUniform, "normal": RandomNormal, "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal, "identity": Identity, "orthogonal": Orthogonal,
    **{f.__name__: f for f in _SCALED},
}  # fmt: skip


#: Once their seed is known, it does not matter when they are called.
_ANYTIME = (Zeros, Ones, Constant, Identity, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling)


def deferred(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: str | None = None) -> Deferred:
    """`initializer(shape, dtype=dtype)`, computed later. The seed that it takes from `np.random` is taken now.

    >>> np.random.seed(0)
    >>> later, now = deferred(RandomUniform(), (2,)), np.random.rand()
    >>> np.random.seed(0)
    >>> bool((RandomUniform()((2,)) == later.make()).all()), bool(np.random.rand() == now)
    (True, True)
    """
    settled = initializer.fixed() if isinstance(initializer, _Random) else initializer
    return Deferred(shape, lambda: settled(shape, dtype=dtype), anytime=type(settled) in _ANYTIME)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer, or the name of a function."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that a configuration describes."""
    return deserialize_keras_object(config, _KNOWN, custom_objects, "initializer", makers={f.__name__ for f in _SCALED})


def get(identifier: Any) -> Callable[..., Any]:
    """An initializer from a name, a configuration, or a callable `f(shape, dtype=None)` (returned as it is)."""
    expected = "a name such as 'glorot_uniform', a configuration, or a callable that takes a shape"
    return resolve(as_configuration(identifier), deserialize, "initializer", expected)  # type: ignore[no-any-return]
