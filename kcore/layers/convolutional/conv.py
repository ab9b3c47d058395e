"""Convolutions of one, two and three spatial dimensions, and what all convolutional layers share."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers import parameters
from kcore.layers.base import InputSpec, Layer, check_positive
from kcore.layers.keras1 import CONV, accepts_keras1
from kcore.utils import conv_utils
from kcore.utils.conv_utils import normalize_tuple


class _Conv(Layer):
    """A convolution of `rank` spatial dimensions; the arguments are those of Conv2D."""

    #: Whether `padding='causal'` makes sense.
    _may_be_causal = False

    def __init__(
        self, rank: int, filters: int | None, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = None if filters is None else int(check_positive(self.name, "filters", filters))
        self.kernel_size = normalize_tuple(kernel_size, rank, "kernel_size")
        self.strides = normalize_tuple(strides, rank, "strides")
        self.padding = conv_utils.normalize_padding(padding)
        if self.padding == "causal" and not self._may_be_causal:
            raise ArgumentError(f"{self.name}: padding='causal' is for Conv1D; expected 'valid' or 'same'.")
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, rank, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        parameters.keep_from(self, locals())
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def _input_channels(self, input_shape: Any) -> int:
        """The number of input channels, from now on required of every input."""
        if len(input_shape) != self.rank + 2:
            raise ShapeError(
                f"{self.name} expects inputs of rank {self.rank + 2}: samples, {self.rank} spatial axes and channels; "
                f"received an input of shape {tuple(input_shape)}."
            )
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ShapeError(
                f"The channel dimension of the inputs of {self.name} should be defined. Found `None` in shape "
                f"{tuple(input_shape)}."
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: int(channels)})
        return int(channels)

    def _make_bias(self, size: int | None) -> None:
        self.bias = parameters.make(self, "bias", (size,)) if self.use_bias else None

    def build(self, input_shape: Any) -> None:
        """Make the kernel (*kernel_size, channels, filters) and the bias (filters,)."""
        channels = self._input_channels(input_shape)
        self.kernel = parameters.make(self, "kernel", (*self.kernel_size, channels, self.filters))
        self._make_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(conv(inputs, kernel) + bias)."""
        conv = (K.conv1d, K.conv2d, K.conv3d)[self.rank - 1]
        return self._finish(
            conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        )

    def _finish(self, outputs: Any) -> Any:
        if self.bias is not None:
            outputs = K.bias_add(outputs, self.bias, data_format=self.data_format)
        return self.activation(outputs)

    def _with_space(self, input_shape: Any, length: Any, channels: int | None) -> tuple[Any, ...]:
        """A shape of these channels whose spatial axis i has size `length(size of the input, i)`."""
        first = self.data_format == "channels_first"
        space = input_shape[2:] if first else input_shape[1:-1]
        sizes = [length(n, i) for i, n in enumerate(space)]
        return (input_shape[0], channels, *sizes) if first else (input_shape[0], *sizes, channels)

    def _length(self, size: int | None, i: int) -> int | None:
        return conv_utils.conv_output_length(
            size, self.kernel_size[i], self.padding, self.strides[i], self.dilation_rate[i]
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The number of windows along each spatial axis, and `filters` channels."""
        return self._with_space(input_shape, self._length, self.filters)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "rank": self.rank,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **parameters.described(self, "kernel", "bias", "activity"),
        }
        if type(self) is not _Conv:
            del config["rank"]
        return config


class Conv1D(_Conv):
    """Convolution over time.

    Args:
        filters: number of filters: channels of the output.
        kernel_size: length of the window.
        strides: distance between windows; more than 1 excludes `dilation_rate` above 1.
        padding: `valid`, `same`, or `causal`: step t of the output sees no later step of the input.
        data_format: `channels_last` for inputs (batch, steps, channels), or `channels_first`.
        dilation_rate: distance between the steps that a window sees.
        activation: name or function; none by default.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.

    Input of shape (batch, steps, channels), output (batch, new_steps, filters).
    """

    _may_be_causal = True

    @accepts_keras1(CONV)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = "channels_last", dilation_rate: Any = 1, activation: Any = None,
        use_bias: bool = True, kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if padding == "causal" and data_format != "channels_last":
            raise ArgumentError(
                'When using causal padding in `Conv1D`, `data_format` must be "channels_last" (temporal data); got '
                f"{data_format!r}."
            )
        super().__init__(
            1, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


class Conv2D(_Conv):
    """Convolution of images.

    Args:
        filters: number of filters: channels of the output.
        kernel_size: rows and columns of the window; one integer for both.
        strides: distances between windows; more than 1 excludes `dilation_rate` above 1.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
        dilation_rate: distances between the elements that a window sees.
        activation: name or function; none by default.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, bias_constraint: projections of the weights after each update.

    Input of shape (batch, rows, cols, channels), output (batch, new_rows, new_cols, filters); with the channels after
    the batch for `channels_first`.
    """

    @accepts_keras1(CONV, rank=2)
    def __init__(
        self, filters: int | None, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            2, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


class Conv3D(_Conv):
    """Convolution of volumes.

    The arguments are those of Conv2D, with three entries where Conv2D takes two. Input of shape (batch, dim1, dim2,
    dim3, channels), output (batch, new_dim1, new_dim2, new_dim3, filters); with the channels after the batch for
    `channels_first`.
    """

    @accepts_keras1(CONV, rank=3)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1, 1), activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            3, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
