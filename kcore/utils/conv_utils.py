"""Arguments and sizes of convolutions and pooling: what layers and users of Keras 2 compute with plain integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError

PADDINGS = ("valid", "same", "causal")


def normalize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """A tuple of `n` integers from one integer or as many.

    Args:
        value: an integer, or an iterable of `n` integers.
        n: length of the tuple.
        name: of the argument, for the error.

    Raises:
        ArgumentError: anything else.

    >>> normalize_tuple(3, 2, "kernel_size"), normalize_tuple([1, 2], 2, "strides")
    ((3, 3), (1, 2))
    """
    if isinstance(value, (int, np.integer)):
        return (int(value),) * n
    try:
        items = tuple(value)
    except TypeError:
        items = ()
    if len(items) != n or not all(_is_integer(item) for item in items):
        raise ArgumentError(f"The `{name}` argument must be a tuple of {n} integers. Received: {value!r}")
    return tuple(int(item) for item in items)


def _is_integer(item: Any) -> bool:
    try:
        return int(item) == item
    except (TypeError, ValueError):
        return False


def normalize_padding(value: Any) -> str:
    """`valid`, `same` or `causal` in lower case. Raises ArgumentError for anything else.

    >>> normalize_padding("SAME")
    'same'
    """
    padding = value.lower() if isinstance(value, str) else value
    if padding not in PADDINGS:
        raise ArgumentError(
            f'The `padding` argument must be one of "valid", "same" (or "causal" for Conv1D). Received: {value!r}'
        )
    return str(padding)


def convert_kernel(kernel: Any) -> np.ndarray:
    """A convolution kernel turned around in space: from Theano's convention to TensorFlow's, and back.

    Args:
        kernel: array of shape (*spatial, in, out) with one to three spatial axes.

    Raises:
        ShapeError: another rank.

    >>> convert_kernel(np.arange(3.).reshape(3, 1, 1)).ravel()
    array([2., 1., 0.])
    """
    kernel = np.asarray(kernel)
    if not 3 <= kernel.ndim <= 5:
        raise ShapeError(f"Invalid kernel shape: {kernel.shape}; expected (*spatial, in, out) of rank 3, 4 or 5.")
    return np.flip(kernel, tuple(range(kernel.ndim - 2))).copy()


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """The number of windows along an axis; None where the length is not known.

    Args:
        input_length: elements along the axis.
        filter_size: elements that a window sees.
        padding: `valid`, `same`, `causal` or `full`.
        stride: distance between windows.
        dilation: distance between the elements that a window sees.

    >>> conv_output_length(28, 3, "valid", 1), conv_output_length(7, 3, "same", 2)
    (26, 4)
    """
    if input_length is None:
        return None
    reach = (filter_size - 1) * dilation
    extra = {"same": 0, "causal": 0, "valid": -reach, "full": reach}[padding]
    return (input_length + extra + stride - 1) // stride


def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """The length that a convolution makes `output_length` windows of; None where that is not known.

    >>> conv_input_length(26, 3, "valid", 1)
    28
    """
    if output_length is None:
        return None
    return (output_length - 1) * stride - 2 * _margin(filter_size, padding) + filter_size


def deconv_length(
    dim_size: Any, stride_size: int, kernel_size: int, padding: str, output_padding: int | None, dilation: int = 1
) -> Any:
    """The length that a transposed convolution makes of an axis; None where the axis has no known length.

    Args:
        dim_size: elements along the axis: an integer, symbolic or not, or None.
        stride_size: distance between windows of the convolution that is transposed.
        kernel_size: elements that its window sees.
        padding: `valid`, `same` or `full`.
        output_padding: elements to add; None for the usual length.
        dilation: distance between the elements that a window sees.

    >>> deconv_length(4, 2, 3, "same", None), deconv_length(4, 2, 3, "valid", None), deconv_length(4, 2, 3, "same", 1)
    (8, 9, 8)
    """
    if dim_size is None:
        return None
    reach = (kernel_size - 1) * dilation + 1
    if output_padding is not None:
        return (dim_size - 1) * stride_size + (reach - 2 * _margin(reach, padding) + output_padding)
    if padding == "same":
        return dim_size * stride_size
    if padding == "valid":
        return dim_size * stride_size + max(reach - stride_size, 0)
    return dim_size * stride_size - (stride_size + reach - 2)


def _margin(size: int, padding: str) -> int:
    """Elements of padding on each side."""
    return {"valid": 0, "same": size // 2, "full": size - 1}[padding]
