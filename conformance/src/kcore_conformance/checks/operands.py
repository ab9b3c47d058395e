"""Levels 1 and 2: what mixed operands become, and that conversions share no memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import backend as K
from kcore import config
from kcore.ops import dtypes
from kcore.ops.spec import spec_of
from kcore_conformance.compare import Mismatch, expected_dtype, same
from kcore_conformance.registry import check

_STRONG = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64")
#: What yields to a tensor's dtype of the same kind: NumPy's float64 number is one of Python's.
_WEAK: tuple[Any, ...] = (True, 2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(2), [1.0, 2.0], np.array([1.5, 2.0]))


@check(2, "promotion")
def numbers_and_arrays_yield_to_tensors(backend: Any) -> None:
    for dtype in (d for d in _STRONG if d in backend.capabilities.dtypes):
        tensor = backend.asarray(np.ones(2, dtype), dtype)
        for value in _WEAK:
            if backend.is_native(value) and isinstance(value, np.ndarray):
                continue  # a tensor as well
            want = dtypes.promote_weak([dtype], [dtypes.weak_dtype(value, config.floatx())], config.floatx())
            _agree(backend, f"{dtype} + {value!r}", want, lambda x, y: (x, y), tensor, dtype, value)
            _agree(backend, f"{value!r} + {dtype}", want, lambda x, y: (y, x), tensor, dtype, value)


def _agree(backend: Any, what: str, want: str, order: Any, tensor: Any, dtype: str, value: Any) -> None:
    """The sum has the dtype, in a graph and at once."""
    symbolic = K.maximum(*order(K.placeholder((2,), dtype=dtype), value)).dtype
    if symbolic != want:
        raise Mismatch(f"{what} in a graph is {symbolic}, expected {want}")
    got, right = spec_of(K.maximum(*order(tensor, value))).dtype, expected_dtype(want, backend.capabilities.dtypes)
    if got != right:
        raise Mismatch(f"{what} at once is {got}, expected {right}")


@check(2, "promotion")
def tensors_of_two_dtypes_meet_in_the_table(backend: Any) -> None:
    names = [d for d in _STRONG if d in backend.capabilities.dtypes]
    for a in names:
        for b in names:
            x, y = (backend.asarray(np.ones(2, d), d) for d in (a, b))
            if isinstance(x, np.ndarray):
                continue  # NumPy's arrays cannot be told from weak ones
            got, want = spec_of(K.maximum(x, y)).dtype, dtypes.promote(a, b)
            if got != expected_dtype(want, backend.capabilities.dtypes):
                raise Mismatch(f"{a} with {b} is {got} at once, expected {want}")


@check(1, "tensors")
def conversions_share_no_memory(backend: Any) -> None:
    array = np.arange(6, dtype="float32").reshape(2, 3)
    native = backend.asarray(array, "float32")
    if native is not array:
        array[:] = -1.0
        same(backend.to_numpy(native), np.arange(6).reshape(2, 3), "a tensor after its source changed")
    before = np.array(backend.to_numpy(native))
    host = backend.to_numpy(native)
    if host.flags.writeable:
        host[:] = 9.0
    same(backend.to_numpy(native), before, "a tensor after its copy changed")
