"""Values, dtypes and shapes: at once and compiled, of ordinary numbers, at the edges, and in low precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph import function
from kcore.ops import dtypes
from kcore.ops.spec import Op, spec_of
from kcore_conformance.compare import Mismatch, expected_dtype, same
from kcore_conformance.properties.examples import (
    Arguments,
    natives,
    on_host,
    operands,
    reference,
    replaced,
    results,
    symbolic,
)


def eager(backend: Any, op: Op, arguments: Arguments) -> None:
    """Run at once on native tensors: value, shape and dtype as the reference's; operands untouched."""
    _eager(backend, op, arguments, each=False)


def _eager(backend: Any, op: Op, arguments: Arguments, *, each: bool) -> None:
    want = reference(op, arguments)
    given = natives(backend, op, arguments)
    before = [backend.to_numpy(x) for x in operands(op, given)]
    got = results(op, op.public(**given))
    if len(got) != len(want):
        raise Mismatch(f"{len(got)} results, expected {len(want)}")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        same(on_host(backend, g), w, f"result {i}" if op.multiple else "result", each=each, exact=each and op.view)
        _check_dtype(backend, op, g, dtypes.name_of(w.dtype))
    for x, y in zip(operands(op, given), before, strict=True):
        same(backend.to_numpy(x), y, "an operand after the call (it must not change)")


def _check_dtype(backend: Any, op: Op, got: Any, declared: str) -> None:
    if op.name == "shape":  # a vector of NumPy's, by contract
        return
    dtype, right = spec_of(got).dtype, expected_dtype(declared, backend.capabilities.dtypes)
    if dtype != right:
        raise Mismatch(f"dtype {dtype}, expected {right}")


def declared(backend: Any, op: Op, arguments: Arguments) -> None:
    """The declared rule tells the reference's shape and dtype, with all dimensions known and with none."""
    want = reference(op, arguments)
    for unknown in (False, True):
        made, _, _ = symbolic(op, arguments, unknown=unknown)
        for got, array in zip(results(op, op.public(**made)), want, strict=True):
            _check_spec(op, got, array, unknown)


def _check_spec(op: Op, got: Any, array: np.ndarray, unknown: bool) -> None:
    if got.dtype != dtypes.name_of(array.dtype):
        raise Mismatch(f"the rule says dtype {got.dtype}, the reference gives {array.dtype}")
    fits = len(got.shape) == array.ndim and all(n in (None, m) for n, m in zip(got.shape, array.shape, strict=True))
    dynamic = any(kind == "dims" for kind in op.kinds.values())
    if not fits or (not unknown and None in got.shape and not dynamic):
        raise Mismatch(f"the rule says shape {got.shape}, the reference gives {array.shape}")


def compiled(backend: Any, op: Op, arguments: Arguments) -> None:
    """Through K.function, from placeholders of unknown dimensions: as the reference, and in memory of its own."""
    _compiled(backend, op, arguments, each=False)


def _compiled(backend: Any, op: Op, arguments: Arguments, *, each: bool) -> None:
    want = reference(op, arguments)
    made, placeholders, feeds = symbolic(op, arguments, unknown=True)
    feeds = [np.array(a) for a in feeds]
    outputs = results(op, op.public(**made))
    got = function.Function(placeholders, outputs)(feeds)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        same(g, w, f"result {i}" if op.multiple else "result", each=each, exact=each and op.view)
        if any(np.shares_memory(g, a) for a in feeds):
            raise Mismatch(f"result {i} of the function shares memory with an array that it was fed")


def edges(backend: Any, op: Op, arguments: Arguments) -> None:
    """At the edges that the op declares (empty, infinite, NaN, extreme): at once, by the rule, and compiled."""
    with np.errstate(all="ignore"):
        declared(backend, op, arguments)
        _compiled(backend, op, arguments, each=True)
        # At once with the same kernels: as dear where each shape is compiled, so left to the drawn examples there.
        if not backend.capabilities.compiles:
            _eager(backend, op, arguments, each=True)


#: Bits of the mantissa, the least normal number and the largest: arrays are brought to numbers that a dtype has.
_FORMATS = {"float16": (10, 2.0**-14, 65504.0), "bfloat16": (7, 2.0**-126, 3.3895314e38)}


def low_precisions(backend: Any) -> list[str]:
    """The half-size dtypes that the backend has."""
    return [name for name in _FORMATS if name in backend.capabilities.dtypes]


def low_precision(backend: Any, op: Op, arguments: Arguments) -> None:
    """In float16 or bfloat16: the dtype is kept, the value that of the reference in float32 within the precision."""
    arguments = replaced(op, arguments, lambda a: a.astype("float32") if a.dtype == np.float64 else a)
    arrays = [a for a in operands(op, arguments) if a.dtype == np.float32]
    names = low_precisions(backend)
    if arrays:
        name = names[sum(a.size for a in arrays) % len(names)]
        rounded = replaced(op, arguments, lambda a: _rounded(a, name))
        want = reference(op, rounded)
        halves = replaced(
            op, rounded,
            lambda a: backend.asarray(a, name if a.dtype == np.float32 else dtypes.name_of(a.dtype)),
        )  # fmt: skip
        for got, w in zip(results(op, op.public(**halves)), want, strict=True):
            explicit = "dtype" in op.params or w.dtype != np.float32
            _check_dtype(backend, op, got, dtypes.name_of(w.dtype) if explicit else name)
            same(on_host(backend, got), w, f"result in {name}", 0.02 if name == "float16" else 0.1)


def _rounded(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype != np.float32:
        return array
    bits, least, largest = _FORMATS[name]
    with np.errstate(invalid="ignore"):
        mantissa, exponent = np.frexp(array)
        scale = 2.0 ** (bits + 1)
        rounded = np.ldexp(np.round(mantissa * scale) / scale, exponent)
        rounded = np.where(np.isfinite(array), np.clip(rounded, -largest, largest), array)
        return np.where(np.abs(rounded) < least, 0.0, rounded).astype("float32")
