"""Transposed convolutions: from the shape of a convolution's output back to the shape of its input."""

from __future__ import annotations

from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers import parameters
from kcore.layers.convolutional.conv import Conv2D, Conv3D, _Conv
from kcore.layers.keras1 import CONV, accepts_keras1
from kcore.ops.shaping import shape_of
from kcore.utils import conv_utils
from kcore.utils.conv_utils import normalize_tuple


class _Transposed(_Conv):
    """What Conv2DTranspose and Conv3DTranspose do otherwise than the convolutions of their rank."""

    output_padding: tuple[int, ...] | None

    def _set_output_padding(self, output_padding: Any) -> None:
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = normalize_tuple(output_padding, self.rank, "output_padding")
            if any(pad >= stride for pad, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ArgumentError(
                    f"{self.name}: strides {self.strides} must be greater than output padding {self.output_padding}."
                )

    def build(self, input_shape: Any) -> None:
        """Make the kernel (*kernel_size, filters, channels) and the bias (filters,)."""
        channels = self._input_channels(input_shape)
        self.kernel = parameters.make(self, "kernel", (*self.kernel_size, self.filters, channels))
        self._make_bias(self.filters)
        self.built = True

    def _length(self, size: Any, i: int) -> Any:
        added = None if self.output_padding is None else self.output_padding[i]
        return conv_utils.deconv_length(
            size, self.strides[i], self.kernel_size[i], self.padding, added, self.dilation_rate[i]
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "output_padding": self.output_padding}


class Conv2DTranspose(_Transposed, Conv2D):
    """Transposed convolution of images (deconvolution).

    Args:
        output_padding: rows and columns added to the output's shape, each less than its stride; None for the usual
            shape.
        filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias: as for Conv2D.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer: likewise.
        kernel_constraint, bias_constraint: likewise.

    Input of shape (batch, rows, cols, channels), output (batch, new_rows, new_cols, filters) with
    `new_rows = (rows - 1) * stride + kernel - 2 * pad + output_padding`.
    """

    @accepts_keras1(CONV, rank=2)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None, dilation_rate: Any = (1, 1),
        activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        Conv2D.__init__(
            self, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self._set_output_padding(output_padding)

    def call(self, inputs: Any) -> Any:
        """activation(conv_transpose(inputs, kernel) + bias)."""
        shape = self._with_space(shape_of(inputs), self._length, self.filters)
        return self._finish(
            K.conv2d_transpose(
                inputs, self.kernel, shape, self.strides, self.padding, self.data_format, self.dilation_rate
            )
        )


class Conv3DTranspose(_Transposed, Conv3D):
    """Transposed convolution of volumes.

    The arguments are those of Conv2DTranspose without `dilation_rate`, with three entries where that takes two. Input
    of shape (batch, depth, rows, cols, channels), output (batch, new_depth, new_rows, new_cols, filters).
    """

    @accepts_keras1(CONV, rank=3)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1, 1), padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        Conv3D.__init__(
            self, filters, kernel_size, strides, padding, data_format, (1, 1, 1), activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip
        self._set_output_padding(output_padding)

    def call(self, inputs: Any) -> Any:
        """activation(conv_transpose(inputs, kernel) + bias)."""
        shape = self._with_space(shape_of(inputs), self._length, self.filters)
        return self._finish(
            K.conv3d_transpose(inputs, self.kernel, shape, self.strides, self.padding, self.data_format)
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["dilation_rate"]
        return config
