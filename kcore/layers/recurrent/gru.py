"""Gated recurrent units: GRUCell, and GRU over time."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore import backend as K
from kcore.layers import parameters
from kcore.layers.keras1 import RECURRENT, accepts_keras1
from kcore.layers.recurrent.cell import Pass, RecurrentCell, dropped, known_name
from kcore.layers.recurrent.own_cell import OwnCellRNN, over
from kcore.ops import recurrent

Gates = tuple[Any, Any, Any]


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit (Cho et al. 2014).

    With z the update gate, r the reset gate and `h' = activation(inputs, r * h)` the candidate, the new state, which is
    the output, is `z * h + (1 - z) * h'`. The columns of the weights are those of z, r and the candidate.

    Args:
        units: size of the output and of the state.
        activation: name or function, for the candidate.
        recurrent_activation: name or function, for the gates.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of the state to drop in training.
        implementation: 1 multiplies gate by gate, each with a dropout mask of its own; 2 all gates at once.
        reset_after: let r act after the product with the recurrent kernel, which then has a bias of its own (as cuDNN
            does), not before.
    """

    gates = 3

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, recurrent_constraint: Any = None,
        bias_constraint: Any = None, dropout: float = 0.0, recurrent_dropout: float = 0.0, implementation: int = 2,
        reset_after: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self._set_options(locals())
        self.recurrent_activation = activations.get(recurrent_activation)
        self.implementation = implementation
        self.reset_after = reset_after

    def build(self, input_shape: Any) -> None:
        """Make kernel (features, 3u), recurrent_kernel (u, 3u) and bias (3u,), or (2, 3u) with `reset_after`."""
        columns = 3 * self.units
        self._make_weights(input_shape, (2, columns) if self.reset_after else (columns,))

    @property
    def _biases(self) -> tuple[Any, Any]:
        """The biases of the inputs' and of the state's products."""
        if self.bias is not None and self.reset_after:
            return self.bias[0], self.bias[1]
        return self.bias, None

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        """One step: the output, and the list of it as new state."""
        masks, recurrent_masks = self._masks(inputs, training)
        step = self._gate_by_gate if self.implementation == 1 else self._all_at_once
        h = step(inputs, states[0], masks, recurrent_masks)
        self._mark_phase(h, training)
        return h, [h]

    def _gate_by_gate(self, inputs: Any, h: Any, masks: Any, recurrent_masks: Any) -> Any:
        bias, recurrent_bias = self._biases

        def product(x: Any, masks: Any, kernel: Any, bias: Any, gate: int) -> Any:
            columns = slice(gate * self.units, (gate + 1) * self.units)
            y = K.dot(dropped(x, masks, gate), kernel[:, columns])
            return y if bias is None else y + bias[columns]

        x = [product(inputs, masks, self.kernel, bias, gate) for gate in range(3)]

        def inner_product(gate: int) -> Any:
            return product(h, recurrent_masks, self.recurrent_kernel, recurrent_bias, gate)

        z, r = (self.recurrent_activation(x[gate] + inner_product(gate)) for gate in range(2))
        if self.reset_after:
            inner = r * inner_product(2)
        else:
            inner = K.dot(r * dropped(h, recurrent_masks, 2), self.recurrent_kernel[:, 2 * self.units :])
        return z * h + (1 - z) * self.activation(x[2] + inner)

    def _all_at_once(self, inputs: Any, h: Any, masks: Any, recurrent_masks: Any) -> Any:
        bias, recurrent_bias = self._biases
        u = self.units
        x = K.dot(dropped(inputs, masks), self.kernel)
        if bias is not None:
            x = K.bias_add(x, bias, data_format="channels_last")
        h = dropped(h, recurrent_masks)  # also the h that z keeps: so does Keras 2
        if self.reset_after:
            inner = K.dot(h, self.recurrent_kernel)
            if recurrent_bias is not None:
                inner = K.bias_add(inner, recurrent_bias, data_format="channels_last")
        else:
            inner = K.dot(h, self.recurrent_kernel[:, : 2 * u])
        z = self.recurrent_activation(x[:, :u] + inner[:, :u])
        r = self.recurrent_activation(x[:, u : 2 * u] + inner[:, u : 2 * u])
        candidate = r * inner[:, 2 * u :] if self.reset_after else K.dot(r * h, self.recurrent_kernel[:, 2 * u :])
        return z * h + (1 - z) * self.activation(x[:, 2 * u :] + candidate)

    def _sequence_op(
        self, inputs: Any, states: list[Any], mask: Any, return_sequences: bool, go_backwards: bool
    ) -> Pass | None:
        activation, gate = known_name(self.activation), known_name(self.recurrent_activation)
        if activation is None or gate is None or type(self).call is not GRUCell.call:
            return None
        last, outputs, h = recurrent.gru(
            inputs, states[0], self.kernel, self.recurrent_kernel, self.bias, mask, activation, gate, self.reset_after,
            return_sequences, go_backwards,
        )  # fmt: skip
        return last, outputs, [h]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "implementation": self.implementation,
            "reset_after": self.reset_after,
        }
        return parameters.in_order(self, config)


@over(GRUCell)
class GRU(OwnCellRNN):
    """GRUCell over time.

    Args:
        units: size of the output and of the state.
        activation: name or function, for the candidate.
        recurrent_activation: name or function, for the gates.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of the state to drop in training.
        implementation: as for GRUCell.
        return_sequences, return_state, go_backwards, stateful, unroll: as for RNN.
        reset_after: as for GRUCell.
    """

    @accepts_keras1(RECURRENT)
    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, implementation: int = 2, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        reset_after: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_over(GRUCell, locals())
