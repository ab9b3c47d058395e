"""Elementwise primitives: arithmetic, comparison, logic, exponentials and trigonometry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kcore.graph.ir import Symbolic
from kcore.ops import rules
from kcore.ops.spec import Tensor, primitive
from kcore.ops.structural import cast


def unbroadcast(g: Any, x: Symbolic) -> Any:
    """Sum a gradient over the axes along which `x` was broadcast."""
    from kcore.ops import reduction, shaping

    if g.shape == x.shape and None not in x.shape:
        return g
    lead = g.ndim - x.ndim
    axes = list(range(lead)) + [i + lead for i, n in enumerate(x.shape) if n == 1 and g.shape[i + lead] != 1]
    if axes:
        g = reduction.sum(g, axis=axes, keepdims=True)
    if lead:
        g = shaping.squeeze(g, tuple(range(lead)))
    unknown = any(n is None and m is not None for n, m in zip(x.shape, g.shape, strict=True)) or None in x.shape
    return shaping.sum_to_shape(g, shaping.shape_of(x)) if unknown and g.shape != x.shape else g


def _unary(vjp: Any, **options: Any) -> Any:
    return primitive(infer=rules.same("x"), vjp=vjp, **options)


def _binary(vjp: Any, **options: Any) -> Any:
    return primitive(infer=rules.broadcast("x", "y"), vjp=vjp, host=True, **options)


def _comparison() -> Any:
    return primitive(infer=rules.broadcast("x", "y", dtype="bool"), differentiable=False, host=True)


def _gate(g: Any, condition: Any) -> Any:
    """The gradient where the condition holds, zero elsewhere."""
    return multiply(g, cast(condition, g.dtype))


# --- arithmetic -------------------------------------------------------------------------------------------------------


@_binary(lambda g, out, x, y: (unbroadcast(g, x), unbroadcast(g, y)))
def add(x: Tensor, y: Tensor) -> Any:
    """Sum of two tensors, with broadcasting."""
    return np.add(x, y)


@_binary(lambda g, out, x, y: (unbroadcast(g, x), unbroadcast(negative(g), y)))
def subtract(x: Tensor, y: Tensor) -> Any:
    """Difference of two tensors, with broadcasting."""
    return np.subtract(x, y)


@_binary(lambda g, out, x, y: (unbroadcast(multiply(g, y), x), unbroadcast(multiply(g, x), y)))
def multiply(x: Tensor, y: Tensor) -> Any:
    """Product of two tensors, with broadcasting."""
    return np.multiply(x, y)


@_binary(
    lambda g, out, x, y: (unbroadcast(divide(g, y), x), unbroadcast(negative(divide(multiply(g, out), y)), y)),
    to_float=True,
)
def divide(x: Tensor, y: Tensor) -> Any:
    """True quotient, with broadcasting; integers are divided as floatx."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(x, y, dtype=np.result_type(x))


@primitive(infer=rules.broadcast("x", "y"), differentiable=False, host=True)
def floor_divide(x: Tensor, y: Tensor) -> Any:
    """Quotient rounded towards minus infinity; integer division by zero gives 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.floor_divide(x, y)


def _mod_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    return unbroadcast(g, x), unbroadcast(negative(multiply(g, floor_divide(x, y))), y)


@_binary(_mod_vjp)
def mod(x: Tensor, y: Tensor) -> Any:
    """Remainder with the sign of the divisor; integer modulus by zero gives 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.mod(x, y)


def _power_vjp(g: Any, out: Any, x: Any, y: Any) -> Any:
    # d/dy = out * log(x) only where x > 0, and 0 elsewhere, as the original does.
    positive = greater(x, 0)
    log_x = log(where(positive, x, cast(1, x.dtype)))
    dy = where(positive, multiply(out, log_x), zeros_of(out))
    return unbroadcast(multiply(g, multiply(y, power(x, subtract(y, 1)))), x), unbroadcast(multiply(g, dy), y)


def zeros_of(x: Any) -> Any:
    """Zeros like x."""
    from kcore.ops.structural import zeros_like

    return zeros_like(x)


@_binary(_power_vjp)
def power(x: Tensor, y: Tensor) -> Any:
    """x to the power y, with broadcasting."""
    with np.errstate(all="ignore"):
        return np.power(x, y)


@_binary(lambda g, out, x, y: (unbroadcast(_gate(g, greater_equal(x, y)), x), unbroadcast(_gate(g, less(x, y)), y)))
def maximum(x: Tensor, y: Tensor) -> Any:
    """Larger of two tensors, elementwise; NaN wins. At ties the gradient goes to x.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.maximum(K.constant([1., 5.]), 3.))
    array([3., 5.], dtype=float32)
    """
    return np.maximum(x, y)


@_binary(lambda g, out, x, y: (unbroadcast(_gate(g, less_equal(x, y)), x), unbroadcast(_gate(g, greater(x, y)), y)))
def minimum(x: Tensor, y: Tensor) -> Any:
    """Smaller of two tensors, elementwise; NaN wins. At ties the gradient goes to x.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.minimum(K.constant([1., 5.]), 3.))
    array([1., 3.], dtype=float32)
    """
    return np.minimum(x, y)


@_unary(lambda g, out, x: negative(g), host=True)
def negative(x: Tensor) -> Any:
    """-x."""
    return np.negative(x)


@_unary(lambda g, out, x: multiply(g, sign(x)), host=True)
def abs_(x: Tensor) -> Any:
    """Absolute value, elementwise; its gradient at 0 is 0.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.abs(K.constant([-1., 2.])))
    array([1., 2.], dtype=float32)
    """
    return np.abs(x)


@_unary(lambda g, out, x: zeros_of(x), host=True)
def sign(x: Tensor) -> Any:
    """-1, 0 or 1, elementwise; NaN stays NaN.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.sign(K.constant([-3., 0., 2.])))
    array([-1.,  0.,  1.], dtype=float32)
    """
    return np.sign(x)


@_unary(lambda g, out, x: multiply(g, multiply(2, x)), host=True)
def square(x: Tensor) -> Any:
    """x * x, elementwise.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.square(K.constant([-3., 2.])))
    array([9., 4.], dtype=float32)
    """
    return np.square(x)


def _sqrt(x: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


@_unary(lambda g, out, x: divide(multiply(g, 0.5), out), to_float=True, reference=_sqrt)
def sqrt(x: Tensor) -> Any:
    """Square root; NaN below zero. (`K.sqrt` clips negatives to 0 first, as the original does.)"""


@_unary(lambda g, out, x: multiply(g, multiply(-0.5, divide(out, x))), to_float=True)
def rsqrt(x: Tensor) -> Any:
    """1 / sqrt(x)."""
    with np.errstate(all="ignore"):
        return np.asarray(1 / np.sqrt(x), np.asarray(x).dtype)


# --- exponentials and trigonometry ------------------------------------------------------------------------------------


@_unary(lambda g, out, x: multiply(g, out), to_float=True)
def exp(x: Tensor) -> Any:
    """e to the power x, elementwise; integers become floatx.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.exp(K.constant([0., 1.]))).round(4)
    array([1.    , 2.7183], dtype=float32)
    """
    with np.errstate(over="ignore"):
        return np.exp(x)


@_unary(lambda g, out, x: divide(g, x), to_float=True)
def log(x: Tensor) -> Any:
    """Natural logarithm, elementwise; -inf at 0, NaN below. Integers become floatx.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.log(K.constant([1., 2.]))).round(4)
    array([0.    , 0.6931], dtype=float32)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


@_unary(lambda g, out, x: divide(g, add(1, x)), to_float=True)
def log1p(x: Tensor) -> Any:
    """log(1 + x), exact for small x."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x)


@_unary(lambda g, out, x: multiply(g, add(out, 1)), to_float=True)
def expm1(x: Tensor) -> Any:
    """exp(x) - 1, exact for small x."""
    with np.errstate(over="ignore"):
        return np.expm1(x)


@_unary(lambda g, out, x: multiply(g, cos(x)), to_float=True)
def sin(x: Tensor) -> Any:
    """Sine of radians, elementwise.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.sin(K.constant([0.])))
    array([0.], dtype=float32)
    """
    with np.errstate(invalid="ignore"):
        return np.sin(x)


@_unary(lambda g, out, x: negative(multiply(g, sin(x))), to_float=True)
def cos(x: Tensor) -> Any:
    """Cosine of radians, elementwise.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.cos(K.constant([0.])))
    array([1.], dtype=float32)
    """
    with np.errstate(invalid="ignore"):
        return np.cos(x)


@_unary(lambda g, out, x: multiply(g, subtract(1, square(out))), to_float=True)
def tanh(x: Tensor) -> Any:
    """Hyperbolic tangent, elementwise.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.tanh(K.constant([0.])))
    array([0.], dtype=float32)
    """
    return np.tanh(x)


def _sigmoid(x: Any) -> Any:
    x = np.asarray(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


@_unary(lambda g, out, x: multiply(g, multiply(out, subtract(1, out))), to_float=True, reference=_sigmoid)
def sigmoid(x: Tensor) -> Any:
    """1 / (1 + exp(-x)), elementwise, without overflow.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.sigmoid(K.constant([0., 100.])))
    array([0.5, 1. ], dtype=float32)
    """


@_unary(lambda g, out, x: multiply(g, sigmoid(x)), to_float=True)
def softplus(x: Tensor) -> Any:
    """log(1 + exp(x)), elementwise, without overflow.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.softplus(K.constant([0., 100.]))).round(4)
    array([  0.6931, 100.    ], dtype=float32)
    """
    x = np.asarray(x)
    return (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype)


def _erf(x: Any) -> Any:
    x = np.asarray(x)
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype) if x.size else x


@_unary(lambda g, out, x: multiply(g, multiply(2 / math.sqrt(math.pi), exp(negative(square(x))))), to_float=True,
        reference=_erf)  # fmt: skip
def erf(x: Tensor) -> Any:
    """Gauss error function."""


# --- rounding and tests -----------------------------------------------------------------------------------------------


def _step() -> Any:
    return primitive(infer=rules.same("x"), differentiable=False)


@_step()
def floor(x: Tensor) -> Any:
    """Largest integer not above x, in x's dtype."""
    return np.floor(x).astype(np.asarray(x).dtype)


@_step()
def ceil(x: Tensor) -> Any:
    """Smallest integer not below x, in x's dtype."""
    return np.ceil(x).astype(np.asarray(x).dtype)


@_step()
def round_(x: Tensor) -> Any:
    """Nearest integer, elementwise, halves to even, in x's dtype.

    Args:
        x: tensor of any shape.

    >>> K.eval(K.round(K.constant([0.5, 1.5, 2.4])))
    array([0., 2., 2.], dtype=float32)
    """
    return np.round(x).astype(np.asarray(x).dtype)


@primitive(infer=rules.same("x", "bool"), differentiable=False)
def isnan(x: Tensor) -> Any:
    """Where x is NaN."""
    return np.isnan(x)


@primitive(infer=rules.same("x", "bool"), differentiable=False)
def isfinite(x: Tensor) -> Any:
    """Where x is neither infinite nor NaN."""
    return np.isfinite(x)


# --- comparison and logic ---------------------------------------------------------------------------------------------


@_comparison()
def equal(x: Tensor, y: Tensor) -> Any:
    """x == y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.equal(K.constant([1., 2., 3.]), 2.))
    array([False,  True, False])
    """
    return np.equal(x, y)


@_comparison()
def not_equal(x: Tensor, y: Tensor) -> Any:
    """x != y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.not_equal(K.constant([1., 2., 3.]), 2.))
    array([ True, False,  True])
    """
    return np.not_equal(x, y)


@_comparison()
def greater(x: Tensor, y: Tensor) -> Any:
    """x > y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.greater(K.constant([1., 2., 3.]), 2.))
    array([False, False,  True])
    """
    return np.greater(x, y)


@_comparison()
def greater_equal(x: Tensor, y: Tensor) -> Any:
    """x >= y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.greater_equal(K.constant([1., 2., 3.]), 2.))
    array([False,  True,  True])
    """
    return np.greater_equal(x, y)


@_comparison()
def less(x: Tensor, y: Tensor) -> Any:
    """x < y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.less(K.constant([1., 2., 3.]), 2.))
    array([ True, False, False])
    """
    return np.less(x, y)


@_comparison()
def less_equal(x: Tensor, y: Tensor) -> Any:
    """x <= y, elementwise, as a bool tensor.

    Args:
        x: tensor, array or number.
        y: tensor, array or number of a shape that broadcasts with that of x.

    >>> K.eval(K.less_equal(K.constant([1., 2., 3.]), 2.))
    array([ True,  True, False])
    """
    return np.less_equal(x, y)


@_comparison()
def logical_and(x: Tensor, y: Tensor) -> Any:
    """Both nonzero, elementwise."""
    return np.logical_and(x, y)


@_comparison()
def logical_or(x: Tensor, y: Tensor) -> Any:
    """Either nonzero, elementwise."""
    return np.logical_or(x, y)


@primitive(infer=rules.same("x", "bool"), differentiable=False, host=True)
def logical_not(x: Tensor) -> Any:
    """Zero, elementwise."""
    return np.logical_not(x)


def _where_vjp(g: Any, out: Any, condition: Any, x: Any, y: Any) -> Any:
    zero = zeros_of(g)
    return None, unbroadcast(where(condition, g, zero), x), unbroadcast(where(condition, zero, g), y)


@primitive(infer=rules.broadcast("condition", "x", "y"), vjp=_where_vjp, promote=("x", "y"), host=True)
def where(condition: Tensor, x: Tensor, y: Tensor) -> Any:
    """x where the condition holds, y elsewhere; all three broadcast. `condition` is bool."""
    return np.where(condition, x, y)
