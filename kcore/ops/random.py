"""Random draws in the portable mode: from Threefry's words to numbers, in arithmetic that every backend rounds alike.

A draw is made of the words `threefry2x32(key, (element // 2, stream))`. Stream 0 gives every element its first 32 bits,
stream 1 more of them where they are needed. So element i of a draw does not depend on how many there are, and a float64
draw continues the float32 draw of the same key.

Uniform draws are the same bit for bit: integers become floats by exact steps, and a product that is about to be rounded
passes through a minimum before it meets a sum, since compilers that fuse the two would round once instead of twice.
Normal draws go through a logarithm, in which backends differ in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from kcore.errors import ArgumentError
from kcore.graph.ir import Symbolic
from kcore.ops import dtypes
from kcore.ops.bits import shift_right, threefry2x32
from kcore.ops.creation import arange
from kcore.ops.elementwise import (
    add,
    divide,
    less,
    log,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    sqrt,
    square,
    subtract,
    where,
)
from kcore.ops.joining import stack
from kcore.ops.shaping import reshape
from kcore.ops.slicing import strided_slice
from kcore.ops.structural import cast

Key = tuple[Any, Any]

#: Bits of a uniform draw: as many as the dtype's fraction holds, so that no draw is rounded up to 1.
_RESOLUTION: Final = {"float16": 11, "bfloat16": 8, "float32": 24}
_WIDEST: Final = 2**31 - 1


def fold(key: Key, number: Any) -> Key:
    """The key of one iteration: derived from a key and an int32 scalar."""
    first, second = threefry2x32(*key, 0, number)
    return first, second


def random_bits(key: Key, shape: Any, stream: int = 0) -> Any:
    """32 random bits for each element, an int32 tensor.

    Args:
        key: two int32 scalars.
        shape: of the result; entries may be symbolic integers.
        stream: of the key's words.
    """
    shape = _sizes(shape)
    total: Any = 1
    for n in shape:
        total = total * n
    pairs = (total + 1) // 2
    words = threefry2x32(*key, arange(0, pairs, 1, "int32"), stream)
    flat = reshape(stack(words, axis=1), (pairs * 2,))
    return reshape(strided_slice(flat, (slice(0, total),)), shape)


def _sizes(shape: Any) -> tuple[Any, ...]:
    if isinstance(shape, Symbolic):  # a shape vector
        return tuple(strided_slice(shape, (i,)) for i in range(shape.shape[0] or 0))
    return tuple(n if isinstance(n, Symbolic) else int(n) for n in shape)


def _unit(key: Key, shape: Any, dtype: str) -> Any:
    """Multiples of 2**-n in [0, 1): float64 for that dtype, else float32 with the bits that the dtype has."""
    bits = random_bits(key, shape)
    if dtype == "float64":
        low = multiply(cast(shift_right(random_bits(key, shape, 1), 3), dtype), 2.0**-53)
        return add(multiply(cast(shift_right(bits, 8), dtype), 2.0**-24), low)
    n = _RESOLUTION[dtype]
    return multiply(cast(shift_right(bits, 32 - n), "float32"), 2.0**-n)


def _centred(key: Key, shape: Any, dtype: str) -> Any:
    """Odd multiples of 2**-n in (0, 1), symmetrical about 1/2; float64 for that dtype, else float32."""
    bits = random_bits(key, shape)
    if dtype == "float64":
        low = multiply(add(cast(shift_right(random_bits(key, shape, 1), 4), dtype), 0.5), 2.0**-52)
        return add(multiply(cast(shift_right(bits, 8), dtype), 2.0**-24), low)
    return multiply(add(cast(shift_right(bits, 9), "float32"), 0.5), 2.0**-23)


def _stretched(draws: Any, start: float, width: float) -> Any:
    """start + draws * width for draws from [0, 1), rounded twice, whatever a compiler would make of it."""
    bound = minimum if width >= 0 else maximum
    return add(bound(multiply(draws, width), width), start)


# --- the random ops ---------------------------------------------------------------------------------------------------


def _uniform(key: Key, shape: Any, minval: float, maxval: float, dtype: str) -> Any:
    if dtypes.is_integer(dtype):
        return _whole(key, shape, int(minval), int(maxval), dtype)
    draws = _unit(key, shape, dtype)
    if (minval, maxval) != (0, 1):
        draws = _stretched(draws, minval, maxval - minval)
        kind = dtypes.numpy_dtype(dtype).type
        if kind(maxval) > kind(minval):  # sums are rounded up to maxval at times
            draws = minimum(draws, _last_below(maxval, dtype))
    return cast(draws, dtype)


def _last_below(bound: float, dtype: str) -> float:
    """The largest number of the dtype below the bound as the dtype has it."""
    kind = dtypes.numpy_dtype(dtype).type  # float32 for bfloat16
    last = np.nextafter(kind(bound), kind(-np.inf))
    if dtype == "bfloat16":  # the upper half of a float32: rounded down
        word = int(last.view(np.int32))
        word = word & ~0xFFFF if word >= 0 or not word & 0xFFFF else (word & ~0xFFFF) + 0x10000
        last = np.int32(word).view(np.float32)
    return float(last)


def _whole(key: Key, shape: Any, low: int, high: int, dtype: str) -> Any:
    if not 0 < high - low <= _WIDEST:
        raise ArgumentError(
            f"Portable integer draws need 1 to {_WIDEST} possible values, got the interval [{low}, {high}). Narrow it, "
            "or draw natively: kcore.random.portable(False)."
        )
    return add(cast(mod(shift_right(random_bits(key, shape), 1), high - low), dtype), low)


def _normal(key: Key, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    draws = normal_quantile(_centred(key, shape, dtype), dtype)
    return cast(add(multiply(draws, stddev), mean), dtype)


def _truncated(key: Key, shape: Any, mean: float, stddev: float, dtype: str) -> Any:
    below = NormalDist().cdf(-2.0)
    inside = _stretched(_centred(key, shape, dtype), below, 1 - 2 * below)
    draws = maximum(minimum(normal_quantile(inside, dtype), 2.0), -2.0)
    return cast(add(multiply(draws, stddev), mean), dtype)


def _binomial(key: Key, shape: Any, p: float, dtype: str) -> Any:
    return cast(less(_unit(key, shape, "float32"), p), dtype)


#: How the primitives draw: `PORTABLE[op](key, *arguments without seed)`. Composites draw through these.
PORTABLE: Final[dict[str, Callable[..., Any]]] = {
    "random_uniform": _uniform,
    "random_normal": _normal,
    "truncated_normal": _truncated,
    "random_binomial": _binomial,
}


def draw(op: str, key: Key, arguments: dict[str, Any], available: frozenset[str]) -> Any:
    """One draw of a random primitive.

    Args:
        op: its name.
        key: two int32 scalars.
        arguments: the op's, with or without the seed.
        available: dtypes that the backend computes in. Without float64, the draw is that of float32.
    """
    values = {name: value for name, value in arguments.items() if name not in ("seed", "loop")}
    dtype = values["dtype"]
    if dtype == "float64" and dtype not in available:
        return cast(PORTABLE[op](key, **{**values, "dtype": "float32"}), dtype)
    return PORTABLE[op](key, **values)


# --- the normal distribution ------------------------------------------------------------------------------------------

# Wichura, "Algorithm AS 241: the percentage points of the normal distribution" (1988), PPND16: quotients of
# polynomials, highest power first, for the middle, the tails and the far tails.
_MIDDLE: Final = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL: Final = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR: Final = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    total = multiply(x, coefficients[0])
    for c in coefficients[1:-1]:
        total = multiply(add(total, c), x)
    return add(total, coefficients[-1])


def _quotient(x: Any, of: tuple[Sequence[float], Sequence[float]]) -> Any:
    return divide(_polynomial(x, of[0]), _polynomial(x, of[1]))


def normal_quantile(u: Any, dtype: str = "float32") -> Any:
    """Where the standard normal distribution function is u.

    Args:
        u: floats in (0, 1).
        dtype: float64 where u's range needs the far tails, below exp(-25).

    >>> normal_quantile(np.array([0.5, 0.975]), "float64").round(6)
    array([0.      , 1.959964])
    """
    q = subtract(u, 0.5)
    middle = multiply(q, _quotient(subtract(0.180625, square(q)), _MIDDLE))
    r = sqrt(negative(log(minimum(u, subtract(1.0, u)))))
    tail = _quotient(subtract(r, 1.6), _TAIL)
    if dtype == "float64":
        tail = where(less(r, 5.0), tail, _quotient(subtract(r, 5.0), _FAR))
    tail = where(less(q, 0.0), negative(tail), tail)
    return where(less(square(q), 0.180625), middle, tail)


__all__ = ["PORTABLE", "draw", "fold", "normal_quantile", "random_bits"]
