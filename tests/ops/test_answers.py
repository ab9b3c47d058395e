"""What the NumPy references answer where frameworks disagree: the conformance suite holds every backend to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kcore.backend.active import backend_scope
from kcore.errors import ShapeError
from kcore.graph.function import Function
from kcore.graph.gradients import gradients
from kcore.ops import REGISTRY, nn
from kcore.variables import Variable

NAN, INF = math.nan, math.inf


def answer(op: str, **arguments: Any) -> Any:
    with backend_scope("numpy"), np.errstate(all="ignore"):
        return REGISTRY[op].public(**arguments)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("int32", [0, 2**31 - 1, -(2**31), 2**31 - 1, -300, 300, -1, 255]),
        ("uint8", [0, 255, 0, 255, 0, 255, 0, 255]),
        ("int8", [0, 127, -128, 127, -128, 127, -1, 127]),
        ("int64", [0, 2**63 - 1, -(2**63), 3 * 10**9, -300, 300, -1, 255]),
    ],
)
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_casts_are_limited_and_nan_is_zero(source, dtype, expected):
    x = np.array([NAN, INF, -INF, 3e9, -300, 300, -1.9, 255.9], source)
    assert answer("cast", x=x, dtype=dtype).tolist() == expected


def test_casts_of_half_precision_know_the_limits_that_it_cannot_hold():
    x = np.array([INF, -INF, NAN, 65504], "float16")
    assert answer("cast", x=x, dtype="int32").tolist() == [2**31 - 1, -(2**31), 0, 65504]


def test_a_cast_within_limits_is_that_of_numpy():
    x = np.linspace(-(2.0**31), 2.0**31 - 1, 1001)
    assert np.array_equal(answer("cast", x=x, dtype="int32"), x.astype("int32"))


def test_indices_out_of_range_meet_the_nearest_end():
    x = np.array([10, 20, 30])
    indices = np.array([-(2**31), -4, -3, -1, 2, 3, 2**31 - 1], "int32")
    assert answer("gather", x=x, indices=indices).tolist() == [10, 10, 10, 30, 30, 30, 30]
    added = answer("scatter_add", indices=indices, updates=np.ones(7), shape=(3,))
    assert added.tolist() == [3, 0, 4]


def test_nothing_can_be_gathered_from_an_empty_axis():
    with pytest.raises(ShapeError, match=r"gather has no slice to give for an index: axis 1 of shape \(2, 0\)"):
        answer("gather", x=np.ones((2, 0)), indices=np.array([0]), axis=1)
    assert answer("gather", x=np.ones((2, 0)), indices=np.zeros(0, int), axis=1).shape == (2, 0)


def test_nan_ranks_above_all_numbers_whatever_its_sign():
    values, indices = answer("top_k", x=np.array([[1, NAN, INF, -NAN], [1, 2, INF, -INF]]), k=3)
    assert indices.tolist() == [[1, 3, 2], [2, 1, 0]]
    assert np.array_equal(values, [[NAN, NAN, INF], [INF, 2, 1]], equal_nan=True)


def test_negative_powers_of_integers_are_truncated_reciprocals():
    x = np.array([[0], [1], [-1], [2]], "int32")
    found = answer("power", x=x, y=np.array([-3, -2, 3], "int32"))
    assert found.tolist() == [[0, 0, 0], [1, 1, 1], [-1, 1, -1], [0, 0, 8]]


@pytest.mark.parametrize("shapes", [((2, 3, 0), (0, 4)), ((2, 0), (2, 0, 3)), ((0,), (0,)), ((2, 1, 0), (0,))])
def test_a_product_over_an_empty_axis_is_zeros(shapes):
    x, y = map(np.ones, shapes)
    assert np.array_equal(answer("dot", x=x, y=y), np.dot(x, y))


def test_a_loss_looks_at_the_class_alone():
    logits = np.array([[-INF, 0, 0], [NAN, 0, 0], [0, 0, 0]])
    losses = answer("sparse_softmax_crossentropy", target=np.array([1, 7, -1]), logits=logits)
    assert losses.tolist() == pytest.approx([math.log(2), 0, 0])


def test_log_softmax_is_nan_where_one_of_the_row_is_infinite_or_nan():
    found = answer("log_softmax", x=np.array([[INF, 0, 1], [NAN, 0, 1], [-INF, 0, 0]]))
    assert np.isnan(found[:2]).all()
    assert found[2].tolist() == pytest.approx([-INF, -math.log(2), -math.log(2)])


def test_the_gradient_of_a_deviation_of_zero_is_nan():
    x = Variable(np.array([[1.0, 1.0], [1.0, 2.0]]), "float64", name="x")
    with backend_scope("numpy"), np.errstate(all="ignore"):
        found = Function([], [gradients(nn.std(x, axis=1), [x])[0]])([])[0]
    assert np.array_equal(found, [[NAN, NAN], [-0.5, 0.5]], equal_nan=True)
