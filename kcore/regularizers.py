"""Penalties on weights and activations: functions of a tensor that give a number to add to the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kcore import backend as K
from kcore.utils.objects import as_configuration, deserialize_keras_object, resolve, serialize_keras_object


class Regularizer:
    """Base of all regularizers."""

    def __call__(self, x: Any) -> Any:
        """The penalty of `x`."""
        return 0.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer that `get_config` described."""
        return cls(**config)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x ** 2)`."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = K.cast_to_floatx(l1)
        self.l2 = K.cast_to_floatx(l2)

    def __call__(self, x: Any) -> Any:
        """The penalty of `x`: a scalar tensor, or 0.0 when both factors are 0."""
        terms = []
        if self.l1:
            terms.append(self.l1 * K.sum(K.abs(x)))
        if self.l2:
            terms.append(self.l2 * K.sum(K.square(x)))
        return sum(terms[1:], terms[0]) if terms else 0.0

    def get_config(self) -> dict[str, Any]:
        """The factors."""
        return {"l1": float(self.l1), "l2": float(self.l2)}


def l1(l: float = 0.01) -> L1L2:  # noqa: E741 - the argument's name in Keras 2
    """`l * sum(|x|)`."""
    return L1L2(l1=l)


def l2(l: float = 0.01) -> L1L2:  # noqa: E741
    """`l * sum(x ** 2)`."""
    return L1L2(l2=l)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Both penalties."""
    return L1L2(l1=l1, l2=l2)


_KNOWN: dict[str, Any] = {"L1L2": L1L2, "l1": l1, "l2": l2, "l1_l2": l1_l2}


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer, or the name of a function."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that a configuration describes."""
    return deserialize_keras_object(config, _KNOWN, custom_objects, "regularizer", makers=("l1", "l2", "l1_l2"))


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """A regularizer from a name, a configuration, or a function of a tensor; None stays None."""
    if identifier is None:
        return None
    expected = "a name such as 'l2', a configuration, or a function of a tensor"
    return resolve(as_configuration(identifier), deserialize, "regularizer", expected)  # type: ignore[no-any-return]
