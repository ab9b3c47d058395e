"""Optimizers: formulas for updates, and the names that they go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.errors import ArgumentError
from kcore.optimizers.adam import Adam, Adamax, Nadam
from kcore.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from kcore.optimizers.base import Optimizer, clip_norm
from kcore.optimizers.gradient_descent import SGD
from kcore.optimizers.native import NativeOptimizer, accepts
from kcore.utils.objects import deserialize_keras_object, serialize_keras_object

sgd, rmsprop, adagrad, adadelta, adam, adamax, nadam = SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam
TFOptimizer = NativeOptimizer  # its name in Keras 2

#: Lower-case names, as `compile` and files use them.
_BY_NAME: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam)
}


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Class name and configuration."""
    return serialize_keras_object(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer of a `{'class_name': ..., 'config': ...}`. Raises UnknownNameError."""
    name = config["class_name"]
    if str(name).lower() in _BY_NAME:
        name = name.lower()
    return deserialize_keras_object(
        {"class_name": name, "config": config["config"]}, module_objects=_BY_NAME, custom_objects=custom_objects,
        printable_module_name="optimizer",
    )  # fmt: skip


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, a configuration or an optimizer stands for.

    Objects of the backend's own library that it takes for optimizers are wrapped into a NativeOptimizer.

    Raises:
        UnknownNameError: for a name that is no optimizer; it lists those that are.
        ArgumentError: for anything else.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if not (isinstance(identifier, type) and issubclass(identifier, Optimizer)) and accepts(identifier):
        return NativeOptimizer(identifier)
    raise ArgumentError(
        f"Expected an optimizer as a name, an Optimizer object or a configuration; got {identifier!r}."
        + (" Did you forget the parentheses, as in SGD()?" if isinstance(identifier, type) else "")
    )


__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Nadam", "NativeOptimizer", "Optimizer", "RMSprop", "adadelta",
    "adagrad", "adam", "adamax", "clip_norm", "deserialize", "get", "nadam", "rmsprop", "serialize", "sgd",
]  # fmt: skip
