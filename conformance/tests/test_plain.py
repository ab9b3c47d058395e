"""Arguments survive the way through JSON, whatever they hold, and nothing else is let in."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from kcore_conformance import plain

DTYPES = st.sampled_from(["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
ARRAYS = DTYPES.flatmap(lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), ARRAYS,
    st.builds(slice, st.none() | st.integers(), st.none() | st.integers(), st.none() | st.integers()), st.just(...),
    ARRAYS.filter(lambda a: a.size > 0).map(lambda a: a.ravel()[0]),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=3) | st.lists(v, max_size=3).map(tuple), max_leaves=6)


def alike(a: Any, b: Any) -> bool:
    """Equal in type, dtype, shape and value; NaN equals NaN, and zeros have a sign."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, (np.ndarray, np.generic, float)):
        a, b = np.asarray(a), np.asarray(b)
        same_sign = a.dtype.kind != "f" or np.array_equal(np.signbit(a) | np.isnan(a), np.signbit(b) | np.isnan(b))
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") and bool(same_sign)
    return bool(a == b)


@given(VALUES)
def test_values_come_back_through_json_as_they_were(value: Any) -> None:
    assert alike(plain.decode(json.loads(json.dumps(plain.encode(value), allow_nan=False))), value)


@given(VALUES)
def test_a_copy_is_alike_and_shares_no_array(value: Any) -> None:
    copy = plain.copy(value)
    assert alike(copy, value)
    if isinstance(value, np.ndarray) and value.size:
        assert not np.shares_memory(copy, value)


@pytest.mark.parametrize("data", [
    {"pickle": "gASV"}, {"array": {"dtype": "object", "shape": [1], "values": [1]}},
    {"array": {"dtype": "float32", "shape": [10**12], "values": [1]}}, {"array": {"dtype": "float32"}},
    {"tuple": [], "slice": []}, {"slice": ["a"] * 9}, {"dtype": "V8"}, {"array": 3}, {},
])  # fmt: skip
def test_what_describes_no_value_is_refused(data: Any) -> None:
    with pytest.raises(plain.NotPlainError):
        plain.decode(data)


def test_objects_have_no_plain_form() -> None:
    with pytest.raises(plain.NotPlainError, match="object"):
        plain.encode(np.asarray([None]))
    with pytest.raises(plain.NotPlainError, match="function"):
        plain.encode([test_objects_have_no_plain_form])


def test_shown_arguments_can_be_typed_again() -> None:
    arguments = {"x": np.asarray([[1.5, -np.inf], [np.nan, -0.0]], "float32"), "axis": (0, -1), "n": [np.int32(3)],
                 "empty": np.zeros((2, 0), "int64"), "index": (slice(None, 2), None)}  # fmt: skip
    typed = eval(f"dict({plain.show(arguments)})", {"np": np, "nan": np.nan, "inf": np.inf})
    assert typed.keys() == arguments.keys()
    assert all(alike(typed[k], arguments[k]) for k in arguments)
