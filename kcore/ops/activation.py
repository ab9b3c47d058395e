"""Activations: composites over the elementwise primitives, with the gradients that TF1 has at kinks.

Bodies call K functions rather than Python operators, since operands may be native tensors too. References and `vjp`s
are there where they spare the NumPy backend work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kcore.graph.ir import TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.cases import FLAG, AxesOf, AxisOf, Choice, Real, Unary
from kcore.ops.edges import Edge
from kcore.ops.elementwise import (
    abs_,
    add,
    cast,
    divide,
    exp,
    expm1,
    greater,
    isfinite,
    log,
    maximum,
    minimum,
    multiply,
    subtract,
    where,
    zeros_of,
)
from kcore.ops.reduction import max_, sum_
from kcore.ops.shaping import squeeze
from kcore.ops.spec import F, Tensor, composite, spec_of
from kcore.ops.structural import stop_gradient

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _activation(**options: Any) -> Callable[[F], F]:
    return composite(infer=rules.same("x"), to_float=True, **options)


def _gated(g: Any, condition: Any) -> Any:
    return multiply(g, cast(condition, spec_of(g).dtype))


# --- limits -----------------------------------------------------------------------------------------------------------


def _clip_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    low, high = arguments["min_value"], arguments["max_value"]
    low = None if low is None or low == -math.inf else low
    high = None if high is None or high == math.inf else high
    if low is not None and high is not None and high < low:
        high = low
    kind = int if not dtypes.is_float(specs["x"].dtype) else float
    arguments["min_value"] = None if low is None else kind(low)
    arguments["max_value"] = None if high is None else kind(high)


@composite(
    infer=rules.same("x"),
    normalize=_clip_normalize,
    cases=Unary(
        smooth=Real(away=(-1.0, 1.0, 2.0)), min_value=Choice(None, -1.0, 1.0), max_value=Choice(None, 2.0, -1.0)
    ),
)
def clip(x: Tensor, min_value: Any, max_value: Any) -> Any:
    """x limited to [min_value, max_value]. The gradient passes at the bounds.

    Args:
        x: numeric tensor of any shape.
        min_value, max_value: numbers; None or an infinite one is no bound. A maximum below the minimum counts as the
            minimum.

    >>> clip(np.array([-2., 0.5, 3.]), 0., 1.)
    array([0. , 0.5, 1. ])
    """
    x = x if min_value is None else maximum(x, min_value)
    return x if max_value is None else minimum(x, max_value)


def _np_relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    x = np.asarray(x)
    kept = np.maximum(x, 0) if threshold == 0 else np.where(x > threshold, x, x.dtype.type(0))
    kept = kept if max_value is None else np.clip(kept, 0, max_value)
    return (kept - alpha * np.maximum(threshold - x, 0) if alpha else kept).astype(x.dtype, copy=False)


def _relu_vjp(g: Any, out: Any, x: Any, alpha: float, max_value: Any, threshold: float) -> Any:
    passed = _gated(g, greater(x, threshold))
    if max_value is not None:
        passed = where(greater(x, max_value), zeros_of(g), passed)
        if threshold < 0:
            passed = where(greater(0, x), zeros_of(g), passed)
    if not alpha:
        return passed
    return add(passed, multiply(alpha, where(greater(x, threshold), zeros_of(g), g)))


def _relu_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    arguments["alpha"], arguments["threshold"] = float(arguments["alpha"]), float(arguments["threshold"])
    top = arguments["max_value"]
    arguments["max_value"] = None if top is None else float(top)


_RELU_CASES = Unary(smooth=Real(away=(-1.0, 0.0, 1.0, 2.0)), alpha=Choice(0.0, 0.1), max_value=Choice(None, 2.0),
                    threshold=Choice(0.0, 1.0, -1.0))  # fmt: skip


@composite(infer=rules.same("x"), normalize=_relu_normalize, reference=_np_relu, vjp=_relu_vjp, cases=_RELU_CASES)
def relu(x: Tensor, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """x above `threshold` (at most `max_value`), else `alpha * (x - threshold)`. relu'(0) is 0, of a leaky one alpha.

    Args:
        x: tensor of any shape.
        alpha: slope below the threshold.
        max_value: largest value, or None; where it is given, what passes a negative threshold is at least 0.
        threshold: where x starts to pass.

    >>> relu(np.array([-2., 0.5, 9.]), alpha=0.1, max_value=6.)
    array([-0.2,  0.5,  6. ])
    """
    kept = maximum(0, x) if threshold == 0 else where(greater(x, threshold), x, zeros_of(x))
    if max_value is not None:
        kept = minimum(maximum(kept, 0) if threshold < 0 else kept, max_value)
    if not alpha:
        return kept
    # At x = threshold the slope is alpha: ties of `maximum` give the gradient to its first operand.
    return subtract(kept, multiply(alpha, maximum(subtract(threshold, x), 0)))


@_activation(cases=Unary(smooth=Real(away=(0.0,)), alpha=Choice(1.0, 0.5)))
def elu(x: Tensor, alpha: float = 1.0) -> Any:
    """x above 0, else `alpha * (exp(x) - 1)`.

    Args:
        x: tensor of any shape.
        alpha: the limit below is -alpha.

    >>> elu(np.array([-100., 0., 2.]))
    array([-1.,  0.,  2.])
    """
    return where(greater(x, 0), x, multiply(alpha, expm1(minimum(x, 0))))


@_activation(cases=Unary(smooth=Real(away=(0.0,))))
def selu(x: Tensor) -> Any:
    """Scaled exponential unit: 1.0507 * elu(x, 1.6733), which keeps mean 0 and variance 1.

    Args:
        x: tensor of any shape.

    >>> selu(np.array([0., 1.]))
    array([0.        , 1.05070099])
    """
    return multiply(_SELU_SCALE, elu(x, _SELU_ALPHA))


@_activation(cases=Unary(smooth=Real(away=(0.0,))))
def softsign(x: Tensor) -> Any:
    """x / (1 + |x|), in (-1, 1).

    Args:
        x: tensor of any shape.

    >>> softsign(np.array([-1., 3.]))
    array([-0.5 ,  0.75])
    """
    return divide(x, add(abs_(x), 1))


def _np_hard_sigmoid(x: Any) -> Any:
    x = np.asarray(x)
    return np.clip(x * x.dtype.type(0.2) + x.dtype.type(0.5), 0, 1)


def _hard_sigmoid_vjp(g: Any, out: Any, x: Any) -> Any:
    raw = add(multiply(x, 0.2), 0.5)
    zero = zeros_of(g)
    return multiply(0.2, where(greater(0.0, raw), zero, where(greater(raw, 1.0), zero, g)))


@_activation(reference=_np_hard_sigmoid, vjp=_hard_sigmoid_vjp, cases=Unary(smooth=Real(away=(-2.5, 2.5))))
def hard_sigmoid(x: Tensor) -> Any:
    """0.2 * x + 0.5, limited to [0, 1]: a cheap sigmoid.

    Args:
        x: tensor of any shape.

    >>> hard_sigmoid(np.array([-3., 0., 1.]))
    array([0. , 0.5, 0.7])
    """
    return clip(add(multiply(x, 0.2), 0.5), 0.0, 1.0)


# --- along an axis ----------------------------------------------------------------------------------------------------


def _np_softmax(x: Any, axis: int = -1) -> Any:
    x = np.asarray(x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True, dtype=x.dtype)


def _softmax_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    weighted = multiply(g, out)
    return subtract(weighted, multiply(out, sum_(weighted, axis=axis, keepdims=True)))


# Beside plus infinity and NaN some fused kernels give 0 where others give NaN.
_ALONG = Unary(Real(-40, 40), smooth=Real(-3, 3), min_rank=1, edges=Edge(nonfinite=(-math.inf,)), axis=AxisOf())


@_activation(normalize=rules.normalize_axis, reference=_np_softmax, vjp=_softmax_vjp, cases=_ALONG)
def softmax(x: Tensor, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    Args:
        x: tensor of rank 1 or more. Minus infinity means probability 0; beside plus infinity or NaN the
            result is undefined.
        axis: the axis that sums to 1.

    >>> softmax(np.array([0., 0.]))
    array([0.5, 0.5])
    """
    e = exp(subtract(x, stop_gradient(max_(x, axis=axis, keepdims=True))))
    return divide(e, sum_(e, axis=axis, keepdims=True))


def _np_log_softmax(x: Any, axis: int = -1) -> Any:
    x = np.asarray(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True, dtype=x.dtype))


def _log_softmax_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    return subtract(g, multiply(exp(out), sum_(g, axis=axis, keepdims=True)))


@_activation(normalize=rules.normalize_axis, reference=_np_log_softmax, vjp=_log_softmax_vjp, cases=_ALONG)
def log_softmax(x: Tensor, axis: int = -1) -> Any:
    """log(softmax(x)) along `axis`, exact where the softmax underflows.

    Args:
        x: tensor of rank 1 or more.
        axis: the axis along which the exponentials sum to 1.

    >>> log_softmax(np.array([1000., 0.]))
    array([    0., -1000.])
    """
    shifted = subtract(x, stop_gradient(max_(x, axis=axis, keepdims=True)))
    return subtract(shifted, log(sum_(exp(shifted), axis=axis, keepdims=True)))


def _reduced(**a: Any) -> TensorSpec:
    return rules.reduce_axes("x")(**a)


@composite(infer=_reduced, normalize=rules.normalize_axes, to_float=True,
           cases=Unary(Real(-40, 40), smooth=Real(-3, 3), axis=AxesOf(), keepdims=FLAG))  # fmt: skip
def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis`, without overflow.

    Args:
        x: tensor of any shape.
        axis: an int, a list of ints, or None for all axes.
        keepdims: whether the reduced axes stay, with size 1.

    >>> float(logsumexp(np.array([1000., 1000.])))
    1000.6931471805599
    """
    top = stop_gradient(max_(x, axis=axis, keepdims=True))
    top = where(isfinite(top), top, zeros_of(top))
    out = add(log(sum_(exp(subtract(x, top)), axis=axis, keepdims=True)), top)
    return out if keepdims or not axis else squeeze(out, axis)
