"""The backend that a model was moved to: `model.to_backend(name)` and what runs there afterwards.

Models follow the active backend until they are moved. Only data move: graphs are neutral, and executables are made per
backend anyway.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kcore.backend import active
from kcore.variables import Variable

F = TypeVar("F", bound=Callable[..., Any])


def at_home(method: F) -> F:
    """The method of a model, run on the backend that the model was moved to, if it was."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        home = self.__dict__.get("_home")
        if home is None:
            return method(self, *args, **kwargs)
        with active.backend_scope(home):
            return method(self, *args, **kwargs)

    return run  # type: ignore[return-value]


def move(model: Any, name: str | None) -> None:
    """Move the model's variables to the backend `name` and let it run there; None: on the active one again."""
    if name is not None:
        active.load(name)  # an unknown or missing backend is refused before anything moves
        for variable in _variables(model):
            variable.move(name)
    model.__dict__["_home"] = name


def _variables(model: Any) -> Iterator[Variable]:
    """Weights, the optimizer's state and hyperparameters, and the metrics' state."""
    yield from model.weights
    optimizer = getattr(model, "optimizer", None)
    for value in [*getattr(optimizer, "weights", ()), *vars(optimizer).values()] if optimizer is not None else ():
        if isinstance(value, Variable):
            yield value
    for metric in getattr(model, "metrics", None) or ():
        yield from getattr(metric, "weights", ())
