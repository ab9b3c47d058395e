"""Activation functions by name, written in K."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.newer_activations import NEWER
from kcore.utils.custom_objects import get_registered_name
from kcore.utils.objects import deserialize_keras_object, resolve


def softmax(x: Any, axis: int = -1) -> Any:
    """`exp(x) / sum(exp(x))` along `axis`; `x` has at least two axes."""
    if K.ndim(x) < 2:
        raise ShapeError(
            "Cannot apply softmax to a tensor that is 1D: expected (batch, classes) or more axes, got shape "
            f"{K.int_shape(x)}."
        )
    return K.softmax(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere."""
    return K.elu(x, alpha)


def selu(x: Any) -> Any:
    """`scale * elu(x, alpha)` with the constants of self-normalizing networks (use with lecun_normal, AlphaDropout)."""
    return 1.0507009873554804934193349852946 * K.elu(x, 1.6732632423543772848170429916717)


def softplus(x: Any) -> Any:
    """`log(exp(x) + 1)`."""
    return K.softplus(x)


def softsign(x: Any) -> Any:
    """`x / (|x| + 1)`."""
    return K.softsign(x)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` from `threshold` up to `max_value`, `max_value` above, `alpha * (x - threshold)` below."""
    return K.relu(x, alpha=alpha, max_value=max_value, threshold=threshold)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return K.tanh(x)


def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`."""
    return K.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """`0.2 * x + 0.5`, cut to [0, 1]."""
    return K.hard_sigmoid(x)


def exponential(x: Any) -> Any:
    """`exp(x)`."""
    return K.exp(x)


def linear(x: Any) -> Any:
    """`x`."""
    return x


_KNOWN: dict[str, Any] = {
    f.__name__: f
    for f in (softmax, elu, selu, softplus, softsign, relu, tanh, sigmoid, hard_sigmoid, exponential, linear)
} | NEWER


def serialize(activation: Any) -> str:
    """The name of an activation function."""
    name = getattr(activation, "__name__", None)
    if name is None:
        raise ArgumentError(
            f"Cannot serialize the activation {activation!r}: it has no name. Use a function, or add the layer "
            "after this one instead of passing it as `activation`."
        )
    return get_registered_name(activation)


def deserialize(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation function of that name."""
    return deserialize_keras_object(name, _KNOWN, custom_objects, "activation function")


def get(identifier: Any) -> Callable[..., Any]:
    """An activation function from its name; None gives `linear`, and callables are returned as they are."""
    if identifier is None:
        return linear
    expected = "a name such as 'relu', or a function of a tensor"
    return resolve(identifier, deserialize, "activation function", expected)  # type: ignore[no-any-return]
