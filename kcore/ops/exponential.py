"""Elementwise exponentials, logarithms, trigonometry, and the sigmoids made of them. Integers become floatx."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.ops import rules
from kcore.ops.arithmetic import add, divide, multiply, negative, square, subtract
from kcore.ops.cases import Real, Unary
from kcore.ops.spec import F, Tensor, primitive


def _unary(vjp: Any, values: Real | None = None, smooth: Real | bool = True,
           **options: Any) -> Callable[[F], F]:  # fmt: skip
    return primitive(infer=rules.same("x"), vjp=vjp, to_float=True, cases=Unary(values, smooth=smooth), **options)


@_unary(lambda g, out, x: multiply(g, out))
def exp(x: Tensor) -> Any:
    """Power of e.

    Args:
        x: tensor of any shape.

    >>> exp(np.array([0., 1.]))
    array([1.        , 2.71828183])
    """
    with np.errstate(over="ignore"):
        return np.exp(x)


@_unary(lambda g, out, x: divide(g, x), Real(-1, 8), Real(0.1, 8))
def log(x: Tensor) -> Any:
    """Natural logarithm; -inf at 0, NaN below.

    Args:
        x: tensor of any shape.

    >>> log(np.array([1., 10.]))
    array([0.        , 2.30258509])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


@_unary(lambda g, out, x: divide(g, add(1, x)), Real(-2, 8, edges=(0.0, 1e-6, -1.0)), Real(-0.9, 8))
def log1p(x: Tensor) -> Any:
    """log(1 + x), exact for small x.

    Args:
        x: tensor of any shape.

    >>> log1p(np.array([0., 1e-12]))
    array([0.e+00, 1.e-12])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x)


@_unary(lambda g, out, x: multiply(g, add(out, 1)), Real(edges=(0.0, 1e-6)))
def expm1(x: Tensor) -> Any:
    """exp(x) - 1, exact for small x.

    Args:
        x: tensor of any shape.

    >>> expm1(np.array([0., 1e-12]))
    array([0.e+00, 1.e-12])
    """
    with np.errstate(over="ignore"):
        return np.expm1(x)


def _sin_vjp(g: Any, out: Any, x: Any) -> Any:
    return multiply(g, cos(x))


@_unary(_sin_vjp)
def sin(x: Tensor) -> Any:
    """Sine of radians.

    Args:
        x: tensor of any shape.

    >>> sin(np.array([0., 1.]))
    array([0.        , 0.84147098])
    """
    with np.errstate(invalid="ignore"):
        return np.sin(x)


@_unary(lambda g, out, x: negative(multiply(g, sin(x))))
def cos(x: Tensor) -> Any:
    """Cosine of radians.

    Args:
        x: tensor of any shape.

    >>> cos(np.array([0., 1.]))
    array([1.        , 0.54030231])
    """
    with np.errstate(invalid="ignore"):
        return np.cos(x)


_WIDE = Real(-40, 40)
_NEAR = Real(-4, 4)


@_unary(lambda g, out, x: multiply(g, subtract(1, square(out))), _WIDE, _NEAR)
def tanh(x: Tensor) -> Any:
    """Hyperbolic tangent, in (-1, 1).

    Args:
        x: tensor of any shape.

    >>> tanh(np.array([0., 1.]))
    array([0.        , 0.76159416])
    """
    return np.tanh(x)


def _sigmoid(x: Any) -> Any:
    x = np.asarray(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


@_unary(lambda g, out, x: multiply(g, multiply(out, subtract(1, out))), _WIDE, _NEAR, reference=_sigmoid)
def sigmoid(x: Tensor) -> Any:
    """1 / (1 + exp(-x)), in (0, 1), without overflow.

    Args:
        x: tensor of any shape.

    >>> sigmoid(np.array([0., 1.]))
    array([0.5       , 0.73105858])
    """


@_unary(lambda g, out, x: multiply(g, sigmoid(x)), _WIDE, _NEAR)
def softplus(x: Tensor) -> Any:
    """log(1 + exp(x)), without overflow.

    Args:
        x: tensor of any shape.

    >>> softplus(np.array([0., 100.]))
    array([  0.69314718, 100.        ])
    """
    x = np.asarray(x)
    return (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype)


def _erf(x: Any) -> Any:
    x = np.asarray(x)
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype) if x.size else x


@_unary(lambda g, out, x: multiply(g, multiply(2 / math.sqrt(math.pi), exp(negative(square(x))))), reference=_erf)
def erf(x: Tensor) -> Any:
    """Gauss error function.

    Args:
        x: tensor of any shape.

    >>> erf(np.array([0., 1.]))
    array([0.        , 0.84270079])
    """
