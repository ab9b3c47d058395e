"""The table of kernels, and helpers that several families share. Only tables and small helpers live here.

`KERNELS[op]` takes the op's arguments in their declared order; `INPLACE[op]` overwrites the variables it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

F = TypeVar("F", bound=Callable[..., Any])

KERNELS: dict[str, Callable[..., Any]] = {}
INPLACE: dict[str, Callable[..., Any]] = {}

#: Integer dtypes that some TensorFlow kernels lack, and the wider ones that hold their values.
WIDER = {tf.uint8: tf.int32, tf.int8: tf.int32, tf.uint16: tf.int32, tf.int16: tf.int32, tf.uint32: tf.int64,
         tf.uint64: tf.int64}  # fmt: skip
UNSIGNED = {dtype: wide for dtype, wide in WIDER.items() if dtype.name.startswith("u")}


def kernel(function: F) -> F:
    """Enter a function under its name (a trailing underscore is dropped)."""
    KERNELS[function.__name__.rstrip("_")] = function
    return function


def inplace(function: F) -> F:
    """Enter an in-place update under its name."""
    INPLACE[function.__name__] = function
    return function


def through(function: Callable[..., Any], via: dict[Any, Any]) -> Callable[..., Any]:
    """The function, computed in another dtype for operands of a dtype in `via`."""

    def widened(x: Any, *rest: Any, **options: Any) -> Any:
        wide = via.get(x.dtype)
        if wide is None:
            return function(x, *rest, **options)
        rest = tuple(tf.cast(y, wide) if isinstance(y, tf.Tensor) else y for y in rest)
        return tf.cast(function(tf.cast(x, wide), *rest, **options), x.dtype)

    return widened


def size(shape: Any) -> int:
    """Number of elements of a static shape."""
    total = 1
    for n in shape:
        total *= int(n)
    return total


def scalar(value: Any, dtype: Any) -> Any:
    """A number or scalar tensor in the dtype; numbers do not pass through float32, as they would in tf.cast."""
    return tf.cast(value, dtype) if isinstance(value, tf.Tensor) else tf.constant(value, dtype)
