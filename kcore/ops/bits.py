"""Arithmetic on the bits of int32 tensors, and Threefry, the counter-based generator that is made of it.

All are composites: their bodies need nothing of a backend but arithmetic that wraps around, and are slow. A backend
that has operations on bits offers them as kernels, a line each, or Threefry as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ArgumentError, DTypeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import Cases, Draw
from kcore.ops.edges import Wrong
from kcore.ops.elementwise import add, floor_divide, less, logical_and, mod, multiply, not_equal
from kcore.ops.reduction import sum_
from kcore.ops.shaping import expand_dims
from kcore.ops.spec import Tensor, composite
from kcore.ops.structural import cast, copy

BITS = 32
_ALL = 0xFFFFFFFF


def signed(word: int) -> int:
    """The int32 that has the bits of an unsigned word.

    >>> signed(0xFFFFFFFF), signed(5)
    (-1, 5)
    """
    return ((word & _ALL) ^ 0x80000000) - 0x80000000


def _words(d: Draw, shape: Any) -> np.ndarray:
    ends = [0, 1, -1, 2**31 - 1, -(2**31)]
    flat = [d.choice([*ends, d.integer(-(2**31), 2**31 - 1)]) for _ in range(int(np.prod(shape, dtype=int)))]
    return np.asarray(flat, "int32").reshape(shape)


def _pairs(d: Draw) -> Any:
    shape = d.shape(0, 2, 3)
    return {"x": _words(d, shape), "y": _words(d, d.choice([shape, ()]))}


def _int32(op: str, *specs: TensorSpec) -> None:
    for spec in specs:
        if spec.dtype != "int32":
            raise DTypeError(f"{op} expects tensors of dtype int32, got {spec.dtype}; cast them first.")


def _of_two(name: str) -> Any:
    def rule(x: TensorSpec, y: TensorSpec) -> TensorSpec:
        _int32(name, x, y)
        return TensorSpec(rules.broadcast_shapes(x.shape, y.shape), "int32")

    return rule


def _bits_of(x: Any) -> Any:
    """The 32 bits of each element, lowest first, as numbers 0 and 1 along a new last axis."""
    # 2**31 is no int32: the quotient for the sign bit is taken in two steps.
    powers = np.asarray([1 << min(i, BITS - 2) for i in range(BITS)], "int32")
    rest = np.asarray([1] * (BITS - 1) + [2], "int32")
    return mod(floor_divide(floor_divide(expand_dims(x, -1), powers), rest), 2)


def _packed(bits: Any) -> Any:
    powers = np.asarray([signed(1 << i) for i in range(BITS)], "int32")
    return sum_(multiply(cast(bits, "int32"), powers), axis=-1)  # each power occurs once: nothing overflows on the way


@composite(infer=_of_two("bitwise_and"), reference=np.bitwise_and, differentiable=False,
           cases=Cases(_pairs, smooth=False))  # fmt: skip
def bitwise_and(x: Tensor, y: Tensor) -> Any:
    """The bits that are set in both.

    Args:
        x, y: int32 tensors that broadcast together.

    Raises:
        DTypeError: tensors of another dtype.

    >>> bitwise_and(np.int32([6, -1]), np.int32(3))
    array([2, 3], dtype=int32)
    """
    return _packed(logical_and(cast(_bits_of(x), "bool"), cast(_bits_of(y), "bool")))


@composite(infer=_of_two("bitwise_xor"), reference=np.bitwise_xor, differentiable=False,
           cases=Cases(_pairs, smooth=False))  # fmt: skip
def bitwise_xor(x: Tensor, y: Tensor) -> Any:
    """The bits that are set in one of the two.

    Args:
        x, y: int32 tensors that broadcast together.

    Raises:
        DTypeError: tensors of another dtype.

    >>> bitwise_xor(np.int32([6, -1]), np.int32(3))
    array([ 5, -4], dtype=int32)
    """
    return _packed(not_equal(_bits_of(x), _bits_of(y)))


def _shifted(name: str) -> Any:
    def rule(x: TensorSpec, count: int) -> TensorSpec:
        _int32(name, x)
        if not 0 <= count < BITS:
            raise ArgumentError(f"{name} expects a count from 0 to {BITS - 1}, got {count}.")
        return x

    return rule


_NO_COUNT = tuple(Wrong(ArgumentError, x={"shape": (2,), "dtype": "int32"}, count=n) for n in (-1, BITS))


def _shifts(d: Draw) -> Any:
    return {"x": _words(d, d.shape(0, 2, 3)), "count": d.integer(0, BITS - 1)}


def _np_shift_right(x: Any, count: int) -> Any:
    return np.right_shift(np.asarray(x).view(np.uint32), np.uint32(count)).view(np.int32)


@composite(infer=_shifted("shift_left"), reference=lambda x, count: np.left_shift(x, np.int32(count)),
           differentiable=False, cases=Cases(_shifts, smooth=False, errors=_NO_COUNT))  # fmt: skip
def shift_left(x: Tensor, count: int) -> Any:
    """The bits moved up; zeros come in, what leaves at the top is lost.

    Args:
        x: int32 tensor.
        count: of places, 0 to 31.

    Raises:
        DTypeError: a tensor of another dtype.
        ArgumentError: another count.

    >>> shift_left(np.int32([1, -1]), 31)
    array([-2147483648, -2147483648], dtype=int32)
    """
    return multiply(x, signed(1 << count))


@composite(infer=_shifted("shift_right"), reference=_np_shift_right, differentiable=False,
           cases=Cases(_shifts, smooth=False, errors=_NO_COUNT))  # fmt: skip
def shift_right(x: Tensor, count: int) -> Any:
    """The bits moved down; zeros come in, for negative numbers as well.

    Args:
        x: int32 tensor.
        count: of places, 0 to 31.

    Raises:
        DTypeError: a tensor of another dtype.
        ArgumentError: another count.

    >>> shift_right(np.int32([8, -1]), 3)
    array([        1, 536870911], dtype=int32)
    """
    if not count:
        return copy(x)
    # Copies of the sign come in from above, and a remainder cuts them off. Divisors must be int32: 2**31 is not.
    if count == 1:
        return add(mod(floor_divide(x, 2), 2**30), multiply(cast(less(x, 0), "int32"), 2**30))
    return mod(floor_divide(floor_divide(x, 2 ** (count - 1)), 2), 2 ** (BITS - count))


# --- Threefry ---------------------------------------------------------------------------------------------------------

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def _four(d: Draw) -> Any:
    shape = d.shape(0, 2, 3)
    return {"k0": _words(d, ()), "k1": _words(d, ()), "x0": _words(d, shape), "x1": _words(d, d.choice([shape, ()]))}


def _threefry_spec(k0: TensorSpec, k1: TensorSpec, x0: TensorSpec, x1: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    _int32("threefry2x32", k0, k1, x0, x1)
    spec = TensorSpec(rules.broadcast_shapes(k0.shape, k1.shape, x0.shape, x1.shape), "int32")
    return spec, spec


def np_threefry2x32(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[np.ndarray, np.ndarray]:
    """The generator on NumPy arrays of int32 words."""
    words = [np.asarray(v, "int32").view(np.uint32) for v in (k0, k1, x0, x1)]
    k0, k1, x0, x1 = np.broadcast_arrays(*words)
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    with np.errstate(over="ignore"):
        x0, x1 = np.asarray(x0 + k0), np.asarray(x1 + k1)
        for group in range(5):
            for r in _ROTATIONS[group % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(BITS - r))) ^ x0
            x0 = x0 + keys[(group + 1) % 3]
            x1 = x1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return np.asarray(x0).view(np.int32), np.asarray(x1).view(np.int32)


@composite(infer=_threefry_spec, reference=np_threefry2x32, differentiable=False, multiple=True,
           cases=Cases(_four, smooth=False))  # fmt: skip
def threefry2x32(k0: Tensor, k1: Tensor, x0: Tensor, x1: Tensor) -> Any:
    """Threefry-2x32 with 20 rounds: two words for each counter, which look random and depend on key and counter alone.

    Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (2011).

    Args:
        k0, k1: the words of the key, int32 tensors.
        x0, x1: the words of the counters, int32 tensors that broadcast with each other and with the key.

    Raises:
        DTypeError: tensors of another dtype.

    >>> [hex(int(word) & 0xFFFFFFFF) for word in threefry2x32(*np.zeros(4, "int32"))]
    ['0x6b200159', '0x99ba4efe']
    """
    keys = (k0, k1, bitwise_xor(bitwise_xor(k0, k1), _PARITY))
    x0, x1 = add(x0, k0), add(x1, k1)
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 = add(x0, x1)
            # The halves of a rotation have no bit in common: their sum is their union.
            x1 = bitwise_xor(add(shift_left(x1, r), shift_right(x1, BITS - r)), x0)
        x0 = add(x0, keys[(group + 1) % 3])
        x1 = add(add(x1, keys[(group + 2) % 3]), group + 1)
    return [x0, x1]


__all__ = ["bitwise_and", "bitwise_xor", "np_threefry2x32", "shift_left", "shift_right", "signed", "threefry2x32"]
