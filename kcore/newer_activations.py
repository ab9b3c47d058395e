"""Activation functions that Keras got after version 2: those of Keras 3, by its names, for the models that use them.

`keras3>hard_sigmoid` is the one whose name means another formula here: Keras 2's `hard_sigmoid` is
`clip(0.2 * x + 0.5, 0, 1)`, that of Keras 3 is `clip(x / 6 + 0.5, 0, 1)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from kcore import backend as K
from kcore.ops import activation as ops
from kcore.ops.comparison import where
from kcore.ops.exponential import erf


def silu(x: Any) -> Any:
    """`x * sigmoid(x)`, also called swish."""
    return x * K.sigmoid(x)


def gelu(x: Any) -> Any:
    """`x * Phi(x)`, with the distribution function of the normal distribution."""
    return 0.5 * x * (1.0 + erf(x * (1.0 / math.sqrt(2.0))))


def leaky_relu(x: Any) -> Any:
    """`x` where it is positive, else `0.2 * x`."""
    return K.relu(x, alpha=0.2)


def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`."""
    return K.relu(x, max_value=6.0)


def celu(x: Any) -> Any:
    """`max(x, 0) + min(exp(x) - 1, 0)`."""
    return K.elu(x)


def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`."""
    return x * K.tanh(K.softplus(x))


def log_softmax(x: Any) -> Any:
    """The logarithm of `softmax(x)` along the last axis."""
    return ops.log_softmax(x)


def log_sigmoid(x: Any) -> Any:
    """`log(sigmoid(x))`."""
    return -K.softplus(-x)


def hard_sigmoid(x: Any) -> Any:
    """`clip(x / 6 + 0.5, 0, 1)`: the formula of Keras 3."""
    return K.clip(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)


def hard_silu(x: Any) -> Any:
    """`x * clip(x / 6 + 0.5, 0, 1)`, also called hard_swish."""
    return x * hard_sigmoid(x)


def hard_tanh(x: Any) -> Any:
    """`clip(x, -1, 1)`."""
    return K.clip(x, -1.0, 1.0)


def hard_shrink(x: Any) -> Any:
    """`x` where its size is above 0.5, else 0."""
    return where(K.abs(x) > 0.5, x, 0.0)


def soft_shrink(x: Any) -> Any:
    """`x` moved by 0.5 towards 0, at most onto it."""
    return K.relu(x - 0.5) - K.relu(-x - 0.5)


def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`."""
    return x - K.tanh(x)


def squareplus(x: Any) -> Any:
    """`(x + sqrt(x^2 + 4)) / 2`."""
    return 0.5 * (x + K.sqrt(K.square(x) + 4.0))


def sparse_plus(x: Any) -> Any:
    """`(x + 1)^2 / 4` between -1 and 1, 0 below and `x` above."""
    return where(x >= 1.0, x, 0.25 * K.square(K.clip(x, -1.0, 1.0) + 1.0))


def sparse_sigmoid(x: Any) -> Any:
    """`(x + 1) / 2` between -1 and 1, 0 below and 1 above."""
    return 0.5 * (K.clip(x, -1.0, 1.0) + 1.0)


hard_sigmoid.__name__ = "keras3>hard_sigmoid"

#: By the names that configurations use.
NEWER: Final[dict[str, Callable[[Any], Any]]] = {
    f.__name__: f
    for f in (
        silu, gelu, leaky_relu, relu6, celu, mish, log_softmax, log_sigmoid, hard_sigmoid, hard_silu, hard_tanh,
        hard_shrink, soft_shrink, tanh_shrink, squareplus, sparse_plus, sparse_sigmoid,
    )
}  # fmt: skip
