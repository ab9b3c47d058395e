"""A stack of cells as one cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers.base import Layer
from kcore.layers.recurrent.cell import Pass, output_size, state_sizes
from kcore.utils.objects import has_arg, serialize_keras_object


class StackedRNNCells(Layer):
    """Cells one upon the other: each takes the output of the one below at the same step.

    Args:
        cells: list of cells, the lowest first.
        reverse_state_order: list the states from the top down (as before Keras 2.2); deprecated.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        for cell in cells:
            for attribute, what in (("call", "a `call` method"), ("state_size", "a `state_size` attribute")):
                if not hasattr(cell, attribute):
                    raise ArgumentError(f"All cells must have {what}. Received cells: {list(cells)}")
        self.reverse_state_order = kwargs.pop("reverse_state_order", False)
        if self.reverse_state_order:
            warnings.warn(
                "`reverse_state_order=True` in `StackedRNNCells` is deprecated: states are better listed in the order "
                "of the cells.",
                stacklevel=2,
            )
        super().__init__(**kwargs)
        self.cells = list(cells)

    @property
    def _in_state_order(self) -> list[Any]:
        return self.cells[::-1] if self.reverse_state_order else self.cells

    @property
    def state_size(self) -> tuple[Any, ...]:
        """The sizes of all cells' states, one after the other."""
        return tuple(size for cell in self._in_state_order for size in state_sizes(cell))

    @property
    def output_size(self) -> Any:
        """That of the top cell."""
        return output_size(self.cells[-1])

    def _per_cell(self, states: Sequence[Any]) -> list[list[Any]]:
        """The states of each cell, in the order of the cells."""
        groups, rest = [], list(states)
        for cell in self._in_state_order:
            count = len(state_sizes(cell))
            groups.append(rest[:count])
            rest = rest[count:]
        return groups[::-1] if self.reverse_state_order else groups

    def _flat(self, groups: list[list[Any]]) -> list[Any]:
        return [state for group in (groups[::-1] if self.reverse_state_order else groups) for state in group]

    def build(self, input_shape: Any) -> None:
        """Build the cells, each for the output of the one below."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        shape, constants = tuple(shapes[0]), shapes[1:]
        taken: set[str] = set()
        for cell in self.cells:
            if isinstance(cell, Layer):
                if not cell.built:
                    takes_constants = constants and has_arg(cell.call, "constants")
                    cell.build([shape, *constants] if takes_constants else shape)
                    cell.built = True
                _number_names(cell.weights, taken)
            shape = (shape[0], output_size(cell))
        self.built = True

    def call(
        self, inputs: Any, states: Sequence[Any], constants: Any = None, training: Any = None, **kwargs: Any
    ) -> Any:
        """One step of all cells."""
        new = []
        for cell, own in zip(self.cells, self._per_cell(states), strict=True):
            arguments = dict(kwargs)
            if has_arg(cell.call, "training"):
                arguments["training"] = training
            if constants is not None and has_arg(cell.call, "constants"):
                arguments["constants"] = constants
            inputs, after = cell.call(inputs, own, **arguments)
            new.append(list(after))
        return inputs, self._flat(new)

    def draw_masks(self, sequence: Any, training: Any) -> None:
        """Draw the dropout masks of all cells for one pass over a batch of sequences."""
        for cell in self.cells:
            if hasattr(cell, "draw_masks"):
                cell.draw_masks(sequence, training)

    def forget_masks(self) -> None:
        """The pass is over."""
        for cell in self.cells:
            if hasattr(cell, "forget_masks"):
                cell.forget_masks()

    def over_sequence(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool, training: Any
    ) -> Pass | None:
        """The pass over a whole sequence, cell by cell; None where one of them cannot (see RecurrentCell)."""
        if not all(hasattr(cell, "over_sequence") for cell in self.cells):
            return None
        new, last = [], inputs
        for cell, own in zip(self.cells, self._per_cell(states), strict=True):
            wanted = return_sequences or cell is not self.cells[-1]
            result = cell.over_sequence(inputs, own, mask, wanted, go_backwards, training)
            if result is None:
                return None
            last, inputs, after = result
            new.append(list(after))
            if go_backwards:  # the outputs of the first cell come in the order in which they were made
                mask, go_backwards = (None if mask is None else K.reverse(mask, 1)), False
        return last, inputs, self._flat(new)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Stacked cells from the result of `get_config`."""
        from kcore.layers.registry import deserialize

        config = dict(config)
        return cls([deserialize(cell, custom_objects) for cell in config.pop("cells")], **config)


def _number_names(weights: list[Any], taken: set[str]) -> None:
    """Number the names that cells below have already, as `rnn_1/kernel_1:0`: files keep weights by name."""
    for weight in weights:
        stem = weight.name.rsplit(":", 1)[0]
        name, number = stem, 0
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        weight.name = f"{name}:0"
