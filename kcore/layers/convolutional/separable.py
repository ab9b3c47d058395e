"""Convolutions that treat each channel alone: depthwise, and separable (depthwise, then pointwise)."""

from __future__ import annotations

from typing import Any

from kcore import backend as K
from kcore.layers import parameters
from kcore.layers.base import check_positive
from kcore.layers.convolutional.conv import Conv2D, _Conv
from kcore.layers.keras1 import SEPARABLE, accepts_keras1


class _SeparableConv(_Conv):
    """A separable convolution of `rank` spatial dimensions; the arguments are those of SeparableConv2D."""

    def __init__(
        self, rank: int, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None,
        use_bias: bool = True, depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, pointwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None, pointwise_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            rank, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = check_positive(self.name, "depth_multiplier", depth_multiplier)
        parameters.keep_from(self, locals())

    def build(self, input_shape: Any) -> None:
        """Make the two kernels and the bias (filters,)."""
        channels, multiplier = self._input_channels(input_shape), self.depth_multiplier
        deep = (*self.kernel_size, channels, multiplier)
        self.depthwise_kernel = parameters.make(self, "depthwise_kernel", deep, "depthwise")
        wide = ((1,) * self.rank) + (channels * multiplier, self.filters)
        self.pointwise_kernel = parameters.make(self, "pointwise_kernel", wide, "pointwise")
        self._make_bias(self.filters)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(pointwise(depthwise(inputs)) + bias)."""
        conv = (K.separable_conv1d, K.separable_conv2d)[self.rank - 1]
        outputs = conv(
            inputs, self.depthwise_kernel, self.pointwise_kernel, strides=self.strides, padding=self.padding,
            data_format=self.data_format, dilation_rate=self.dilation_rate,
        )  # fmt: skip
        return self._finish(outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            **parameters.described(self, "depthwise", "pointwise"),
        }
        return _without_kernel(config)


def _without_kernel(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("kernel_") or key == "kernel_size"}


class SeparableConv1D(_SeparableConv):
    """Convolution over time of each channel alone, then of all channels at each step.

    Args:
        filters: channels of the output.
        kernel_size: length of the window.
        strides: distance between windows; more than 1 excludes `dilation_rate` above 1.
        padding: `valid` or `same`.
        data_format: `channels_last` or `channels_first`.
        dilation_rate: distance between the steps that a window sees.
        depth_multiplier: how many channels the first part makes of each.
        activation: name or function; none by default.
        use_bias: whether a bias is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: how the weights start.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        depthwise_constraint, pointwise_constraint, bias_constraint: projections of the weights after each update.

    Input of shape (batch, steps, channels), output (batch, new_steps, filters).
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = "channels_last", dilation_rate: Any = 1, depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, pointwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None, pointwise_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            1, filters, kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier, activation,
            use_bias, depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint, pointwise_constraint,
            bias_constraint, **kwargs,
        )  # fmt: skip


class SeparableConv2D(_SeparableConv):
    """Convolution of each channel of images alone, then of all channels at each pixel.

    The arguments are those of SeparableConv1D, with rows and columns where that takes one number; `data_format` is that
    of the configuration when None. Input of shape (batch, rows, cols, channels), output (batch, new_rows, new_cols,
    filters).
    """

    @accepts_keras1(SEPARABLE, rank=2)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), depth_multiplier: int = 1,
        activation: Any = None, use_bias: bool = True, depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, pointwise_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, depthwise_constraint: Any = None, pointwise_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            2, filters, kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier, activation,
            use_bias, depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint, pointwise_constraint,
            bias_constraint, **kwargs,
        )  # fmt: skip


class DepthwiseConv2D(Conv2D):
    """Convolution of each channel of images with filters of its own.

    Args:
        kernel_size: rows and columns of the window; one integer for both.
        depth_multiplier: how many channels are made of each.
        depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the kernel.
        strides, padding, data_format, dilation_rate, activation, use_bias: as for Conv2D.
        bias_initializer, bias_regularizer, activity_regularizer, bias_constraint: likewise.

    Input of shape (batch, rows, cols, channels), output (batch, new_rows, new_cols, channels * depth_multiplier).
    """

    def __init__(
        self, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = (1, 1), activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            None, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer=bias_initializer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, bias_constraint=bias_constraint, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = check_positive(self.name, "depth_multiplier", depth_multiplier)
        parameters.keep_from(self, locals())

    def build(self, input_shape: Any) -> None:
        """Make the kernel (rows, cols, channels, depth_multiplier) and the bias."""
        channels, multiplier = self._input_channels(input_shape), self.depth_multiplier
        shape = (*self.kernel_size, channels, multiplier)
        self.depthwise_kernel = parameters.make(self, "depthwise_kernel", shape, "depthwise")
        self._make_bias(channels * multiplier)
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        """activation(depthwise(inputs) + bias)."""
        outputs = K.depthwise_conv2d(
            inputs, self.depthwise_kernel, strides=self.strides, padding=self.padding, data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )  # fmt: skip
        return self._finish(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The number of windows along each spatial axis, and `channels * depth_multiplier` channels."""
        channels = input_shape[self._channel_axis] * self.depth_multiplier
        return self._with_space(input_shape, self._length, channels)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            **parameters.described(self, "depthwise"),
        }
        del config["filters"]
        return _without_kernel(config)
