"""Long short-term memory: LSTMCell, and LSTM over time."""

from __future__ import annotations

from typing import Any

from kcore import activations, initializers
from kcore import backend as K
from kcore.layers import parameters
from kcore.layers.keras1 import RECURRENT, accepts_keras1
from kcore.layers.recurrent.cell import Pass, RecurrentCell, dropped, known_name
from kcore.layers.recurrent.own_cell import OwnCellRNN, over
from kcore.ops import recurrent


class LSTMCell(RecurrentCell):
    """One step of a long short-term memory (Hochreiter 1997).

    With i, f and o the input, forget and output gates and g the candidate, `c = f * c + i * g` and
    `h = o * activation(c)`; h is the output, (h, c) are the states. The columns of the weights are those of i, f, g, o.

    Args:
        units: size of the output and of each state.
        activation: name or function, for candidate and cell state.
        recurrent_activation: name or function, for the gates.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        unit_forget_bias: whether the bias of the forget gate starts with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of h to drop in training.
        implementation: 1 multiplies gate by gate, each with a dropout mask of its own; 2 all gates at once.
    """

    gates = 4

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, implementation: int = 2, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set_options(locals())
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.implementation = implementation
        self.state_size = (self.units, self.units)

    def build(self, input_shape: Any) -> None:
        """Make kernel (features, 4u), recurrent_kernel (u, 4u) and bias (4u,)."""
        u, start = self.units, None
        if self.unit_forget_bias:
            given = self.bias_initializer
            start = parameters.in_parts((u, given), (u, initializers.Ones()), (2 * u, given))
        self._make_weights(input_shape, (4 * u,), start)

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        """One step: the output h, and the new states [h, c]."""
        h, c = states[0], states[1]
        masks, recurrent_masks = self._masks(inputs, training)
        step = self._gate_by_gate if self.implementation == 1 else self._all_at_once
        i, f, g, o = step(inputs, h, masks, recurrent_masks)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        self._mark_phase(h, training)
        return h, [h, c]

    def _gate_by_gate(self, inputs: Any, h: Any, masks: Any, recurrent_masks: Any) -> list[Any]:
        gates = []
        for gate in range(4):
            columns = slice(gate * self.units, (gate + 1) * self.units)
            z = K.dot(dropped(inputs, masks, gate), self.kernel[:, columns])
            z = z if self.bias is None else z + self.bias[columns]
            gates.append(z + K.dot(dropped(h, recurrent_masks, gate), self.recurrent_kernel[:, columns]))
        return gates

    def _all_at_once(self, inputs: Any, h: Any, masks: Any, recurrent_masks: Any) -> list[Any]:
        z = K.dot(dropped(inputs, masks), self.kernel) + K.dot(dropped(h, recurrent_masks), self.recurrent_kernel)
        if self.bias is not None:
            z = K.bias_add(z, self.bias, data_format="channels_last")
        return [z[:, gate * self.units : (gate + 1) * self.units] for gate in range(4)]

    def _sequence_op(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool
    ) -> Pass | None:
        activation, gate = known_name(self.activation), known_name(self.recurrent_activation)
        if activation is None or gate is None or type(self).call is not LSTMCell.call:
            return None
        last, outputs, h, c = recurrent.lstm(
            inputs, states[0], states[1], self.kernel, self.recurrent_kernel, self.bias, mask, activation, gate,
            return_sequences, go_backwards,
        )  # fmt: skip
        return last, outputs, [h, c]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
            "implementation": self.implementation,
        }
        return parameters.in_order(self, config)


@over(LSTMCell)
class LSTM(OwnCellRNN):
    """LSTMCell over time.

    Args:
        units: size of the output and of each state.
        activation: name or function, for candidate and cell state.
        recurrent_activation: name or function, for the gates.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        unit_forget_bias: whether the bias of the forget gate starts with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of h to drop in training.
        implementation: as for LSTMCell.
        return_sequences, return_state, go_backwards, stateful, unroll: as for RNN.

    With `return_state` the outputs are the output, h and c.
    """

    @accepts_keras1(RECURRENT)
    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, implementation: int = 2, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_over(LSTMCell, locals())
