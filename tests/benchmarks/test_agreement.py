"""Drawing calls and comparing answers. No framework is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.agreement import KINDS, Call, compared, difference, drawn, report, worst
from benchmarks.agreement_keras3 import COUNTERPARTS
from kcore.ops import REGISTRY

ONE, TWO = np.float32([1, 2]), np.float32([1, 3])


def test_calls_are_the_same_for_the_same_seed():
    first, again, other = drawn(60, 3), drawn(60, 3), drawn(60, 4)
    assert [(c.op, c.kind, repr(c.arguments)) for c in first] == [(c.op, c.kind, repr(c.arguments)) for c in again]
    assert [c.op for c in first] != [c.op for c in other]
    assert {c.kind for c in first} == set(KINDS)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([ONE], [ONE.copy()], ""),
        ([ONE], [ONE + 1e-7], ""),
        ([ONE], [ONE.astype("float64")], ""),
        ([ONE], [TWO], "value"),
        ([ONE], [ONE[None]], "value"),
        ([ONE], [ONE, ONE], "value"),
        ([ONE], [np.int32([1, 2])], "dtype"),
        ([np.float32([np.nan, np.inf])], [np.float32([np.nan, np.inf])], ""),
        ([np.float32([np.nan])], [np.float32([0])], "value"),
        ([np.int32([2**31 - 1])], [np.int32([2**31 - 2])], "value"),
        ("ValueError", "TypeError", ""),
        ("ValueError", [ONE], "value"),
    ],
)
def test_what_counts_as_a_difference(a, b, expected):
    assert difference(a, b) == expected
    assert difference(b, a) == expected


def test_calls_that_all_refuse_are_not_counted():
    calls = [Call("add", "ordinary", {}), Call("abs", "edges", {}), Call("abs", "wild", {})]
    answers = {"a": [[ONE], "E", [ONE]], "b": [[ONE], "E", [TWO]], "c": [[ONE], "E", [ONE]]}
    counts = compared(calls, answers, [True] * 3)
    assert (counts["all"].compared, counts["all"].value, counts["edges"].compared) == (2, 1, 0)
    assert worst(calls, answers, [True] * 3) == [("abs (wild)", 1)]
    assert "50.00 %" in report(calls, answers, {})


def test_every_counterpart_is_of_an_op():
    assert set(COUNTERPARTS) <= set(REGISTRY)
