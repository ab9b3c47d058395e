"""What a row of the table is, and the models that are called.

A case is a function of the package (`keras` or `kcore`), so that the original runs the same code. `keras` is the name
of the built-in exception that Keras 2.3.1 raised, or None where it went on with an empty result or nonsense, or broke
by accident (an unbound local variable, an error of its backend).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

X, Y = np.ones((8, 6), "float32"), np.ones((8, 2), "float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0, 1]]


@dataclass(frozen=True)
class Case:
    """One wrong call: what Keras raised, what our message holds (a regular expression), and the call itself."""

    name: str
    keras: str | None
    text: str
    call: Callable[[Any], Any]


CASES: list[Case] = []


def case(keras: str | None, text: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Put a call into the table."""

    def add(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES.append(Case(call.__name__, keras, text, call))
        return call

    return add


# --- models -----------------------------------------------------------------------------------------------------------


def dense(k: Any, loss: str = "mse", **kwargs: Any) -> Any:
    model = k.models.Sequential([k.layers.Dense(2, input_shape=(6,), name="out")])
    model.compile("sgd", loss, **kwargs)
    return model


def classifier(k: Any, loss: str = "categorical_crossentropy") -> Any:
    model = k.models.Sequential([k.layers.Dense(3, activation="softmax", input_shape=(6,), name="out")])
    model.compile("sgd", loss)
    return model


def branches(k: Any, **kwargs: Any) -> Any:
    a, b = k.layers.Input((6,), name="a"), k.layers.Input((6,), name="b")
    model = k.models.Model([a, b], [k.layers.Dense(2, name="left")(a), k.layers.Dense(1, name="right")(b)])
    model.compile("sgd", kwargs.pop("loss", "mse"), **kwargs)
    return model


def steps(k: Any, **kwargs: Any) -> Any:
    model = k.models.Sequential([k.layers.LSTM(2, return_sequences=True, input_shape=(3, 2), name="out")])
    model.compile("sgd", "mse", **kwargs)
    return model


def stateful(k: Any) -> Any:
    model = k.models.Sequential([k.layers.LSTM(2, batch_input_shape=(4, 3, 2), stateful=True)])
    model.compile("sgd", "mse")
    return model


def images(k: Any) -> Any:
    model = k.models.Sequential([k.layers.Conv2D(2, 3, input_shape=(8, 8, 1), name="conv")])
    model.compile("sgd", "mse")
    return model


def forever(*item: Any) -> Any:
    while True:
        yield item


def once(*item: Any) -> Any:
    yield item
