"""Recurrent layers that make their cell of their own arguments: what SimpleRNN, GRU, LSTM and ConvLSTM2D share."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from kcore import regularizers
from kcore.layers import parameters
from kcore.layers.recurrent.rnn import RNN

L = TypeVar("L", bound=type)
_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")


def arguments_of(cell: type) -> list[str]:
    """The names of a cell's own arguments."""
    return [name for name in inspect.signature(cell).parameters if name != "kwargs"]


def over(cell: type) -> Callable[[L], L]:
    """A class decorator: the layer shows the arguments of its cell, a cell of this class, as attributes."""

    def decorate(cls: L) -> L:
        for name in arguments_of(cell):
            setattr(cls, name, property(attrgetter(f"cell.{name}"), doc=f"`{name}` of the cell."))
        return cls

    return decorate


class OwnCellRNN(RNN):
    """Base of those layers; stands before ConvRNN2D where the cell is a convolution."""

    activity_regularizer: Any

    def _init_over(self, cell: Any, arguments: Mapping[str, Any]) -> None:
        """Make the cell and the rest of the layer.

        Args:
            cell: the cell's class.
            arguments: the `locals()` of the layer's constructor, which takes all that the cell's does.
        """
        if arguments.get("implementation") == 0:
            warnings.warn(
                f"`implementation=0` of {type(self).__name__} is gone; the result is that of 2.", stacklevel=4
            )
        flags = {name: arguments[name] for name in _FLAGS if name in arguments}
        own = cell(**{name: arguments[name] for name in arguments_of(cell)})
        super().__init__(own, **flags, **arguments["kwargs"])
        self.activity_regularizer = regularizers.get(arguments["activity_regularizer"])

    def call(  # type: ignore[override]
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None
    ) -> Any:
        """The outputs (and final states) over the sequence."""
        return super().call(inputs, mask=mask, training=training, initial_state=initial_state)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        base = self._config_without_cell()
        own = {**self.cell.get_config(), "activity_regularizer": regularizers.serialize(self.activity_regularizer)}
        own = {name: value for name, value in own.items() if name not in base}
        return {**base, **parameters.in_order(self, own)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:  # type: ignore[override]
        """A layer from the result of `get_config`."""
        config = dict(config)
        if config.get("implementation") == 0:
            config["implementation"] = 1
        return cls(**config)
