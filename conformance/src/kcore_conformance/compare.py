"""Whether two results are the same answer: dtype, shape, non-finite values exactly; finite ones within a tolerance."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

P = ParamSpec("P")

#: Allowed error relative to the largest magnitude in the expected array (at least 1), by dtype.
TOLERANCE = {"float64": 1e-9, "float32": 3e-5, "float16": 4e-3, "bfloat16": 3e-2}

#: Where a backend lacks a dtype, the declared one comes back as the next narrower that it has.
_NARROWER = {"int64": "int32", "float64": "float32", "uint64": "uint32"}


class Mismatch(AssertionError):  # noqa: N818 - it is a finding
    """The backend's answer is not the expected one.

    Attributes:
        got, want: the arrays that differ, where arrays were compared.
    """

    got: Any = None
    want: Any = None


def expected_dtype(declared: str, available: frozenset[str]) -> str:
    """The dtype that a backend with these dtypes gives for a declared one."""
    while declared not in available and declared in _NARROWER:
        declared = _NARROWER[declared]
    return declared


def place_of(value: Any) -> str:
    """Where a native tensor says that it is; most frameworks call it `device`."""
    return str(getattr(value, "device", ""))


def _with_arrays(compare: Callable[P, None]) -> Callable[P, None]:
    """A comparison whose Mismatch carries both arrays."""

    @functools.wraps(compare)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            compare(*args, **kwargs)
        except Mismatch as finding:
            finding.got, finding.want = np.asarray(args[0]), np.asarray(args[1])
            raise

    return wrapped


@_with_arrays
def same(got: Any, want: Any, what: str = "value", tolerance: float | None = None, *, each: bool = False,
         exact: bool = False) -> None:  # fmt: skip
    """Raise Mismatch unless `got` is the same answer as `want` (both arrays).

    Args:
        got, want: the arrays.
        what: they are, for the message.
        tolerance: other than that of the dtype.
        each: whether each finite element's error counts relative to itself, and not to the largest of all: tiny values
            must be right too. Subnormal numbers may be zero.
        exact: whether zeros must have the same sign.
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        raise Mismatch(f"{what}: shape {got.shape}, expected {want.shape}")
    if want.dtype.kind in "biu":
        if not np.array_equal(got.astype(want.dtype), want):
            raise Mismatch(f"{what}: {_difference(got, want)}")
        return
    limit = tolerance or TOLERANCE.get(want.dtype.name, 1e-4)
    if got.dtype.name in TOLERANCE:
        limit = max(limit, TOLERANCE[got.dtype.name])
    g, w = got.astype("float64"), want.astype("float64")
    finite = np.isfinite(w)
    if not np.array_equal(finite, np.isfinite(g)) or not np.array_equal(np.isnan(w), np.isnan(g)):
        raise Mismatch(f"{what}: non-finite values differ; {_difference(got, want)}")
    infinite = ~finite & ~np.isnan(w)
    if not np.array_equal(g[infinite], w[infinite]):
        raise Mismatch(f"{what}: infinities differ; {_difference(got, want)}")
    if exact and not np.array_equal(np.signbit(g[w == 0]), np.signbit(w[w == 0])):
        raise Mismatch(f"{what}: signs of zeros differ")
    if finite.any():
        size = np.abs(w[finite])
        least = np.finfo(want.dtype).tiny / limit if want.dtype.kind == "f" else 1.0
        scale = np.maximum(size, 2 * least) if each else max(1.0, size.max())
        error = (np.abs(g[finite] - w[finite]) / scale).max()
        if not error <= limit:
            raise Mismatch(f"{what}: relative error {error:.2e} above {limit:.0e}; {_difference(got, want)}")


def _difference(got: np.ndarray, want: np.ndarray) -> str:
    flat_got, flat_want = got.ravel(), want.ravel()
    with np.errstate(invalid="ignore"):
        differs = ~((flat_got == flat_want) | (_is_nan(flat_got) & _is_nan(flat_want)))
    with np.errstate(invalid="ignore"):
        gap = np.where(differs, np.abs(flat_got.astype("float64") - flat_want.astype("float64")), -1.0)
    gap = np.where(np.isnan(gap), np.inf, gap)
    at = int(np.argmax(gap)) if gap.size else 0
    where = tuple(int(i) for i in np.unravel_index(at, got.shape)) if got.shape else ()
    return f"at {where}: got {flat_got[at]!r}, expected {flat_want[at]!r}"


def _is_nan(array: np.ndarray) -> np.ndarray:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
