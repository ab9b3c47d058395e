from __future__ import annotations

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError


def test_a_placeholder_knows_its_shape_dtype_and_name():
    x = K.placeholder(shape=(None, 3), dtype="int32", name="ids")
    assert (K.int_shape(x), K.dtype(x), x.name) == ((None, 3), "int32", "ids:0")
    assert K.int_shape(K.placeholder(ndim=2)) == (None, None)
    assert K.int_shape(K.placeholder(shape=())) == ()
    assert K.dtype(K.placeholder(shape=())) == K.floatx()


def test_a_placeholder_without_shape_is_refused():
    with pytest.raises(ArgumentError, match="shape"):
        K.placeholder()


def test_a_constant_fills_or_reshapes():
    assert K.eval(K.constant([1, 2, 3, 4], shape=(2, 2))).tolist() == [[1, 2], [3, 4]]
    assert K.eval(K.constant(7, shape=(2,), dtype="int32")).tolist() == [7, 7]
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        K.constant([1, 2], shape=(3,))


def test_a_constant_does_not_follow_its_array():
    array = np.ones(2, "float32")
    x = K.constant(array)
    array[:] = 5
    assert K.eval(x).tolist() == [1, 1]


def test_kinds_are_told_apart():
    x, v, c = K.placeholder(shape=(2,)), K.variable([1.0]), K.constant(1.0)
    assert [K.is_tensor(t) for t in (x, v, c, np.ones(2), 1.0, [x])] == [True, True, True, False, False, False]
    assert [K.is_placeholder(t) for t in (x, v, c, x + 1.0)] == [True, False, False, False]
    assert [K.is_variable(t) for t in (x, v, c)] == [False, True, False]
    with pytest.raises(ArgumentError, match="list"):
        K.is_keras_tensor([x])


def test_int_shape_is_what_a_layer_said():
    x = K.placeholder(shape=(None, None))
    y = x * 2.0
    assert K.int_shape(y) == (None, None)
    y._keras_shape = (None, 7)
    assert K.int_shape(y) == (None, 7)


def test_questions_about_arrays_are_answered_too():
    x = np.ones((2, 3))
    assert (K.int_shape(x), K.ndim(x), K.dtype(x)) == ((2, 3), 2, "float64")
    assert int(K.count_params(x)) == int(K.size(x)) == 6
    assert K.shape(x).tolist() == [2, 3]


def test_size_and_shape_of_unknown_dimensions_are_found_when_it_runs():
    x = K.placeholder(shape=(None, 3))
    size, shape, rows = K.function([x], [K.size(x), K.shape(x), K.shape(x)[0]])([np.ones((4, 3))])
    assert (int(size), shape.tolist(), int(rows)) == (12, [4, 3], 4)


def test_tensors_like_others_are_of_floatx():
    ints = K.constant([1, 2], dtype="int32")
    assert K.dtype(K.zeros_like(ints)) == K.dtype(K.ones_like(ints)) == "float32"
    assert K.dtype(K.ones_like(ints, dtype="int32")) == "int32"
    assert K.ones_like(np.zeros((2,))).tolist() == [1, 1]


def test_eye_takes_a_pair():
    assert K.eval(K.eye((1, 2))).tolist() == [[1, 0]]


def test_stop_gradient_takes_a_list():
    v, w = K.variable(2.0), K.variable(3.0)
    a, b = K.stop_gradient([v, w])
    assert K.gradients(a * b, [v, w]) == [None, None]
    assert K.eval(a * b) == 6


def test_cast_to_floatx_keeps_kinds():
    assert K.cast_to_floatx([1, 2]).dtype == np.float32
    assert K.dtype(K.cast_to_floatx(K.constant(1, dtype="int32"))) == "float32"


def test_results_on_arrays_are_computed_at_once():
    assert isinstance(K.sum(np.ones((2, 2))), np.generic | np.ndarray)
    assert K.concatenate([np.ones((1, 1)), np.zeros((1, 1))]).tolist() == [[1, 0]]
