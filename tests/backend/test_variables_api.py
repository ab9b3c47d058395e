from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, DataError, GraphError, ShapeError


def test_a_variable_is_read_when_it_runs():
    v = K.variable(1.0)
    y = v + 1.0
    K.set_value(v, 5.0)
    assert K.eval(y) == 6


def test_a_variable_takes_tensors_and_other_variables_as_value():
    v = K.variable([1.0, 2.0])
    assert K.get_value(K.variable(v * 2.0)).tolist() == [2, 4]
    assert K.get_value(K.variable(v)).tolist() == [1, 2]


def test_a_variable_has_floatx_a_scoped_name_and_a_constraint():
    def constraint(w):
        return w

    with K.name_scope("dense"), K.name_scope("inner"):
        v = K.variable(np.zeros((2,), "float64"), name="kernel", constraint=constraint)
    assert (v.name, K.dtype(v), v.constraint) == ("dense/inner/kernel:0", "float32", constraint)
    assert K.variable(0.0).name == "Variable:0"


def test_a_value_is_ones_own():
    v = K.variable([1.0])
    K.get_value(v)[:] = 9
    assert K.get_value(v).tolist() == [1]


def test_set_value_checks():
    v = K.variable([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"\(2,\).*\(3,\)"):
        K.set_value(v, [1.0, 2.0, 3.0])
    with pytest.raises(GraphError, match="variables"):
        K.set_value(K.constant(1.0), 2.0)


def test_zeros_are_a_variable_unless_a_size_is_symbolic():
    assert K.is_variable(K.zeros((2, 3)))
    x = K.placeholder(shape=(None, 2))
    assert K.function([x], [K.zeros((K.shape(x)[0], 3))])([np.ones((4, 2))])[0].shape == (4, 3)
    assert K.eval(K.ones((0, 2))).shape == (0, 2)


def test_random_variables_repeat_with_their_seed_and_with_numpys():
    a, b = (K.get_value(K.random_normal_variable((3,), 0.0, 1.0, seed=5)) for _ in range(2))
    assert a.tolist() == b.tolist()
    draws = []
    for _ in range(2):
        np.random.seed(3)  # noqa: NPY002
        draws.append(K.get_value(K.random_uniform_variable((3,), 2.0, 3.0)).tolist())
    assert draws[0] == draws[1]
    assert all(2 <= x < 3 for x in draws[0])


def test_updates_of_one_run_see_the_values_before_it():
    a, b = K.variable(1.0), K.variable(2.0)
    K.function([], [], updates=[(a, b + 0.0), (b, a + 0.0)])([])
    assert K.batch_get_value([a, b]) == [2, 1]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (lambda v: K.update(v, 7.0), 7.0),
        (lambda v: K.update_add(v, 2.0), 6.0),
        (lambda v: K.update_sub(v, 1.0), 3.0),
        (lambda v: K.moving_average_update(v, 8.0, 0.75), 5.0),
    ],
)
def test_updates_take_effect_when_they_are_computed(update, expected):
    v = K.variable(4.0)
    assert K.eval(update(v)) == K.get_value(v) == expected


def test_a_function_of_one_tensor_returns_one_array():
    x = K.placeholder(shape=(None,))
    assert K.function([x], x * 2.0)([np.array([1.0])]).tolist() == [2]
    assert [r.tolist() for r in K.function([x], [x * 2.0])([np.array([1.0])])] == [[2]]


def test_a_function_feeds_intermediate_tensors():
    x = K.placeholder(shape=(None,))
    h = x + 1.0
    assert K.function([h], [h * 3.0])([np.array([1.0])])[0].tolist() == [3]


def test_a_function_refuses_unknown_keywords_and_wrong_numbers_of_values():
    x = K.placeholder(shape=(None,))
    with pytest.raises(ArgumentError, match="'options'"):
        K.function([x], [x], options={})
    with pytest.raises(DataError, match="takes 1 values"):
        K.function([x], [x])([])


def test_a_function_says_which_placeholder_is_missing():
    x = K.placeholder(shape=(None,), name="left_out")
    with pytest.raises(GraphError, match="left_out"):
        K.function([], [x * 2.0])([])


def test_gradients_are_none_where_nothing_flows():
    v, w = K.variable(2.0), K.variable(3.0)
    grads = K.gradients(v * v, [v, w])
    assert K.eval(grads[0]) == 4
    assert grads[1] is None


def test_gradients_by_intermediate_tensors():
    v = K.variable([1.0, 2.0])
    h = v * 3.0
    assert K.eval(K.gradients(K.sum(K.square(h)), [h])[0]).tolist() == [6, 12]
