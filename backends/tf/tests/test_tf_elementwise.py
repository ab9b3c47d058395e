"""Elementwise kernels against the NumPy references, edge values included, and gradients against the declared rules."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kcore.graph.function import placeholder
from kcore.graph.gradients import gradients
from kcore.ops import REGISTRY
from kcore.ops.reduction import sum_
from kcore.ops.spec import REGISTRY as OPS
from kcore_tf.kernels import KERNELS

FLOATS = [np.nan, np.inf, -np.inf, -0.0, 0.0, 0.5, -0.5, 1.5, 1.0, 2.5, -2.5, 1e-6, 60.0, -60.0, 3.0]
SIGNED = [-128, -7, -1, 0, 1, 2, 3, 7, 127]
UNSIGNED = [0, 1, 2, 7, 200, 255]
VALUES = {
    "float32": FLOATS, "float64": FLOATS, "float16": FLOATS, "int32": SIGNED, "int64": SIGNED, "int8": SIGNED,
    "uint8": UNSIGNED, "bool": [False, True],
}  # fmt: skip
TOLERANCE = {"float16": 4e-3, "float32": 4e-6, "float64": 1e-12}

ARITHMETIC = ["add", "multiply", "maximum", "minimum"]
COMPARISON = ["equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or"]
NUMERIC = ["subtract", "floor_divide", "mod"]
FLOAT_UNARY = [
    "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "tanh", "sigmoid", "softplus", "erf",
]  # fmt: skip
ANY_UNARY = ["floor", "ceil", "round", "isnan", "isfinite", "logical_not", "identity", "copy", "stop_gradient"]
NUMERIC_UNARY = ["negative", "abs", "sign", "square", "zeros_like"]


def check(name: str, dtype: str, *arrays: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        expected = REGISTRY[name].reference(*arrays)
    got = KERNELS[name](*map(tf.constant, arrays)).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE.get(dtype, 0), atol=TOLERANCE.get(dtype, 0) / 10)


def pairs(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(VALUES[dtype], dtype)
    return values[:, None].copy(), values[None, :].copy()


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("name", ARITHMETIC + COMPARISON)
def test_binary_kernels_equal_numpy_on_every_pair_of_edge_values(name, dtype):
    check(name, dtype, *pairs(dtype))


@pytest.mark.parametrize("dtype", [d for d in VALUES if d != "bool"])
@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_binary_kernels_equal_numpy_with_integer_division_by_zero_giving_zero(name, dtype):
    check(name, dtype, *pairs(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["divide", "power"])
def test_float_binary_kernels_equal_numpy(name, dtype):
    check(name, dtype, *pairs(dtype))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_power_of_integers_wraps_as_numpy_does(dtype):
    x, _ = pairs(dtype)
    check("power", dtype, x, np.array([[0, 1, 2, 3]], dtype))


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("name", ANY_UNARY)
def test_unary_kernels_equal_numpy_in_every_dtype(name, dtype):
    check(name, dtype, np.array(VALUES[dtype], dtype))


@pytest.mark.parametrize("dtype", [d for d in VALUES if d != "bool"])
@pytest.mark.parametrize("name", NUMERIC_UNARY)
def test_numeric_unary_kernels_equal_numpy(name, dtype):
    check(name, dtype, np.array(VALUES[dtype], dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FLOAT_UNARY)
def test_float_unary_kernels_equal_numpy(name, dtype):
    check(name, dtype, np.array(VALUES[dtype], dtype))


@pytest.mark.parametrize("target", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("source", ["bool", "uint8", "int32", "float32", "float64"])
def test_cast_truncates_as_numpy_does(source, target):
    values = np.array([0, 1, 1.7, 2.5, 100.9], source)
    got = KERNELS["cast"](tf.constant(values), target).numpy()
    expected = REGISTRY["cast"].reference(values, target)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_where_broadcasts_all_three(dtype):
    condition = np.array([[True], [False]])
    x, y = np.array([1, 0, 3], dtype), np.array(0, dtype)
    got = KERNELS["where"](*map(tf.constant, (condition, x, y)))
    np.testing.assert_array_equal(got.numpy(), np.where(condition, x, y))


# --- gradients, at ties and edges too ---------------------------------------------------------------------------------

POINTS = np.array([-2.5, -1.0, -0.3, 0.0, 0.2, 1.0, 2.5])
POSITIVE = ["sqrt", "rsqrt", "log", "log1p"]
SMOOTH = ["exp", "expm1", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "square", "negative", "identity", "copy"]
KINKED = ["abs", "sign"]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", SMOOTH + POSITIVE + KINKED)
def test_unary_gradients_follow_the_declared_rules(name, order, agree):
    x = placeholder((7,), "float64")
    weights = np.arange(1.0, 8.0)
    wanted = gradients(sum_(OPS[name].public(x) * weights), [x])
    if order == 2:
        again = gradients(sum_(OPS["square"].public(wanted[0])), [x])
        wanted += [g for g in again if g is not None]
    agree([x], wanted, [np.abs(POINTS) + 0.1 if name in POSITIVE else POINTS])


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "mod", "maximum", "minimum", "power"])
def test_binary_gradients_follow_the_declared_rules_at_ties_too(name, agree):
    x, y = placeholder((7, 1), "float64"), placeholder((6,), "float64")
    second = np.array([-2.5, -1.0, 0.2, 1.0, 2.0, 3.0])
    weights = np.linspace(0.5, 2, 42).reshape(7, 6)
    wanted = gradients(sum_(OPS[name].public(x, y) * weights), [x, y])
    first = POINTS if name != "power" else np.array([0.3, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0])
    agree([x, y], wanted, [first[:, None], second])


def test_the_gradient_of_power_by_its_exponent_is_zero_where_the_base_is_not_positive(agree):
    x, y = placeholder((4,), "float64"), placeholder((4,), "float64")
    feeds = [[-2.0, 0.0, 0.0, 2.0], [2.0, 2.0, 1.0, 3.0]]
    got = agree([x, y], gradients(sum_(OPS["power"].public(x, y)), [x, y]), feeds)
    np.testing.assert_array_equal(got[1][:3], 0)


def test_where_passes_the_gradient_to_the_chosen_side(agree):
    x, y = placeholder((3,), "float64"), placeholder((3,), "float64")
    chosen = OPS["where"].public(OPS["greater"].public(x, 0.0), x, y)
    agree([x, y], gradients(sum_(chosen * np.array([1.0, 2.0, 3.0])), [x, y]), [[-1.0, 0.0, 1.0], [5.0, 6.0, 7.0]])


def test_steps_and_stop_gradient_let_no_gradient_through(agree):
    x = placeholder((4,), "float64")
    value = OPS["floor"].public(x) * x + OPS["stop_gradient"].public(x) * x + OPS["round"].public(x) * x
    agree([x], gradients(sum_(value), [x]), [[-1.5, 0.2, 1.0, 2.7]])


def test_a_gradient_passes_casts_between_floats(agree):
    x = placeholder((2,), "float64")
    value = OPS["cast"].public(OPS["square"].public(OPS["cast"].public(x, "float32")), "float64")
    agree([x], gradients(sum_(value), [x]), [[1.5, -2.0]])
