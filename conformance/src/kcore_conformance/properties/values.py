"""Values, dtypes and shapes: at once and compiled, of ordinary numbers, at the edges, and in low precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kcore.ops import dtypes
from kcore.ops.spec import Op, spec_of
from kcore_conformance.compare import Mismatch, expected_dtype, place_of, same
from kcore_conformance.properties.examples import (
    Arguments,
    Call,
    natives,
    on_host,
    operands,
    reference,
    replaced,
    results,
    run_native_together,
    run_together,
    symbolic,
)


def eager(backend: Any, op: Op, arguments: Arguments) -> None:
    """Run at once on native tensors: value, shape and dtype as the reference's; operands untouched; results native."""
    _eager(backend, op, arguments, each=False)


def _eager(backend: Any, op: Op, arguments: Arguments, *, each: bool) -> None:
    want = reference(op, arguments)
    given = natives(backend, op, arguments)
    before = [backend.to_numpy(x) for x in operands(op, given)]
    got = results(op, op.public(**given))
    if len(got) != len(want):
        raise Mismatch(f"{len(got)} results, expected {len(want)}")
    home = {place_of(x) for x in operands(op, given)}
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if home and op.name not in _ON_HOST:
            _check_home(backend, g, home)
        same(on_host(backend, g), w, f"result {i}" if op.multiple else "result", each=each, exact=each and op.view)
        _check_dtype(backend, op, g, dtypes.name_of(w.dtype))
    for x, y in zip(operands(op, given), before, strict=True):
        same(backend.to_numpy(x), y, "an operand after the call (it must not change)")


#: Shapes are computed on the host, as NumPy vectors.
_ON_HOST = frozenset({"shape", "size"})


def _check_home(backend: Any, got: Any, home: set[str]) -> None:
    """A kernel that quietly computes elsewhere gives itself away by what it returns, or by which device holds it."""
    if not backend.is_native(got):
        raise Mismatch(f"the result is a {type(got).__name__}, which is no native tensor")
    if place_of(got) not in home:
        raise Mismatch(f"the result is on {place_of(got)!r}, the operands are on {sorted(home)}")


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
    _compiled(op, [arguments], each=False)


def compiled_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several examples through one K.function."""
    _compiled(op, examples, each=False)


def _compiled(op: Op, examples: Sequence[Arguments], *, each: bool) -> None:
    calls = []
    for arguments in examples:
        made, placeholders, feeds = symbolic(op, arguments, unknown=True)
        calls.append(Call(results(op, op.public(**made)), placeholders, [np.array(a) for a in feeds]))
    for arguments, call, got in zip(examples, calls, run_together(calls), strict=True):
        for i, (g, w) in enumerate(zip(got, reference(op, arguments), strict=True)):
            same(g, w, f"result {i}" if op.multiple else "result", each=each, exact=each and op.view)
            if any(np.shares_memory(g, a) for a in call.feeds):
                raise Mismatch(f"result {i} of the function shares memory with an array that it was fed")


def edges(backend: Any, op: Op, arguments: Arguments) -> None:
    """At the edges that the op declares (empty, infinite, NaN, extreme): at once, by the rule, and compiled."""
    edges_together(backend, op, [arguments])


def edges_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several edges, compiled in one K.function."""
    with np.errstate(all="ignore"):
        for arguments in examples:
            declared(backend, op, arguments)
        _compiled(op, examples, each=True)
        # At once with the same kernels: as dear where each shape is compiled, so left to the drawn examples there.
        if not backend.capabilities.compiles:
            for arguments in examples:
                _eager(backend, op, arguments, each=True)


#: Bits of the mantissa, the least normal number and the largest: arrays are brought to numbers that a dtype has.
_FORMATS = {"float16": (10, 2.0**-14, 65504.0), "bfloat16": (7, 2.0**-126, 3.3895314e38)}


def low_precisions(backend: Any) -> list[str]:
    """The half-size dtypes that the backend has."""
    return [name for name in _FORMATS if name in backend.capabilities.dtypes]


def low_precision(backend: Any, op: Op, arguments: Arguments) -> None:
    """In float16 or bfloat16: the dtype is kept, the value that of the reference in float32 within the precision."""
    low_precision_together(backend, op, [arguments])


def low_precision_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several examples: through one K.function where the backend compiles, else at once."""
    halves = [half for half in (_in_half(backend, op, arguments) for arguments in examples) if half is not None]
    found = (_compiled_halves if backend.capabilities.compiles else _halves_at_once)(backend, op, halves)
    for half, got in zip(halves, found, strict=True):
        for g, w in zip(got, reference(op, half.arguments), strict=True):
            explicit = "dtype" in op.params or w.dtype != np.float32
            _check_dtype(backend, op, g, dtypes.name_of(w.dtype) if explicit else half.dtype)
            same(on_host(backend, g), w, f"result in {half.dtype}", 0.02 if half.dtype == "float16" else 0.1)


@dataclass(frozen=True)
class _Half:
    """An example for a half-size dtype: arguments in float32, of numbers that the dtype has."""

    dtype: str
    arguments: Arguments


def _in_half(backend: Any, op: Op, arguments: Arguments) -> _Half | None:
    """None where no operand is a float."""
    arguments = replaced(op, arguments, lambda a: a.astype("float32") if a.dtype == np.float64 else a)
    arrays = [a for a in operands(op, arguments) if a.dtype == np.float32]
    if not arrays:
        return None
    names = low_precisions(backend)
    name = names[sum(a.size for a in arrays) % len(names)]
    return _Half(name, replaced(op, arguments, lambda a: _rounded(a, name)))


def _halves_at_once(backend: Any, op: Op, halves: Sequence[_Half]) -> list[list[Any]]:
    def native(a: np.ndarray, dtype: str) -> Any:
        return backend.asarray(a, dtype if a.dtype == np.float32 else dtypes.name_of(a.dtype))

    return [results(op, op.public(**replaced(op, h.arguments, partial(native, dtype=h.dtype)))) for h in halves]


def _compiled_halves(backend: Any, op: Op, halves: Sequence[_Half]) -> list[list[Any]]:
    calls = []
    for half in halves:
        made, placeholders, feeds = symbolic(op, half.arguments, narrowed={"float32": half.dtype})
        calls.append(Call(results(op, op.public(**made)), placeholders, feeds))
    return run_native_together(backend, calls)


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
