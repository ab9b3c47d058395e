"""How the weights of a layer start, are penalised and constrained: the arguments `<weight>_initializer` and so on.

Layers keep the three as attributes of those names; here they are read, written into configurations, and used.
"""

from __future__ import annotations

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


def described(layer: Any, *weights: str) -> dict[str, Any]:
    """The configuration of all three for each of the weights, for instance `described(self, "kernel", "bias")`."""
    return {
        f"{weight}_{kind}": room.serialize(getattr(layer, f"{weight}_{kind}"))
        for weight in weights
        for kind, room in _ROOMS.items()
    }


def make(layer: Any, name: str, shape: tuple[Any, ...], like: str | None = None, initializer: Any = None) -> Any:
    """Make a weight by the layer's arguments for it.

    Args:
        layer: that owns it.
        name: of the weight.
        shape: of the weight.
        like: prefix of the arguments, when it is not the name.
        initializer: in place of the layer's.
    """
    prefix = like or name
    return layer.add_weight(
        name=name,
        shape=shape,
        initializer=initializer or getattr(layer, f"{prefix}_initializer"),
        regularizer=getattr(layer, f"{prefix}_regularizer"),
        constraint=getattr(layer, f"{prefix}_constraint"),
    )


def in_parts(*parts: tuple[int, Any]) -> Any:
    """An initializer of a vector that is made of parts: (length, initializer of the part)."""

    def initializer(shape: Any, dtype: str | None = None) -> np.ndarray:
        values = [_host(part((length,), dtype=dtype)) for length, part in parts]
        return np.concatenate(values)

    return initializer


def _host(value: Any) -> Any:
    return K.eval(value) if isinstance(value, Symbolic) else np.asarray(value)
