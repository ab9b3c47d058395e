"""The fully connected recurrence: SimpleRNNCell, and SimpleRNN over time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from kcore import backend as K
from kcore.layers.keras1 import RECURRENT, accepts_keras1
from kcore.layers.recurrent.cell import Pass, RecurrentCell, dropped, known_name
from kcore.layers.recurrent.own_cell import OwnCellRNN, over
from kcore.ops import recurrent


class SimpleRNNCell(RecurrentCell):
    """One step of a recurrence: `h = activation(inputs @ kernel + bias + h @ recurrent_kernel)`; h is also the output.

    Args:
        units: size of the output and of the state.
        activation: name or function.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of the state to drop in training.
    """

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set_options(locals())

    def build(self, input_shape: Any) -> None:
        """Make kernel (features, units), recurrent_kernel (units, units) and bias (units,)."""
        self._make_weights(input_shape, (self.units,))

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        """One step: the output, and the list of it as new state."""
        masks, recurrent_masks = self._masks(inputs, training)
        h = K.dot(dropped(inputs, masks), self.kernel)
        if self.bias is not None:
            h = K.bias_add(h, self.bias, data_format="channels_last")
        output = self.activation(h + K.dot(dropped(states[0], recurrent_masks), self.recurrent_kernel))
        self._mark_phase(output, training)
        return output, [output]

    def _sequence_op(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool
    ) -> Pass | None:
        activation = known_name(self.activation)
        if activation is None or type(self).call is not SimpleRNNCell.call:
            return None
        last, outputs, h = recurrent.simple_rnn(
            inputs, states[0], self.kernel, self.recurrent_kernel, self.bias, mask, activation, return_sequences,
            go_backwards,
        )  # fmt: skip
        return last, outputs, [h]


@over(SimpleRNNCell)
class SimpleRNN(OwnCellRNN):
    """SimpleRNNCell over time.

    Args:
        units: size of the output and of the state.
        activation: name or function.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of the state to drop in training.
        return_sequences, return_state, go_backwards, stateful, unroll: as for RNN.
    """

    @accepts_keras1(RECURRENT)
    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        if kwargs.pop("implementation", None) is not None:
            warnings.warn("SimpleRNN takes no argument `implementation` any more; it is ignored.", stacklevel=3)
        self._init_over(SimpleRNNCell, locals())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:  # type: ignore[override]
        """A layer from the result of `get_config`."""
        return super().from_config({key: value for key, value in config.items() if key != "implementation"})
