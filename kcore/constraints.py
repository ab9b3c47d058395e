"""Projections that an optimizer applies to weights after each update: functions from a weight to a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kcore import backend as K
from kcore.utils.objects import as_configuration, deserialize_keras_object, resolve, serialize_keras_object

Axis = int | Sequence[int]


class Constraint:
    """Base of all constraints."""

    def __call__(self, w: Any) -> Any:
        """The weight, projected."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}


def _norms(w: Any, axis: Axis) -> Any:
    return K.sqrt(K.sum(K.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales weights down to a norm of at most `max_value`.

    Args:
        max_value: the largest norm of a unit's incoming weights.
        axis: the axes of those weights: 0 for a Dense kernel, [0, 1, 2] for a Conv2D kernel.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The weight, projected."""
        norms = _norms(w, self.axis)
        return w * (K.clip(norms, 0, self.max_value) / (K.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets negative weights to 0."""

    def __call__(self, w: Any) -> Any:
        """The weight, projected."""
        return w * K.cast(K.greater_equal(w, 0.0), K.floatx())


class UnitNorm(Constraint):
    """Scales weights to norm 1; `axis` as in `MaxNorm`."""

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The weight, projected."""
        return w / (K.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves the norm of weights into an interval.

    Args:
        min_value: the least norm.
        max_value: the largest norm.
        rate: how far to go at once: 1 goes all the way, less goes that part of it.
        axis: as in `MaxNorm`.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """The weight, projected."""
        norms = _norms(w, self.axis)
        desired = self.rate * K.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (desired / (K.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm

_KNOWN: dict[str, Any] = {
    "MaxNorm": MaxNorm, "NonNeg": NonNeg, "UnitNorm": UnitNorm, "MinMaxNorm": MinMaxNorm,
    "max_norm": MaxNorm, "maxnorm": MaxNorm, "non_neg": NonNeg, "nonneg": NonNeg, "unit_norm": UnitNorm,
    "unitnorm": UnitNorm, "min_max_norm": MinMaxNorm,
}  # fmt: skip


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint, or the name of a function."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that a configuration describes."""
    return deserialize_keras_object(config, _KNOWN, custom_objects, "constraint")


def get(identifier: Any) -> Callable[[Any], Any] | None:
    """A constraint from a name, a configuration, or a function of a weight; None stays None."""
    if identifier is None:
        return None
    expected = "a name such as 'max_norm', a configuration, or a function of a weight"
    return resolve(as_configuration(identifier), deserialize, "constraint", expected)  # type: ignore[no-any-return]
