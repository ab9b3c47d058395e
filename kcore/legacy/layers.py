"""Layers that Keras 2 kept from Keras 1: MaxoutDense, Highway, and the bases of recurrent layers without cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from kcore import activations, constraints, initializers, regularizers
from kcore import backend as K
from kcore.layers import parameters
from kcore.layers.base import InputSpec, Layer
from kcore.layers.convolutional import AtrousConvolution1D, AtrousConvolution2D
from kcore.layers.convolutional_recurrent import ConvRNN2D
from kcore.layers.recurrent.cell import Pass
from kcore.layers.recurrent.rnn import RNN
from kcore.utils.conv_utils import normalize_padding, normalize_tuple

__all__ = [
    "AtrousConvolution1D", "AtrousConvolution2D", "ConvRecurrent2D", "Highway", "MaxoutDense", "Recurrent",
]  # fmt: skip


class _Keras1Dense(Layer):
    """What the two layers below share: the arguments for `W` and `b` by their names of Keras 1."""

    def __init__(
        self, init: Any, weights: Any, W_regularizer: Any, b_regularizer: Any, activity_regularizer: Any,
        W_constraint: Any, b_constraint: Any, bias: bool, input_dim: int | None, **kwargs: Any,
    ) -> None:  # fmt: skip
        warnings.warn(
            f"The layer {type(self).__name__} is of Keras 1 and is deprecated; build it from Dense and merge layers.",
            stacklevel=3,
        )
        if input_dim:
            kwargs["input_shape"] = (input_dim,)
        super().__init__(weights=weights, **kwargs)
        self.init = initializers.get(init)
        self.W_regularizer = regularizers.get(W_regularizer)
        self.b_regularizer = regularizers.get(b_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.W_constraint = constraints.get(W_constraint)
        self.b_constraint = constraints.get(b_constraint)
        self.bias = bias
        self.input_dim = input_dim
        self.input_spec = InputSpec(ndim=2)

    def _make_kernel(self, shape: tuple[int, ...]) -> None:
        self.W = self.add_weight("W", shape, None, self.init, self.W_regularizer, True, self.W_constraint)

    def _make_bias(self, shape: tuple[int, ...]) -> None:
        self.b = None
        if self.bias:
            self.b = self.add_weight("b", shape, None, "zeros", self.b_regularizer, True, self.b_constraint)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "init": initializers.serialize(self.init),
            "W_regularizer": regularizers.serialize(self.W_regularizer),
            "b_regularizer": regularizers.serialize(self.b_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "W_constraint": constraints.serialize(self.W_constraint),
            "b_constraint": constraints.serialize(self.b_constraint),
            "bias": self.bias,
            "input_dim": self.input_dim,
        }


class MaxoutDense(_Keras1Dense):
    """The largest of several Dense layers: `max_j(x @ W[j] + b[j])` (Goodfellow et al. 2013, Maxout Networks).

    Args:
        output_dim: size of the output.
        nb_feature: how many linear layers compete.
        init: initializer of `W`.
        weights: initial values [W, b], of shapes (nb_feature, input_dim, output_dim) and (nb_feature, output_dim).
        W_regularizer, b_regularizer, activity_regularizer: penalties.
        W_constraint, b_constraint: projections after updates.
        bias: whether there is a `b`.
        input_dim: size of the input, for the first layer of a model.
    """

    def __init__(
        self, output_dim: int, nb_feature: int = 4, init: Any = "glorot_uniform", weights: Any = None,
        W_regularizer: Any = None, b_regularizer: Any = None, activity_regularizer: Any = None,
        W_constraint: Any = None, b_constraint: Any = None, bias: bool = True, input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(init, weights, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint,
                         bias, input_dim, **kwargs)  # fmt: skip
        self.output_dim = output_dim
        self.nb_feature = nb_feature

    def build(self, input_shape: Any) -> None:
        """W (nb_feature, input_dim, output_dim) and b (nb_feature, output_dim)."""
        self.input_spec = InputSpec(dtype=K.floatx(), shape=(None, input_shape[1]))
        self._make_kernel((self.nb_feature, input_shape[1], self.output_dim))
        self._make_bias((self.nb_feature, self.output_dim))
        self.built = True

    def call(self, x: Any) -> Any:
        """The formula."""
        output = K.dot(x, self.W)
        if self.b is not None:
            output = output + self.b
        return K.max(output, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, output_dim)."""
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"output_dim": self.output_dim, "init": initializers.serialize(self.init), "nb_feature": self.nb_feature}
        return {**Layer.get_config(self), **own, **super().get_config()}


class Highway(_Keras1Dense):
    """A Dense layer with a gate that lets its input pass: `t * activation(x @ W + b) + (1 - t) * x`.

    The gate is `t = sigmoid(x @ W_carry + b_carry)` (Srivastava et al. 2015, Highway Networks).

    Args:
        init: initializer of `W` and `W_carry`.
        activation: name or function.
        weights: initial values [W, W_carry, b, b_carry].
        W_regularizer, b_regularizer, activity_regularizer: penalties.
        W_constraint, b_constraint: projections after updates.
        bias: whether there are `b` and `b_carry`.
        input_dim: size of the input, for the first layer of a model.
    """

    def __init__(
        self, init: Any = "glorot_uniform", activation: Any = None, weights: Any = None, W_regularizer: Any = None,
        b_regularizer: Any = None, activity_regularizer: Any = None, W_constraint: Any = None,
        b_constraint: Any = None, bias: bool = True, input_dim: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        kwargs.pop("transform_bias", None)  # Keras 2 dropped it, with a warning
        super().__init__(init, weights, W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint,
                         bias, input_dim, **kwargs)  # fmt: skip
        self.activation = activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """W and W_carry (input_dim, input_dim), b and b_carry (input_dim,)."""
        size = input_shape[1]
        self.input_spec = InputSpec(dtype=K.floatx(), shape=(None, size))
        self._make_kernel((size, size))
        self.W_carry = self.add_weight("W_carry", (size, size), None, self.init)
        self._make_bias((size,))
        self.b_carry = self.add_weight("b_carry", (size,), None, "ones") if self.bias else None
        self.built = True

    def call(self, x: Any) -> Any:
        """The formula."""
        gate, y = K.dot(x, self.W_carry), K.dot(x, self.W)
        if self.bias:
            gate, y = gate + self.b_carry, y + self.b
        gate = activations.sigmoid(gate)
        return self.activation(y) * gate + (1 - gate) * x

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return parameters.in_order(self, {**super().get_config(), "activation": activations.serialize(self.activation)})


class _OwnStep:
    """A layer without a cell as a cell: its `step`, and its attributes."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_layer"], name)

    @property
    def state_size(self) -> list[int]:
        """The layer's `units` (`filters` of a convolution) for each of the `states` that its `build` has set."""
        size = getattr(self._layer, "units", None) or self._layer.filters
        return [size] * len(self._layer._states or [None])

    def call(self, inputs: Any, states: Any) -> Any:
        """One step of the layer."""
        return self._layer.step(inputs, states)


class Recurrent(RNN):
    """Base of recurrent layers that define `step(inputs, states) -> (output, new states)` themselves, without a cell.

    A subclass has `units`, and its `build` sets `states` to a list of None, one per state, or calls `reset_states`.

    Args:
        return_sequences, return_state, go_backwards, stateful, unroll: as for RNN.
        implementation: kept for the subclass.
    """

    def __init__(
        self, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, implementation: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_rnn(return_sequences, return_state, go_backwards, stateful, unroll, kwargs)
        self.cell: Any = _OwnStep(self)
        self.implementation = implementation
        self.dropout = 0.0
        self.recurrent_dropout = 0.0

    def step(self, inputs: Any, states: list[Any]) -> Any:
        """One step; `states` are followed by what `get_constants` gives."""
        raise NotImplementedError(f"{type(self).__name__} does not define step(inputs, states).")

    def get_constants(self, inputs: Any, training: Any = None) -> list[Any]:
        """Tensors that `step` takes besides the states (dropout masks)."""
        return []

    def preprocess_input(self, inputs: Any, training: Any = None) -> Any:
        """What can be computed for all steps at once."""
        return inputs

    def _loop(self, inputs: Any, states: list[Any], constants: list[Any] | None, mask: Any, training: Any) -> Pass:
        return K.rnn(  # type: ignore[no-any-return]
            self.step, self.preprocess_input(inputs, training=training), states, go_backwards=self.go_backwards,
            mask=mask, constants=self.get_constants(inputs, training=training), unroll=self.unroll,
            input_length=K.int_shape(inputs)[1],
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**self._config_without_cell(), "implementation": self.implementation}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:  # type: ignore[override]
        """A layer from the result of `get_config`."""
        return cls(**config)


class ConvRecurrent2D(Recurrent, ConvRNN2D):
    """Base of recurrent layers over images, (batch, time, rows, cols, channels), without a cell.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: of the convolution.
        return_sequences, go_backwards, stateful: as for RNN.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), return_sequences: bool = False,
        go_backwards: bool = False, stateful: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            return_sequences=return_sequences, go_backwards=go_backwards, stateful=stateful, **kwargs
        )
        self.filters = filters
        self.kernel_size = normalize_tuple(kernel_size, 2, "kernel_size")
        self.strides = normalize_tuple(strides, 2, "strides")
        self.padding = normalize_padding(padding)
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, 2, "dilation_rate")
        self.input_spec = [InputSpec(ndim=5)]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }
