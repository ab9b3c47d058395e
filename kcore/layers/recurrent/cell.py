"""What cells have in common: sizes of states, weights' arguments, dropout masks, and the ops for whole sequences.

A cell computes one step: `call(inputs, states) -> (output, new states)`. `state_size` is an integer, or one per state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore import activations, initializers
from kcore import backend as K
from kcore.graph.ir import Symbolic
from kcore.layers import parameters
from kcore.layers.base import Layer, check_positive
from kcore.ops import creation
from kcore.ops.recurrent import ACTIVATIONS
from kcore.ops.shaping import shape_of

#: What a pass over a whole sequence gives: the last output, all outputs (or only the last), the final states.
Pass = tuple[Any, Any, list[Any]]


def state_sizes(cell: Any) -> list[Any]:
    """The sizes of a cell's states, as a list."""
    size = cell.state_size
    return list(size) if hasattr(size, "__len__") else [size]


def output_size(cell: Any) -> Any:
    """The size of a cell's output: `output_size`, else that of its first state."""
    size = getattr(cell, "output_size", None)
    return state_sizes(cell)[0] if size is None else size


def is_active(rate: float) -> bool:
    """Whether a dropout rate drops anything (1 is taken for none, as in Keras 2)."""
    return 0 < rate < 1


def may_train(training: Any) -> bool:
    """Whether a call with this `training` argument may be in the training phase."""
    return training is None or isinstance(training, Symbolic) or bool(training)


def dropout_masks(shape: Any, rate: float, training: Any, count: int) -> list[Any] | None:
    """Ones, some of them dropped (and the others scaled up) in training; None when nothing is dropped."""
    if not is_active(rate):
        return None
    ones = creation.full(shape, 1.0, K.floatx())
    return [K.in_train_phase(lambda: K.dropout(ones, rate), ones, training=training) for _ in range(count)]


def dropped(x: Any, masks: list[Any] | None, gate: int = 0) -> Any:
    """The tensor times the mask of one gate."""
    return x if masks is None else x * masks[gate]


@contextmanager
def drawn_masks(cell: Any, sequence: Any, training: Any) -> Iterator[None]:
    """Inside, all steps of a cell use the same dropout masks, drawn here (outside of any loop over time)."""
    draw = getattr(cell, "draw_masks", None)
    if draw is None:
        yield
        return
    draw(sequence, training)
    try:
        yield
    finally:
        cell.forget_masks()


def known_name(activation: Callable[[Any], Any]) -> str | None:
    """The name by which the ops for whole sequences know an activation function; None when they do not."""
    for name, function in ACTIVATIONS.items():
        if activation is getattr(activations, name, None) or activation is function:
            return name
    return None


class RecurrentCell(Layer):
    """Base of SimpleRNNCell, GRUCell and LSTMCell."""

    units: int
    bias_initializer: Any
    recurrent_initializer: Any
    _dropout_mask: list[Any] | None
    _recurrent_dropout_mask: list[Any] | None
    #: Gates: the kernels have so many times `units` columns.
    gates = 1
    implementation = 2

    def _set_options(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments that all cells have, of the `locals()` of the constructor."""
        self.units = int(check_positive(self.name, "units", arguments["units"]))
        self.activation = activations.get(arguments["activation"])
        self.use_bias = arguments["use_bias"]
        parameters.keep_from(self, arguments)
        self.dropout = min(1.0, max(0.0, arguments["dropout"]))
        self.recurrent_dropout = min(1.0, max(0.0, arguments["recurrent_dropout"]))
        self.state_size: Any = self.units
        self.output_size = self.units
        self.forget_masks()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **parameters.described(self, "kernel", "recurrent", "bias"),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }

    def _make_weights(self, input_shape: Any, bias_shape: tuple[int, ...], bias_initializer: Any = None) -> None:
        columns = self.gates * self.units
        self.kernel = parameters.make(self, "kernel", (input_shape[-1], columns))
        start = self.recurrent_initializer
        if self.gates > 1 and isinstance(start, initializers.Identity):
            start = _identities(start, self.gates)
        shape = (self.units, columns)
        self.recurrent_kernel = parameters.make(self, "recurrent_kernel", shape, "recurrent", start)
        self.bias = None
        if self.use_bias:
            self.bias = parameters.make(self, "bias", bias_shape, initializer=bias_initializer)
        self.built = True

    # --- dropout ------------------------------------------------------------------------------------------

    def draw_masks(self, sequence: Any, training: Any) -> None:
        """Draw the dropout masks of one pass over a batch of sequences."""
        self._dropout_mask, self._recurrent_dropout_mask = self._new_masks(sequence, training)

    def forget_masks(self) -> None:
        """The pass is over: later ones draw anew."""
        self._dropout_mask = self._recurrent_dropout_mask = None

    def _new_masks(self, batch: Any, training: Any) -> tuple[list[Any] | None, list[Any] | None]:
        samples, count = shape_of(batch)[0], self.gates if self.implementation == 1 else 1
        return (
            dropout_masks((samples, self.kernel.shape[0]), self.dropout, training, count),
            dropout_masks((samples, self.units), self.recurrent_dropout, training, count),
        )

    def _masks(self, inputs: Any, training: Any) -> tuple[list[Any] | None, list[Any] | None]:
        """The masks of this pass; drawn now for a cell that is called by itself."""
        if self._dropout_mask is None and self._recurrent_dropout_mask is None:
            return self._new_masks(inputs, training)
        return self._dropout_mask, self._recurrent_dropout_mask

    def _mark_phase(self, output: Any, training: Any) -> None:
        if training is None and self.dropout + self.recurrent_dropout > 0:
            output._uses_learning_phase = True

    # --- whole sequences ----------------------------------------------------------------------------------

    def over_sequence(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool, training: Any
    ) -> Pass | None:
        """The pass over a whole sequence as one op; None where only a loop over `call` can do it.

        Args:
            inputs: tensor (samples, time, features).
            states: initial states.
            mask: tensor (samples, time), or None.
            return_sequences: whether all outputs are wanted.
            go_backwards: start with the last step.
            training: as for `call`.
        """
        if K.ndim(inputs) != 3 or (mask is not None and K.ndim(mask) != 2):
            return None
        if may_train(training):
            if is_active(self.recurrent_dropout) or (is_active(self.dropout) and self.implementation == 1):
                return None
            inputs = self._with_input_dropout(inputs, training)
        return self._sequence_op(inputs, states, mask, return_sequences, go_backwards)

    def _with_input_dropout(self, inputs: Any, training: Any) -> Any:
        """The inputs with one mask for all steps, as dropping them step by step would."""
        if not is_active(self.dropout):
            return inputs
        masks, _ = self._masks(inputs, training)
        assert masks is not None
        steps = inputs * K.expand_dims(masks[0], 1)
        return K.in_train_phase(steps, inputs, training=training)

    def _sequence_op(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool
    ) -> Pass | None:
        raise NotImplementedError


def _identities(identity: Any, count: int) -> Any:
    """An initializer of identity matrices side by side, one a gate."""

    def initializer(shape: Any, dtype: str | None = None) -> Any:
        return np.tile(identity((shape[0], shape[0]), dtype=dtype), (1, count))

    return initializer
