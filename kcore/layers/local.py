"""Locally connected layers: convolutions with other weights at each position."""

from __future__ import annotations

import math
from typing import Any

from kcore import activations, regularizers
from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers import parameters
from kcore.layers.base import InputSpec, Layer, check_positive
from kcore.layers.keras1 import CONV, accepts_keras1
from kcore.utils.conv_utils import conv_output_length, normalize_padding, normalize_tuple


class _LocallyConnected(Layer):
    """What both ranks share; the arguments are those of LocallyConnected2D."""

    rank: int

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any, padding: str, data_format: str | None, activation: Any,
        use_bias: bool, activity_regularizer: Any, weights_start: dict[str, Any], **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.filters = int(check_positive(self.name, "filters", filters))
        self.kernel_size = normalize_tuple(kernel_size, self.rank, "kernel_size")
        self.strides = normalize_tuple(strides, self.rank, "strides")
        self.padding = normalize_padding(padding)
        if self.padding != "valid":
            raise ArgumentError(
                f'Invalid border mode for {type(self).__name__} (only "valid" is supported): {padding!r}'
            )
        self.data_format = K.normalize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        parameters.keep(self, **weights_start)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _channel_axis(self) -> int:
        return -1

    def _space(self, input_shape: Any) -> tuple[Any, ...]:
        """The number of windows along each spatial axis."""
        sizes = input_shape[1:-1] if self._channel_axis == -1 else input_shape[2:]
        return tuple(
            conv_output_length(n, k, self.padding, s)
            for n, k, s in zip(sizes, self.kernel_size, self.strides, strict=True)
        )

    def build(self, input_shape: Any) -> None:
        """Make the kernel (positions, window * channels, filters) and the bias (*positions, filters)."""
        if None in input_shape[1:]:
            raise ShapeError(
                f"The spatial dimensions and the channels of the inputs to {self.name} should be fully-defined, but it "
                f"received the input shape {tuple(input_shape)}."
            )
        channels, space = input_shape[self._channel_axis], self._space(input_shape)
        if min(space) < 1:
            raise ShapeError(
                f"{self.name}: a window of size {self.kernel_size} does not fit the input of shape "
                f"{tuple(input_shape)}."
            )
        self._output_space = space
        self.kernel_shape = (math.prod(space), math.prod(self.kernel_size) * channels, self.filters)
        self.kernel = parameters.make(self, "kernel", self.kernel_shape)
        self.bias = parameters.make(self, "bias", (*space, self.filters)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The number of windows along each spatial axis, and `filters` channels."""
        space = self._space(input_shape)
        if self._channel_axis == -1:
            return (input_shape[0], *space, self.filters)
        return (input_shape[0], self.filters, *space)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            **parameters.described(self, "kernel", "bias"),
        }
        return parameters.in_order(self, config)


class LocallyConnected1D(_LocallyConnected):
    """A convolution over time with other weights at each step.

    Args:
        filters: channels of the output.
        kernel_size: length of the window.
        strides: distance between windows.
        padding: `valid` only.
        data_format: checked, and otherwise ignored: the channels are last.
        activation: name or function; none by default.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.

    Input of shape (batch, steps, channels), output (batch, new_steps, filters); the number of steps must be known.
    """

    rank = 1

    @accepts_keras1(CONV)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        weights_start = {
            "kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer,
            "kernel_constraint": kernel_constraint, "bias_initializer": bias_initializer,
            "bias_regularizer": bias_regularizer, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, activation, use_bias, activity_regularizer,
            weights_start, **kwargs,
        )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """activation(local_conv(inputs, kernel) + bias)."""
        output = K.local_conv1d(inputs, self.kernel, self.kernel_size, self.strides)
        if self.bias is not None:
            output = K.bias_add(output, self.bias, data_format="channels_last")
        return self.activation(output)


class LocallyConnected2D(_LocallyConnected):
    """A convolution of images with other weights at each position.

    The arguments are those of LocallyConnected1D, with rows and columns where that takes one number; `data_format` is
    `channels_last` or `channels_first`, that of the configuration when None. Input of shape (batch, rows, cols,
    channels), output (batch, new_rows, new_cols, filters); rows and columns must be known.
    """

    rank = 2

    @accepts_keras1(CONV, rank=2)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        weights_start = {
            "kernel_initializer": kernel_initializer, "kernel_regularizer": kernel_regularizer,
            "kernel_constraint": kernel_constraint, "bias_initializer": bias_initializer,
            "bias_regularizer": bias_regularizer, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            filters, kernel_size, strides, padding, data_format, activation, use_bias, activity_regularizer,
            weights_start, **kwargs,
        )  # fmt: skip

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def call(self, inputs: Any) -> Any:
        """activation(local_conv(inputs, kernel) + bias)."""
        output = K.local_conv2d(
            inputs, self.kernel, self.kernel_size, self.strides, self._output_space, self.data_format
        )
        if self.bias is not None:
            output = K.bias_add(output, self.bias, data_format=self.data_format)
        return self.activation(output)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return parameters.in_order(self, {**super().get_config(), "data_format": self.data_format})
