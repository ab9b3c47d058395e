"""Random tensors: drawn anew at each run, in floatx unless told otherwise."""

from __future__ import annotations

from typing import Any

from kcore import config
from kcore.graph.ir import Symbolic
from kcore.ops import creation, dtypes
from kcore.ops.elementwise import add, less, multiply
from kcore.ops.structural import cast


def _dtype(dtype: Any) -> str:
    return dtypes.name_of(dtype or config.floatx())


def _shifted(draws: Any, scale: Any, shift: Any) -> Any:
    return add(multiply(draws, scale), shift)


def random_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: int | None = None) -> Any:
    """Normal draws.

    Args:
        shape: sizes; they may be symbolic integers.
        mean: a number or a tensor.
        stddev: a number or a tensor.
        dtype: name of the dtype; floatx by default.
        seed: integer. Without one, the seed comes from `np.random`.

    >>> K.int_shape(K.random_normal((2, 3)))
    (2, 3)
    """
    if isinstance(mean, Symbolic) or isinstance(stddev, Symbolic):
        return _shifted(creation.random_normal(shape, 0.0, 1.0, _dtype(dtype), seed), stddev, mean)
    return creation.random_normal(shape, float(mean), float(stddev), _dtype(dtype), seed)


def random_uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: int | None = None) -> Any:
    """Uniform draws from [minval, maxval); of integers where `dtype` is an integer one.

    Args:
        shape: sizes; they may be symbolic integers.
        minval: a number or a tensor.
        maxval: a number or a tensor.
        dtype: name of the dtype; floatx by default.
        seed: integer. Without one, the seed comes from `np.random`.

    >>> bool((K.eval(K.random_uniform((2, 3), 1., 2.)) >= 1).all())
    True
    """
    name = _dtype(dtype)
    if isinstance(minval, Symbolic) or isinstance(maxval, Symbolic):
        draws = creation.random_uniform(shape, 0.0, 1.0, name if dtypes.is_float(name) else "float32", seed)
        return cast(_shifted(draws, maxval - minval, minval), name)
    return creation.random_uniform(shape, float(minval), float(maxval), name, seed)


def random_binomial(shape: Any, p: Any = 0.0, dtype: Any = None, seed: int | None = None) -> Any:
    """1 with probability `p`, else 0.

    Args:
        shape: sizes; they may be symbolic integers.
        p: a number or a tensor.
        dtype: name of the dtype; floatx by default.
        seed: integer. Without one, the seed comes from `np.random`.

    >>> K.eval(K.random_binomial((2,), p=1.))
    array([1., 1.], dtype=float32)
    """
    if isinstance(p, Symbolic):
        return cast(less(creation.random_uniform(shape, 0.0, 1.0, "float32", seed), p), _dtype(dtype))
    return creation.random_binomial(shape, float(p), _dtype(dtype), seed)


def truncated_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: int | None = None) -> Any:
    """Normal draws within two standard deviations of the mean.

    Args:
        shape: sizes; they may be symbolic integers.
        mean: a number or a tensor.
        stddev: a number or a tensor.
        dtype: name of the dtype; floatx by default.
        seed: integer. Without one, the seed comes from `np.random`.

    >>> bool((abs(K.eval(K.truncated_normal((100,)))) <= 2).all())
    True
    """
    if isinstance(mean, Symbolic) or isinstance(stddev, Symbolic):
        return _shifted(creation.truncated_normal(shape, 0.0, 1.0, _dtype(dtype), seed), stddev, mean)
    return creation.truncated_normal(shape, float(mean), float(stddev), _dtype(dtype), seed)
