"""How the weights of a layer start, are penalised and constrained: the arguments `<weight>_initializer` and so on.

Layers keep the three as attributes of those names; here they are read, written into configurations, and used.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore import backend as K
from kcore import constraints, initializers, regularizers
from kcore.graph.ir import Symbolic

_ROOMS: dict[str, Any] = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


def keep(layer: Any, **arguments: Any) -> None:
    """Keep `kernel_initializer="zeros"` and its like as attributes: names and configurations become objects."""
    for name, value in arguments.items():
        setattr(layer, name, _ROOMS[name.rpartition("_")[2]].get(value))


def keep_from(layer: Any, arguments: Mapping[str, Any]) -> None:
    """Keep those among a constructor's arguments (its `locals()`) that are about weights."""
    kinds = tuple(f"_{kind}" for kind in _ROOMS)
    keep(layer, **{name: value for name, value in arguments.items() if name.endswith(kinds)})


def described(layer: Any, *weights: str) -> dict[str, Any]:
    """The configuration of those of the three that the layer has, by weight: `described(self, "kernel", "bias")`."""
    names = {f"{weight}_{kind}": room for kind, room in _ROOMS.items() for weight in weights}
    return {name: room.serialize(getattr(layer, name)) for name, room in names.items() if hasattr(layer, name)}


def in_order(layer: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with what the layer's constructor takes in the constructor's order, behind all the rest.

    So the text of a model is that of Keras 2.
    """
    own = [name for name in inspect.signature(type(layer).__init__).parameters if name in config]
    rest = {name: value for name, value in config.items() if name not in own}
    return {**rest, **{name: config[name] for name in own}}


def make(
    layer: Any, name: str, shape: tuple[Any, ...], like: str | None = None, initializer: Any = None,
    trainable: bool = True,
) -> Any:  # fmt: skip
    """Make a weight by the layer's arguments for it.

    Args:
        layer: that owns it.
        name: of the weight.
        shape: of the weight.
        like: prefix of the arguments, when it is not the name.
        initializer: in place of the layer's.
        trainable: whether training changes it.
    """
    prefix = like or name
    return layer.add_weight(
        name=name,
        shape=shape,
        initializer=initializer or getattr(layer, f"{prefix}_initializer"),
        regularizer=getattr(layer, f"{prefix}_regularizer", None),
        constraint=getattr(layer, f"{prefix}_constraint", None),
        trainable=trainable,
    )


def in_parts(*parts: tuple[int, Any]) -> Any:
    """An initializer of a vector that is made of parts: (length, initializer of the part)."""

    def initializer(shape: Any, dtype: str | None = None) -> np.ndarray:
        values = [_host(part((length,), dtype=dtype)) for length, part in parts]
        return np.concatenate(values)

    return initializer


def _host(value: Any) -> Any:
    return K.eval(value) if isinstance(value, Symbolic) else np.asarray(value)
