"""Convolution and pooling in functions of the Python array API standard: padding, slices, and one matmul."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kcore.backend.array_api_kernels import pad, spread
from kcore.ops.pool import Geometry
from kcore.ops.windows import offsets, spatial_axes, window_output, window_pads


def table(xp: Any) -> dict[str, Callable[..., Any]]:
    """Kernels by op name."""
    conv, pool = _Convolution(xp), _Pooling(xp)
    return {
        "conv": conv.forward, "conv_transpose": conv.to_images, "conv_kernel_grad": conv.to_kernel,
        "max_pool": pool.max, "max_pool_grad": pool.max_grad, "avg_pool": pool.avg, "avg_pool_grad": pool.avg_grad,
    }  # fmt: skip


class _Convolution:
    """Convolution and its gradients, on channels-last arrays."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def _last(self, x: Any, data_format: str) -> Any:
        return x if data_format == "channels_last" else self.xp.permute_dims(x, (0, *range(2, x.ndim), 1))

    def _back(self, y: Any, data_format: str) -> Any:
        return y if data_format == "channels_last" else self.xp.permute_dims(y, (0, y.ndim - 1, *range(1, y.ndim - 1)))

    def _parts(self, x: Any, groups: int) -> list[Any]:
        """The last axis in equal parts."""
        n = x.shape[-1] // groups
        return [x[(..., slice(i * n, (i + 1) * n))] for i in range(groups)] if groups > 1 else [x]

    def _columns(self, x: Any, window: Any, strides: Any, padding: str, dilation: Any) -> tuple[Any, Any]:
        """A matrix with one row per window, (*window, channels) along it, and the spatial sizes of the output."""
        sizes = x.shape[1:-1]
        out = [window_output(n, k, s, d, padding) for n, k, s, d in zip(sizes, window, strides, dilation, strict=True)]
        pads = window_pads(sizes, window, strides, dilation, padding)
        x = pad(self.xp, x, ((0, 0), *pads, (0, 0)), 0)
        places = offsets(x.ndim, range(1, x.ndim - 1), window, strides, dilation, out)  # type: ignore[arg-type]
        pieces = [x[index] for _, index in places]
        stacked = self.xp.stack(pieces, axis=-2)
        return self.xp.reshape(stacked, (-1, len(pieces) * x.shape[-1])), out

    def forward(self, x: Any, kernel: Any, strides: Any, padding: str, dilation: Any, data_format: str,
                groups: int = 1) -> Any:  # fmt: skip
        """The primitive `conv`."""
        x = self._last(x, data_format)
        results = []
        for images, weights in zip(self._parts(x, groups), self._parts(kernel, groups), strict=True):
            columns, out = self._columns(images, kernel.shape[:-2], strides, padding, dilation)
            y = self.xp.matmul(columns, self.xp.reshape(weights, (-1, weights.shape[-1])))
            results.append(self.xp.reshape(y, (x.shape[0], *out, weights.shape[-1])))
        return self._back(self.xp.concat(results, axis=-1), data_format)

    def to_images(self, x: Any, kernel: Any, output_shape: Any, strides: Any, padding: str, dilation: Any,
                  data_format: str, groups: int = 1) -> Any:  # fmt: skip
        """The primitive `conv_transpose`: x spread by the strides, convolved with the flipped kernel."""
        xp, x = self.xp, self._last(x, data_format)
        sizes = [output_shape[a] for a in spatial_axes(x.ndim, data_format)]
        window = kernel.shape[:-2]
        pads = window_pads(sizes, window, strides, dilation, padding)
        for axis, (n, k, s, d, (before, _)) in enumerate(zip(sizes, window, strides, dilation, pads, strict=True), 1):
            x = _framed(xp, x, axis, s, (k - 1) * d - before, n + (k - 1) * d)
        flipped = xp.flip(kernel, axis=tuple(range(len(window))))
        ones = (1,) * len(window)
        results = []
        for g, weights in zip(self._parts(x, groups), self._parts(flipped, groups), strict=True):
            swapped = xp.permute_dims(weights, (*range(weights.ndim - 2), weights.ndim - 1, weights.ndim - 2))
            results.append(self.forward(g, swapped, ones, "valid", dilation, "channels_last"))
        return self._back(xp.concat(results, axis=-1), data_format)

    def to_kernel(self, x: Any, g: Any, kernel_shape: Any, strides: Any, padding: str, dilation: Any,
                  data_format: str, groups: int = 1) -> Any:  # fmt: skip
        """The primitive `conv_kernel_grad`."""
        xp, x, g = self.xp, self._last(x, data_format), self._last(g, data_format)
        results = []
        for images, part in zip(self._parts(x, groups), self._parts(g, groups), strict=True):
            columns, _ = self._columns(images, kernel_shape[:-2], strides, padding, dilation)
            rows = xp.reshape(part, (-1, part.shape[-1]))
            product = xp.matmul(xp.permute_dims(columns, (1, 0)), rows)
            results.append(xp.reshape(product, (*kernel_shape[:-1], part.shape[-1])))
        return xp.concat(results, axis=-1)


def _framed(xp: Any, x: Any, axis: int, step: int, start: int, size: int) -> Any:
    """x spread along an axis in a frame of `size` zeros; a negative start, and what is too long, is cut off."""
    n = (x.shape[axis] - 1) * step + 1
    low, high = max(start, 0), max(start + n, size)
    whole = spread(xp, x, axis, low, step, high + low - start)
    return whole[(*[slice(None)] * axis, slice(low - start, low - start + size), ...)]


class _Pooling:
    """Pooling and its gradients, in either layout."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def _pieces(self, x: Any, geometry: Geometry, value: float) -> Iterator[Any]:
        """For each position in the window, what all windows have there."""
        whole = pad(self.xp, x, _padding(geometry, x.ndim), value)
        return (whole[index] for index in geometry.indices)

    def _gathered(self, pieces: Sequence[Any], geometry: Geometry, shape: Any) -> Any:
        """The pieces put back to where they came from, and summed."""
        total: Any = None
        full = geometry.padded_shape(shape)
        for piece, index in zip(pieces, geometry.indices, strict=True):
            for axis in geometry.axes:
                piece = spread(self.xp, piece, axis, index[axis].start, index[axis].step, full[axis])
            total = piece if total is None else total + piece
        inside = [slice(None)] * len(shape)
        for axis, n, (before, _) in zip(geometry.axes, geometry.sizes, geometry.pads, strict=True):
            inside[axis] = slice(before, before + n)
        return total[tuple(inside)]

    def max(self, x: Any, *settings: Any) -> Any:
        """The primitive `max_pool`."""
        geometry = Geometry(x.shape, *settings)
        first, *rest = self._pieces(x, geometry, -math.inf)
        for piece in rest:
            first = self.xp.maximum(first, piece)
        return first if rest else self.xp.asarray(first, copy=True)  # one piece is a view of x

    def max_grad(self, g: Any, x: Any, *settings: Any) -> Any:
        """The primitive `max_pool_grad`."""
        geometry = Geometry(x.shape, *settings)
        peak = self.max(x, *settings)
        free, shares = peak == peak, []  # noqa: PLR0124 - all True but where NaN wins
        for piece in self._pieces(x, geometry, -math.inf):
            hit = self.xp.logical_and(piece == peak, free)
            free = self.xp.logical_and(free, self.xp.logical_not(hit))
            shares.append(self.xp.where(hit, g, self.xp.zeros_like(g)))
        return self._gathered(shares, geometry, x.shape)

    def _counts(self, geometry: Geometry, like: Any) -> Any:
        counts = np.asarray(geometry.counts(like.ndim), "float64")
        return self.xp.astype(self.xp.asarray(counts), like.dtype)

    def avg(self, x: Any, *settings: Any) -> Any:
        """The primitive `avg_pool`."""
        geometry = Geometry(x.shape, *settings)
        first, *rest = self._pieces(x, geometry, 0.0)
        for piece in rest:
            first = first + piece
        return first / self._counts(geometry, x)

    def avg_grad(self, g: Any, shape: Any, *settings: Any) -> Any:
        """The primitive `avg_pool_grad`."""
        geometry = Geometry(shape, *settings)
        share = g / self._counts(geometry, g)
        return self._gathered([share] * len(geometry.indices), geometry, shape)


def _padding(geometry: Geometry, rank: int) -> list[tuple[int, int]]:
    padding = [(0, 0)] * rank
    for axis, pair in zip(geometry.axes, geometry.pads, strict=True):
        padding[axis] = pair
    return padding
