"""Convolution, and the two primitives that are its gradients; each one's gradient is made of the other two.

Spatial rank 1, 2 or 3 comes from the tensor's rank. A kernel is always (*spatial, in / groups, out).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.shaping import shape_of
from kcore.ops.spec import Dims, Tensor, primitive
from kcore.ops.windows import (
    channel_axis,
    check_dims,
    check_window_arguments,
    offsets,
    padded,
    spatial_axes,
    window_output,
    window_pads,
    window_shape,
    windows,
)

_TUPLES = ("strides", "dilation")


# --- rules ------------------------------------------------------------------------------------------------------------


def _normalize(op: str, dims: str | None = None) -> Any:
    def normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
        check_window_arguments(op, arguments, specs["x"].rank, _TUPLES)
        arguments["groups"] = int(arguments["groups"])
        if dims is not None:
            check_dims(arguments, dims)

    return normalize


def _images(shape: Sequence[int | None], channels: int | None, data_format: str, batch: int | None) -> tuple[Any, ...]:
    return (batch, *shape, channels) if data_format == "channels_last" else (batch, channels, *shape)


def _check_kernel(op: str, kernel: Sequence[int | None], rank: int, channels: int | None, groups: int, x: Any,
                  data_format: str) -> None:  # fmt: skip
    """The kernel's rank, and its input channels against the image's."""
    if len(kernel) != rank:
        raise ShapeError(
            f"{op} of an input of shape {x.shape} expects a kernel of rank {rank}, (*spatial, in, out); "
            f"got a kernel of shape {tuple(kernel)}."
        )
    taken = kernel[-2]
    if channels is not None and taken is not None and taken * groups != channels:
        raise ShapeError(
            f"{op}: the kernel of shape {tuple(kernel)} with groups={groups} expects {taken * groups} input channels, "
            f"but received {channels}: the input has shape {x.shape} ({data_format})."
        )
    if kernel[-1] is not None and kernel[-1] % groups:
        raise ShapeError(f"{op}: {kernel[-1]} output channels cannot be parted into {groups} groups.")


def _conv_spec(x: TensorSpec, kernel: TensorSpec, strides: Any, padding: str, dilation: Any, data_format: str,
               groups: int) -> TensorSpec:  # fmt: skip
    _check_kernel("conv", kernel.shape, x.rank, x.shape[channel_axis(x.rank, data_format)], groups, x, data_format)
    sizes = window_shape("conv", x, kernel.shape[:-2], strides, dilation, padding, data_format)
    return TensorSpec(_images(sizes, kernel.shape[-1], data_format, x.shape[0]), x.dtype)


def _conv_transpose_spec(x: TensorSpec, kernel: TensorSpec, output_shape: Any, strides: Any, padding: str,
                         dilation: Any, data_format: str, groups: int) -> TensorSpec:  # fmt: skip
    if kernel.rank != x.rank:
        raise ShapeError(f"conv_transpose of an input of shape {x.shape} expects a kernel of rank {x.rank}, "
                         f"(*spatial, out, in); got a kernel of shape {kernel.shape}.")  # fmt: skip
    at = channel_axis(x.rank, data_format)
    given, expected = x.shape[at], kernel.shape[-1]
    if given is not None and expected is not None and given != expected:
        raise ShapeError(
            f"conv_transpose: the kernel of shape {kernel.shape} expects {expected} input channels, but received "
            f"{given}: the input has shape {x.shape} ({data_format})."
        )
    out = list(rules.static_shape(output_shape))
    if len(out) != x.rank:
        raise ShapeError(f"conv_transpose expects output_shape with {x.rank} entries, got {tuple(out)}.")
    out[0] = x.shape[0] if out[0] is None else out[0]
    made = kernel.shape[-2] * groups if kernel.shape[-2] is not None else None
    if out[at] is not None and made is not None and out[at] != made:
        raise ShapeError(
            f"conv_transpose: output_shape {tuple(out)} has {out[at]} channels ({data_format}), but the kernel of "
            f"shape {kernel.shape} with groups={groups} makes {made}."
        )
    out[at] = made if out[at] is None else out[at]
    _check_transposed_sizes(x, kernel, out, strides, padding, dilation, data_format)
    return TensorSpec(tuple(out), x.dtype)


def _check_transposed_sizes(x: TensorSpec, kernel: TensorSpec, out: Sequence[int | None], strides: Any, padding: str,
                            dilation: Any, data_format: str) -> None:  # fmt: skip
    for i, axis in enumerate(spatial_axes(x.rank, data_format)):
        k, n, m = kernel.shape[i], x.shape[axis], out[axis]
        if k is None or n is None or m is None:
            continue
        if window_output(m, k, strides[i], dilation[i], padding) != n:
            raise ShapeError(
                f"conv_transpose: axis {axis} of output_shape {tuple(out)} does not fit: a convolution (kernel {k}, "
                f"stride {strides[i]}, dilation {dilation[i]}, padding {padding!r}) of size {m} does not give {n}, "
                f"the size of the input of shape {x.shape} there."
            )


def _kernel_grad_spec(x: TensorSpec, g: TensorSpec, kernel_shape: Any, strides: Any, padding: str, dilation: Any,
                      data_format: str, groups: int) -> TensorSpec:  # fmt: skip
    shape = list(rules.static_shape(kernel_shape))
    at = channel_axis(x.rank, data_format)
    if len(shape) == x.rank and shape[-1] is None:
        shape[-1] = g.shape[at]
    _check_kernel("conv_kernel_grad", shape, x.rank, x.shape[at], groups, x, data_format)
    if g.shape[at] is not None and shape[-1] is not None and g.shape[at] != shape[-1]:
        raise ShapeError(f"conv_kernel_grad: kernel_shape {tuple(shape)} makes {shape[-1]} channels, but the gradient "
                         f"has {g.shape[at]}: its shape is {g.shape} ({data_format}).")  # fmt: skip
    return TensorSpec(tuple(shape), x.dtype)


# --- NumPy references -------------------------------------------------------------------------------------------------


def _last(x: Any, data_format: str) -> np.ndarray:
    x = np.asarray(x)
    x = x.astype("float32") if x.dtype == np.float16 else x  # sums in float16 would be rounded at each step
    return x if data_format == "channels_last" else np.moveaxis(x, 1, -1)


def _back(y: np.ndarray, data_format: str, dtype: Any) -> np.ndarray:
    y = y if data_format == "channels_last" else np.moveaxis(y, -1, 1)
    return np.ascontiguousarray(y, dtype)


def _patches(x: np.ndarray, kernel: Sequence[int], strides: Any, padding: str, dilation: Any) -> tuple[Any, Any]:
    """Windows (batch, *out, *kernel, channels) of a channels-last array, and their spatial sizes."""
    sizes = x.shape[1:-1]
    out = [window_output(n, k, s, d, padding) for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True)]
    pads = window_pads(sizes, kernel, strides, dilation, padding)
    return windows(padded(x, range(1, x.ndim - 1), pads, 0), kernel, strides, dilation, out), out  # type: ignore[arg-type]


def _columns(patches: np.ndarray, rows: int, area: int, groups: int) -> np.ndarray:
    """Patches as a matrix (rows, area * channels), or one per group."""
    channels = patches.shape[-1]
    if groups == 1:
        return patches.reshape(rows, area * channels)
    parts = patches.reshape(rows, area, groups, channels // groups)
    return parts.transpose(2, 0, 1, 3).reshape(groups, rows, area * (channels // groups))


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    """(rows, channels) -> (groups, rows, channels / groups)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups).transpose(1, 0, 2)


def _conv(x: Any, kernel: Any, strides: Any, padding: str, dilation: Any, data_format: str, groups: int = 1) -> Any:
    dtype, images, weights = np.asarray(x).dtype, _last(x, data_format), _last(kernel, "channels_last")
    *window, taken, made = weights.shape
    patches, out = _patches(images, window, strides, padding, dilation)
    rows, area = images.shape[0] * math.prod(out), math.prod(window)
    columns = _columns(patches, rows, area, groups)
    if groups == 1:
        y = columns @ weights.reshape(area * taken, made)
    else:
        parts = _grouped(weights.reshape(area * taken, made), groups)
        y = (columns @ parts).transpose(1, 0, 2)
    return _back(y.reshape(images.shape[0], *out, made), data_format, dtype)


def _conv_transpose(x: Any, kernel: Any, output_shape: Any, strides: Any, padding: str, dilation: Any, data_format: str,
                    groups: int = 1) -> Any:  # fmt: skip
    dtype, g, weights = np.asarray(x).dtype, _last(x, data_format), _last(kernel, "channels_last")
    *window, taken, made = weights.shape
    axes = spatial_axes(g.ndim, data_format)
    sizes, out = [output_shape[a] for a in axes], g.shape[1:-1]
    pads = window_pads(sizes, window, strides, dilation, padding)
    full = np.zeros((g.shape[0], *(n + a + b for n, (a, b) in zip(sizes, pads, strict=True)), taken * groups), g.dtype)
    rows = g.reshape(g.shape[0] * math.prod(out), made)
    rows = _grouped(rows, groups) if groups > 1 else rows
    for position, index in offsets(g.ndim, range(1, g.ndim - 1), window, strides, dilation, out):
        part = weights[position]
        flipped = _grouped(part, groups).transpose(0, 2, 1) if groups > 1 else part.T
        piece = (rows @ flipped).transpose(1, 0, 2) if groups > 1 else rows @ flipped
        full[index] += piece.reshape(g.shape[0], *out, taken * groups)
    inside = (slice(None), *(slice(a, a + n) for n, (a, _) in zip(sizes, pads, strict=True)))
    return _back(full[inside], data_format, dtype)


def _conv_kernel_grad(x: Any, g: Any, kernel_shape: Any, strides: Any, padding: str, dilation: Any, data_format: str,
                      groups: int = 1) -> Any:  # fmt: skip
    dtype, images, g = np.asarray(x).dtype, _last(x, data_format), _last(g, data_format)
    *window, _, made = kernel_shape
    patches, out = _patches(images, window, strides, padding, dilation)
    rows, area = images.shape[0] * math.prod(out), math.prod(window)
    columns = _columns(patches, rows, area, groups)
    g = g.reshape(rows, made)
    if groups == 1:
        return np.asarray(columns.T @ g, dtype).reshape(kernel_shape)
    parts = columns.transpose(0, 2, 1) @ _grouped(g, groups)
    return np.asarray(parts.transpose(1, 0, 2), dtype).reshape(kernel_shape)


# --- cases ------------------------------------------------------------------------------------------------------------


def _geometry(d: Draw) -> tuple[dict[str, Any], Any, Any, Any]:
    """Settings of a convolution, and shapes of its images, kernel and result."""
    rank, groups = d.choice([1, 2, 2, 3]), d.choice([1, 1, 2])
    window = [d.integer(1, 3) for _ in range(rank)]
    strides, dilation = [1] * rank, [1] * rank
    spread = d.choice([strides, dilation])  # not both at once: no layer allows it
    spread[d.integer(0, rank - 1)] = d.integer(1, 2)
    padding, data_format = d.choice(["valid", "same"]), d.choice(["channels_last", "channels_first"])
    sizes = [(k - 1) * n + 1 + d.integer(0, 2) for k, n in zip(window, dilation, strict=True)]
    channels, filters, batch = groups * d.integer(1, 2), groups * d.integer(1, 2), d.integer(1, 2)
    settings = {"strides": tuple(strides), "padding": padding, "dilation": tuple(dilation), "data_format": data_format,
                "groups": groups}  # fmt: skip
    out = [window_output(*row, padding) for row in zip(sizes, window, strides, dilation, strict=True)]
    images, result = _images(sizes, channels, data_format, batch), _images(out, filters, data_format, batch)
    return settings, images, (*window, channels // groups, filters), result


def _conv_case(d: Draw) -> Any:
    dtype, (settings, images, kernel, _) = d.dtype(FLOATS), _geometry(d)
    return {"x": d.array(images, dtype, Real(-2, 2)), "kernel": d.array(kernel, dtype, Real(-2, 2)), **settings}


def _transpose_case(d: Draw) -> Any:
    dtype, (settings, images, kernel, result) = d.dtype(FLOATS), _geometry(d)
    return {"x": d.array(result, dtype, Real(-2, 2)), "kernel": d.array(kernel, dtype, Real(-2, 2)),
            "output_shape": images, **settings}  # fmt: skip


def _kernel_case(d: Draw) -> Any:
    dtype, (settings, images, kernel, result) = d.dtype(FLOATS), _geometry(d)
    return {"x": d.array(images, dtype, Real(-2, 2)), "g": d.array(result, dtype, Real(-2, 2)),
            "kernel_shape": kernel, **settings}  # fmt: skip


_PLAIN: dict[str, Any] = {"strides": 1, "padding": "valid", "dilation": 1, "data_format": "channels_last", "groups": 1}
_EMPTY: dict[str, Any] = {"x": np.zeros((0, 4, 2), "float32"), "kernel": np.ones((3, 2, 1), "float32")}
_CONV = Cases(
    _conv_case, edges=Edge((), large=False, also=({**_EMPTY, **_PLAIN},)),
    errors=(
        Wrong(ShapeError, x=(1, 8, 4), kernel=(3, 3, 2), **_PLAIN),
        Wrong(ShapeError, x=(1, 8, 4), kernel=(3, 2, 3), **{**_PLAIN, "groups": 2}),
        Wrong(ShapeError, x=(1, 8, 4), kernel=(3, 3, 4, 2), **_PLAIN),
        Wrong(ShapeError, x=(8, 4), kernel=(3, 4), **_PLAIN),
        Wrong(ShapeError, x=(1, 2, 4), kernel=(3, 4, 2), **_PLAIN),
        Wrong(ArgumentError, x=(1, 8, 4), kernel=(3, 4, 2), **{**_PLAIN, "padding": "causal"}),
        Wrong(ArgumentError, x=(1, 8, 4), kernel=(3, 4, 2), **{**_PLAIN, "data_format": "NWC"}),
        Wrong(ArgumentError, x=(1, 8, 8, 4), kernel=(3, 3, 4, 2), **{**_PLAIN, "strides": (1,)}),
    ),
)  # fmt: skip
_TRANSPOSE = Cases(
    _transpose_case, edges=Edge((), large=False, also=(
        {"x": np.zeros((0, 2, 1), "float32"), "kernel": _EMPTY["kernel"], "output_shape": (0, 4, 2), **_PLAIN},
    )),
    errors=(
        Wrong(ShapeError, x=(1, 4, 2), kernel=(3, 5, 2), output_shape=(1, 20, 5), **{**_PLAIN, "strides": 2}),
        Wrong(ShapeError, x=(1, 4, 2), kernel=(3, 5, 3), output_shape=(1, 6, 5), **_PLAIN),
        Wrong(ShapeError, x=(1, 4, 2), kernel=(3, 5, 2), output_shape=(1, 6, 4), **_PLAIN),
        Wrong(ShapeError, x=(1, 4, 2), kernel=(3, 5, 2), output_shape=(6, 5), **_PLAIN),
    ),
)  # fmt: skip


# --- declarations -----------------------------------------------------------------------------------------------------


def _conv_vjp(g: Any, out: Any, x: Any, kernel: Any, *geometry: Any) -> Any:
    return (conv_transpose(g, kernel, shape_of(x), *geometry), conv_kernel_grad(x, g, shape_of(kernel), *geometry))


@primitive(infer=_conv_spec, reference=_conv, vjp=_conv_vjp, normalize=_normalize("conv"), cases=_CONV)
def conv(
    x: Tensor, kernel: Tensor, strides: Any, padding: str, dilation: Any, data_format: str, groups: int = 1
) -> Any:
    """Convolution (cross-correlation) of images with a kernel.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) for 'channels_first'; 1 to 3 spatial axes.
        kernel: (*window, channels / groups, filters).
        strides: step of the window along each spatial axis: ints, or one for all.
        padding: 'valid', or 'same': zeros so that `ceil(size / stride)` windows fit, the odd one after.
        dilation: distance between the kernel's elements along each spatial axis.
        data_format: 'channels_last' or 'channels_first'.
        groups: channels and filters are parted into so many groups that do not mix (as many as channels: depthwise).

    Returns:
        (batch, *windows, filters), or (batch, filters, *windows).

    Raises:
        ShapeError: channels that do not fit the kernel, or a window larger than the image.

    >>> conv(np.arange(4.).reshape(1, 4, 1), np.ones((2, 1, 1)), 1, "valid", 1, "channels_last").ravel()
    array([1., 3., 5.])
    """


def _conv_transpose_vjp(g: Any, out: Any, x: Any, kernel: Any, output_shape: Any, *geometry: Any) -> Any:
    return conv(g, kernel, *geometry), conv_kernel_grad(g, x, shape_of(kernel), *geometry)


@primitive(infer=_conv_transpose_spec, reference=_conv_transpose, vjp=_conv_transpose_vjp,
           normalize=_normalize("conv_transpose", "output_shape"), cases=_TRANSPOSE)  # fmt: skip
def conv_transpose(x: Tensor, kernel: Tensor, output_shape: Dims, strides: Any, padding: str, dilation: Any,
                   data_format: str, groups: int = 1) -> Any:  # fmt: skip
    """The gradient of `conv` with respect to its images: spreads each element of x over a window.

    Args:
        x: (batch, *spatial, filters), or (batch, filters, *spatial) for 'channels_first'.
        kernel: (*window, channels / groups, filters): that of the convolution whose gradient this is.
        output_shape: the whole shape of the result, batch and channels included.
        strides, padding, dilation, data_format, groups: those of that convolution.

    Raises:
        ShapeError: a convolution with these settings would not lead from output_shape to x's shape.

    >>> x, kernel = np.array([1., 2.]).reshape(1, 2, 1), np.array([1., 10.]).reshape(2, 1, 1)
    >>> conv_transpose(x, kernel, (1, 4, 1), 2, "valid", 1, "channels_last").ravel()
    array([ 1., 10.,  2., 20.])
    """


def _kernel_grad_vjp(g: Any, out: Any, x: Any, h: Any, kernel_shape: Any, *geometry: Any) -> Any:
    return conv_transpose(h, g, shape_of(x), *geometry), conv(x, g, *geometry)


@primitive(infer=_kernel_grad_spec, reference=_conv_kernel_grad, vjp=_kernel_grad_vjp,
           normalize=_normalize("conv_kernel_grad", "kernel_shape"), cases=Cases(_kernel_case))  # fmt: skip
def conv_kernel_grad(x: Tensor, g: Tensor, kernel_shape: Dims, strides: Any, padding: str, dilation: Any,
                     data_format: str, groups: int = 1) -> Any:  # fmt: skip
    """The gradient of `conv` with respect to its kernel.

    Args:
        x: the images of the convolution.
        g: gradient of its result, in the result's shape.
        kernel_shape: (*window, channels / groups, filters).
        strides, padding, dilation, data_format, groups: those of the convolution.

    >>> x, g = np.arange(4.).reshape(1, 4, 1), np.ones((1, 3, 1))
    >>> conv_kernel_grad(x, g, (2, 1, 1), 1, "valid", 1, "channels_last").ravel()
    array([3., 6.])
    """
