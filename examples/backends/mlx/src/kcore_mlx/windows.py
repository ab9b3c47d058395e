"""Convolution and pooling. MLX's layouts are (batch, *space, in) and, of kernels, (out, *space, in / groups).

Each of the three convolutions has the other two as its gradients: MLX's own second derivatives of strided ones have
wrong shapes.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from kcore.backend import array_api_windows
from kcore.ops.windows import spatial_axes, window_pads
from kcore_mlx.table import Dims, kernel, with_gradient

#: The same ops in functions of the array API standard.
GENERAL = array_api_windows.table(mx)

#: Whether MLX's own convolution is used where it can be: on a CPU its matrix products take twice the time.
NATIVE = bool(mx.is_available(mx.gpu))


def _is_native(x: mx.array, kernel_rank: int, groups: int) -> bool:
    # MLX has no gradients of float64 convolutions, no groups in three dimensions, and no empty batches.
    return NATIVE and x.dtype != mx.float64 and (groups == 1 or kernel_rank < 5) and x.size > 0


def _native_conv(x: mx.array, kernel: mx.array, strides: Dims, padding: str, dilation: Dims, data_format: str,
                 groups: int) -> mx.array:  # fmt: skip
    sizes = [x.shape[a] for a in spatial_axes(x.ndim, data_format)]
    pads = window_pads(sizes, kernel.shape[:-2], strides, dilation, padding)
    y = mx.conv_general(
        x if data_format == "channels_last" else mx.moveaxis(x, 1, -1), mx.moveaxis(kernel, -1, 0), stride=strides,
        padding=([before for before, _ in pads], [after for _, after in pads]), kernel_dilation=dilation, groups=groups,
    )  # fmt: skip
    return y if data_format == "channels_last" else mx.moveaxis(y, -1, 1)


@kernel
def conv(x: mx.array, kernel: mx.array, *settings: Any) -> mx.array:
    """Cross-correlation; the settings are strides, padding, dilation, data format, groups."""
    function = _native_conv if _is_native(x, kernel.ndim, settings[-1]) else GENERAL["conv"]

    def pull(g: mx.array, x: mx.array, kernel: mx.array) -> Any:
        return conv_transpose(g, kernel, x.shape, *settings), conv_kernel_grad(x, g, kernel.shape, *settings)

    return with_gradient(lambda x, kernel: function(x, kernel, *settings), pull)(x, kernel)


@kernel
def conv_transpose(x: mx.array, kernel: mx.array, output_shape: Dims, *settings: Any) -> mx.array:
    """The gradient of conv with respect to its input, which has `output_shape`."""

    def transposed(x: mx.array, kernel: mx.array) -> mx.array:
        if not _is_native(x, kernel.ndim, settings[-1]):
            return GENERAL["conv_transpose"](x, kernel, output_shape, *settings)
        return mx.vjp(lambda z: _native_conv(z, kernel, *settings), [mx.zeros(output_shape, x.dtype)], [x])[1][0]

    def pull(g: mx.array, x: mx.array, kernel: mx.array) -> Any:
        return conv(g, kernel, *settings), conv_kernel_grad(g, x, kernel.shape, *settings)

    return with_gradient(transposed, pull)(x, kernel)


@kernel
def conv_kernel_grad(x: mx.array, g: mx.array, kernel_shape: Dims, *settings: Any) -> mx.array:
    """The gradient of conv with respect to its kernel."""

    def by_kernel(x: mx.array, g: mx.array) -> mx.array:
        if not _is_native(x, len(kernel_shape), settings[-1]):
            return GENERAL["conv_kernel_grad"](x, g, kernel_shape, *settings)
        return mx.vjp(lambda k: _native_conv(x, k, *settings), [mx.zeros(kernel_shape, x.dtype)], [g])[1][0]

    def pull(k: mx.array, x: mx.array, g: mx.array) -> Any:
        return conv_transpose(g, k, x.shape, *settings), conv(x, k, *settings)

    return with_gradient(by_kernel, pull)(x, g)


@kernel
def max_pool(x: mx.array, pool_size: Dims, strides: Dims, padding: str, data_format: str) -> mx.array:
    """The maximum of each window; the gradient goes to the first of equals."""
    settings = (pool_size, strides, padding, data_format)

    def pull(g: mx.array, x: mx.array) -> mx.array:
        return GENERAL["max_pool_grad"](g, x, *settings)

    return with_gradient(lambda x: GENERAL["max_pool"](x, *settings), pull)(x)
