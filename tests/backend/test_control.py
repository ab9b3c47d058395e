from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError

ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")


def test_switch_computes_only_the_chosen_side():
    x = K.placeholder(shape=(2,))
    y = K.switch(K.sum(x) > 0.0, lambda: K.sqrt(x), lambda: -x)
    f = K.function([x], [y, *K.gradients(K.sum(y), [x])])
    value, grad = f([np.array([4.0, 1.0])])
    assert (value.tolist(), grad.tolist()) == ([2, 1], [0.25, 0.5])
    value, grad = f([np.array([-4.0, 0.0])])
    assert (value.tolist(), grad.tolist()) == ([4, 0], [-1, -1])


def test_switch_by_element_adds_axes_behind_the_condition():
    condition = K.constant([1.0, 0.0, 1.0])
    got = K.eval(K.switch(condition, K.constant(ROWS), lambda: K.constant(-ROWS)))
    np.testing.assert_array_equal(got, np.where([[True], [False], [True]], ROWS, -ROWS))
    with pytest.raises(ShapeError, match=r"\(3, 2\)"):
        K.switch(K.constant(ROWS), condition, condition)


def test_switch_of_tensors_numbers_and_arrays():
    v = K.variable(1.0)
    assert K.eval(K.switch(K.greater(v, 0.0), v, 0.0)) == 1
    assert K.eval(K.switch(K.greater(v, 3.0), v, -2)) == -2
    assert K.switch(np.array(True), 1, 2) == 1
    assert K.switch(np.array([True, False]), np.array([1, 2]), np.array([3, 4])).tolist() == [1, 4]


def test_switch_of_lists():
    v = K.variable(1.0)
    a, b = K.switch(v > 0.0, lambda: [v, v + 1.0], lambda: [v, v])
    assert (float(a), float(b)) == (1, 2)


def test_map_fn_maps_nests():
    x = K.placeholder(shape=(None, 2))
    total, pair = K.map_fn(lambda r: (K.sum(r), r * 2.0), x)
    assert [r.tolist() for r in K.function([x], [total, pair])([ROWS])] == [[3, 7, 11], (ROWS * 2).tolist()]
    products = K.map_fn(lambda ab: ab[0] * ab[1], (K.constant([1.0, 2.0]), K.constant([3.0, 4.0])), dtype="int32")
    assert K.dtype(products) == "int32"
    assert K.eval(products).tolist() == [3, 8]


def test_map_fn_on_arrays_is_computed_at_once():
    assert K.map_fn(K.sum, ROWS).tolist() == [3, 7, 11]


def test_draws_in_a_loop_differ_at_each_step():
    x = K.zeros((3, 1000))
    draws = K.eval(K.map_fn(lambda row: row + K.random_uniform((1000,)), x))
    assert len({row.tobytes() for row in draws}) == 3


@pytest.mark.parametrize("fold", [K.foldl, K.foldr])
@pytest.mark.parametrize("start", [None, 10.0])
def test_folds(fold, start):
    order = [1.0, 2.0, 3.0] if fold is K.foldl else [3.0, 2.0, 1.0]
    expected, rest = (order[0], order[1:]) if start is None else (start, order)
    for x in rest:
        expected = expected * 0.5 + x
    step = lambda total, x: total * 0.5 + x  # noqa: E731
    initial = None if start is None else K.constant(start)
    assert K.eval(fold(step, K.constant([1.0, 2.0, 3.0]), initial)) == expected
    x = K.placeholder(shape=(None,))
    assert K.function([x], [fold(step, x, initial)])([[1.0, 2.0, 3.0]])[0] == expected
    assert fold(step, np.array([1.0, 2.0, 3.0]), None if start is None else np.array(start)) == expected


def test_a_fold_over_one_slice_is_that_slice():
    x = K.placeholder(shape=(None,))
    f = K.function([x], [K.foldl(lambda a, b: a + b, x)])
    assert f([[7.0]])[0] == 7
    assert K.eval(K.foldr(lambda a, b: a + b, K.constant([7.0]))) == 7


def test_a_fold_over_a_nest():
    a, b = K.constant([1.0, 2.0]), K.constant([3.0, 4.0])
    total = K.foldl(lambda s, xs: s + xs[0] * xs[1], [a, b], initializer=K.constant(0.0))
    assert K.eval(total) == 11
    grads = K.gradients(total, [a, b])
    assert [K.eval(g).tolist() for g in grads] == [[3, 4], [1, 2]]


def test_loops_need_an_axis():
    with pytest.raises(ArgumentError, match="first axis"):
        K.map_fn(lambda x: x, K.constant(1.0))
