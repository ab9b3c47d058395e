"""Dtypes of kcore: their names, kinds, and the one promotion table.

Every backend sees operands of one dtype: the casts that mixed operands need are made by the core
from the table here. Nothing in this room knows tensors, graphs or backends.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from kcore.errors import DTypeError

#: Names, in promotion order within each kind.
BOOL: Final = ("bool",)
INTEGERS: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS: Final = ("float16", "bfloat16", "float32", "float64")
#: Too coarse for sums of squares and for log probabilities: some composites compute in float32 for them.
HALVES: Final = ("float16", "bfloat16")
NAMES: Final = BOOL + INTEGERS + FLOATS

_KIND_RANK: Final = {**dict.fromkeys(BOOL, 0), **dict.fromkeys(INTEGERS, 1), **dict.fromkeys(FLOATS, 2)}

#: Two dtypes of one kind that need a third: everything else takes the later name of its kind.
_SPECIAL: Final = {
    frozenset(("float16", "bfloat16")): "float32",
    frozenset(("uint8", "int8")): "int16",
    frozenset(("uint16", "int16")): "int32",
    frozenset(("uint32", "int32")): "int64",
    frozenset(("uint64", "int64")): "int64",
    frozenset(("uint16", "int8")): "int32",
    frozenset(("uint32", "int8")): "int64",
    frozenset(("uint32", "int16")): "int64",
}


def name_of(dtype: Any) -> str:
    """The canonical name of a dtype given as a name, NumPy dtype, Python type or native dtype.

    >>> name_of(np.dtype("float32")), name_of(float), name_of("int64")
    ('float32', 'float64', 'int64')
    """
    if isinstance(dtype, str) and dtype in _KIND_RANK:
        return dtype
    name = getattr(dtype, "name", None)  # NumPy and TF1-style dtypes
    if not isinstance(name, str):
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = str(dtype).rsplit(".", 1)[-1]  # "package.float32"
    name = {"float": "float32", "int": "int32", "half": "float16"}.get(name, name).removesuffix("_ref")
    if name not in _KIND_RANK:
        raise DTypeError(f"Unknown dtype {dtype!r}. kcore knows: {', '.join(NAMES)}.")
    return name


def is_float(dtype: str) -> bool:
    """Whether the dtype is a floating-point one."""
    return _KIND_RANK[dtype] == 2


def is_integer(dtype: str) -> bool:
    """Whether the dtype is an integer one (bool is not)."""
    return _KIND_RANK[dtype] == 1


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype of a name (bfloat16 is computed in float32 there, and rounded)."""
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


def promote(*dtypes: str) -> str:
    """The dtype that holds values of all the given ones; the float side wins over integers.

    >>> promote("int32", "float16"), promote("bool", "uint8"), promote("float32", "float64")
    ('float16', 'uint8', 'float64')
    """
    result = dtypes[0]
    for dtype in dtypes[1:]:
        if dtype == result:
            continue
        rank, other = _KIND_RANK[result], _KIND_RANK[dtype]
        if rank != other:
            result = result if rank > other else dtype
        else:
            later = max(result, dtype, key=NAMES.index)
            result = _SPECIAL.get(frozenset((result, dtype)), later)
    return result


def weak_dtype(value: Any, floatx: str) -> str:
    """Dtype of a Python or NumPy operand, which yields to a tensor's dtype of the same kind.

    Python numbers, lists and NumPy arrays are weak beside tensors: `x + 1`, `x * np.ones(3)` keep x's dtype.
    """
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int32" if -(2**31) <= value < 2**31 else "int64"
    if isinstance(value, float):
        return floatx
    if isinstance(value, (np.ndarray, np.generic)):
        return name_of(value.dtype)
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return floatx
    if array.dtype.kind == "i":
        fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        return "int32" if fits else "int64"
    return name_of(array.dtype)


def promote_weak(strong: list[str], weak: list[str], floatx: str) -> str:
    """The common dtype of strong operands (tensors) and weak ones (Python and NumPy values).

    >>> promote_weak(["float16"], ["float32"], "float32"), promote_weak(["int32"], ["float32"], "float32")
    ('float16', 'float32')
    """
    if not strong:
        return promote(*weak)
    result = promote(*strong)
    for dtype in weak:
        if _KIND_RANK[dtype] > _KIND_RANK[result]:
            result = floatx if is_float(dtype) else dtype
    return result
