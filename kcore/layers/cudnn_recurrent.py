"""CuDNNGRU and CuDNNLSTM: the weights of Keras 2's cuDNN layers, computed by the ordinary ops on any device.

Compared with GRU and LSTM, inputs and states have a bias each, in one vector; the activations are fixed; there is no
mask and no dropout.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from kcore import backend as K
from kcore import initializers
from kcore.errors import ArgumentError
from kcore.layers import parameters
from kcore.layers.base import Layer, check_positive
from kcore.layers.recurrent.rnn import RNN
from kcore.ops import recurrent


class _CuDNNRNN(RNN):
    """What both layers share; they own their weights, `cell` only says how large the states are."""

    units: int
    bias_initializer: Any
    gates: int
    number_of_states: int

    def _init_cudnn(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments that both layers have, of the `locals()` of the constructor."""
        kwargs = arguments["kwargs"]
        go_backwards = kwargs.pop("go_backwards", False)
        self._init_rnn(
            arguments["return_sequences"], arguments["return_state"], go_backwards, arguments["stateful"], False, kwargs
        )
        self.supports_masking = False
        self.units = int(check_positive(self.name, "units", arguments["units"]))
        parameters.keep_from(self, arguments)

    @property
    def cell(self) -> Any:
        """The sizes of the states."""
        size = self.units if self.number_of_states == 1 else (self.units,) * self.number_of_states
        return SimpleNamespace(state_size=size, output_size=self.units)

    def build(self, input_shape: Any) -> None:
        """Make kernel (features, gates * u), recurrent_kernel (u, gates * u) and bias (2 * gates * u,)."""
        super().build(input_shape)
        features = (input_shape[0] if isinstance(input_shape, list) else input_shape)[-1]
        columns = self.gates * self.units
        self.kernel = parameters.make(self, "kernel", (features, columns))
        self.recurrent_kernel = parameters.make(self, "recurrent_kernel", (self.units, columns), "recurrent")
        self.bias = parameters.make(self, "bias", (2 * columns,), initializer=self._bias_start())
        self.built = True

    def _bias_start(self) -> Any:
        return self.bias_initializer

    def call(  # type: ignore[override]
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None
    ) -> Any:
        """The outputs (and final states) over the sequence."""
        mask = mask[0] if isinstance(mask, list) else mask
        if mask is not None:
            raise ArgumentError(
                f"Masking is not supported for CuDNN RNNs; {self.name} was given a mask. Use GRU or LSTM."
            )
        return super().call(inputs, training=training, initial_state=initial_state)

    def _iterate(
        self, inputs: Any, states: list[Any], constants: Any, mask: Any, training: Any
    ) -> tuple[Any, list[Any]]:
        if constants:
            raise ArgumentError(f"{self.name} does not support constants.")
        last, outputs, *final = self._sequence(inputs, states)
        return (outputs if self.return_sequences else last), final

    def _sequence(self, inputs: Any, states: list[Any]) -> list[Any]:
        raise NotImplementedError

    def _plain_kernels(self) -> tuple[Any, Any]:
        """Kernels for products from the left: cuDNN reads each gate's numbers as a matrix (u, features)."""
        features = K.int_shape(self.kernel)[0]
        own = [K.transpose(K.reshape(gate, (self.units, features))) for gate in self._gates_of(self.kernel)]
        recurrent_ = [K.transpose(gate) for gate in self._gates_of(self.recurrent_kernel)]
        return K.concatenate(own), K.concatenate(recurrent_)

    def _gates_of(self, kernel: Any) -> list[Any]:
        return [kernel[:, i * self.units : (i + 1) * self.units] for i in range(self.gates)]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **Layer.get_config(self),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "units": self.units,
            **parameters.described(self, "kernel", "recurrent", "bias", "activity"),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:  # type: ignore[override]
        """A layer from the result of `get_config`."""
        return cls(**config)


class CuDNNGRU(_CuDNNRNN):
    """GRU with `reset_after`, in the weights' layout of cuDNN.

    Args:
        units: size of the output and of the state.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        return_sequences, return_state, stateful, go_backwards: as for RNN.
    """

    gates = 3
    number_of_states = 1

    def __init__(
        self, units: int, kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, return_sequences: bool = False,
        return_state: bool = False, stateful: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_cudnn(locals())

    def _sequence(self, inputs: Any, states: list[Any]) -> list[Any]:
        bias = K.reshape(self.bias, (2, 3 * self.units))
        return recurrent.gru(  # type: ignore[no-any-return]
            inputs, states[0], *self._plain_kernels(), bias, None, "tanh", "sigmoid", True,
            self.return_sequences, self.go_backwards,
        )  # fmt: skip


class CuDNNLSTM(_CuDNNRNN):
    """LSTM in the weights' layout of cuDNN.

    Args:
        units: size of the output and of each state.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        unit_forget_bias: whether the state's bias of the forget gate starts with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        return_sequences, return_state, stateful, go_backwards: as for RNN.
    """

    gates = 4
    number_of_states = 2

    def __init__(
        self, units: int, kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        return_sequences: bool = False, return_state: bool = False, stateful: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_cudnn(locals())
        self.unit_forget_bias = unit_forget_bias

    def _bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        u, given = self.units, self.bias_initializer
        return parameters.in_parts((5 * u, given), (u, initializers.Ones()), (2 * u, given))

    def _sequence(self, inputs: Any, states: list[Any]) -> list[Any]:
        columns = 4 * self.units
        bias = self.bias[:columns] + self.bias[columns:]
        return recurrent.lstm(  # type: ignore[no-any-return]
            inputs, states[0], states[1], *self._plain_kernels(), bias, None, "tanh", "sigmoid",
            self.return_sequences, self.go_backwards,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
