"""Pooling over windows, and the primitives that are its gradients. Spatial rank 1, 2 or 3 from the tensor's rank."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Distinct, Draw, Real, Ties
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import add, equal, floor_divide, greater, logical_and, logical_not, maximum, multiply, where
from kcore.ops.shaping import scatter_slice, shape_of, strided_slice
from kcore.ops.spec import Dims, Tensor, primitive
from kcore.ops.structural import cast, zeros_like
from kcore.ops.windows import (
    check_dims,
    check_window_arguments,
    offsets,
    padded,
    spatial_axes,
    window_output,
    window_pads,
    window_shape,
)

_TUPLES = ("pool_size", "strides")


def _normalize(op: str, tensor: str = "x", dims: str | None = None) -> Any:
    def normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
        check_window_arguments(op, arguments, specs[tensor].rank, _TUPLES)
        if dims is not None:
            check_dims(arguments, dims)

    return normalize


def _pool_spec(x: TensorSpec, pool_size: Any, strides: Any, padding: str, data_format: str) -> TensorSpec:
    sizes = iter(window_shape("pooling", x, pool_size, strides, (1,) * len(pool_size), padding, data_format))
    axes = spatial_axes(x.rank, data_format)
    return x.with_shape(next(sizes) if i in axes else n for i, n in enumerate(x.shape))


def _check_gradient(op: str, g: TensorSpec, x: TensorSpec, pool_size: Any, strides: Any, padding: str,
                    data_format: str) -> None:  # fmt: skip
    expected = _pool_spec(x, pool_size, strides, padding, data_format).shape
    if g.rank != x.rank or any(
        a is not None and b is not None and a != b for a, b in zip(g.shape, expected, strict=True)
    ):
        raise ShapeError(f"{op}: pooling shape {x.shape} gives shape {expected}, but the gradient has shape {g.shape}.")


def _max_grad_spec(g: TensorSpec, x: TensorSpec, *geometry: Any, **named: Any) -> TensorSpec:
    _check_gradient("max_pool_grad", g, x, *geometry, **named)
    return x


def _avg_grad_spec(
    g: TensorSpec, shape: Any, pool_size: Any, strides: Any, padding: str, data_format: str
) -> TensorSpec:
    x = TensorSpec(rules.static_shape(shape), g.dtype)
    if x.rank != g.rank:
        raise ShapeError(f"avg_pool_grad expects `shape` with {g.rank} entries, got {x.shape}.")
    _check_gradient("avg_pool_grad", g, x, pool_size, strides, padding, data_format)
    return x


# --- NumPy references -------------------------------------------------------------------------------------------------


class Geometry:
    """Windows over one shape: axes, output sizes, pads, and the index of each position in the window."""

    def __init__(self, shape: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> None:
        ones = (1,) * len(pool_size)
        self.axes = spatial_axes(len(shape), data_format)
        self.sizes = [shape[a] for a in self.axes]
        self.out: list[Any] = [
            window_output(n, k, s, 1, padding) for n, k, s in zip(self.sizes, pool_size, strides, strict=True)
        ]
        self.pads = window_pads(self.sizes, pool_size, strides, ones, padding)
        found = offsets(len(shape), self.axes, pool_size, strides, ones, self.out)
        self.indices = [index for _, index in found]
        self.pool_size, self.strides = pool_size, strides

    def inside(self, array: np.ndarray) -> np.ndarray:
        """A padded array without its padding."""
        index: list[slice] = [slice(None)] * array.ndim
        for axis, n, (before, _) in zip(self.axes, self.sizes, self.pads, strict=True):
            index[axis] = slice(before, before + n)
        return array[tuple(index)]

    def padded_shape(self, shape: Any) -> list[int]:
        """The shape with the padding."""
        result = list(shape)
        for axis, (before, after) in zip(self.axes, self.pads, strict=True):
            result[axis] += before + after
        return result

    def counts(self, rank: int) -> Any:
        """How many elements of each window are not padding, to be broadcast against the output."""
        if not any(a or b for a, b in self.pads):
            return math.prod(self.pool_size)
        total: Any = np.ones((1,) * rank)
        for axis, n, k, s, m, (before, _) in zip(
            self.axes, self.sizes, self.pool_size, self.strides, self.out, self.pads, strict=True
        ):
            start = np.arange(m) * s - before
            along = np.minimum(start + k, n) - np.maximum(start, 0)
            total = total * along.reshape([m if i == axis else 1 for i in range(rank)])
        return total


def _lowest(dtype: Any) -> Any:
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


def _max_pool(x: Any, *geometry: Any) -> Any:
    x = np.asarray(x)
    shape = Geometry(x.shape, *geometry)
    whole = padded(x, shape.axes, shape.pads, _lowest(x.dtype))
    first, *rest = shape.indices
    out = whole[first].copy()
    for index in rest:
        np.maximum(out, whole[index], out=out)
    return out


def _max_pool_grad(g: Any, x: Any, *geometry: Any) -> Any:
    g, x = np.asarray(g), np.asarray(x)
    shape = Geometry(x.shape, *geometry)
    whole = padded(x, shape.axes, shape.pads, _lowest(x.dtype))
    peak = _max_pool(x, *geometry)
    free = np.ones(peak.shape, bool)
    result = np.zeros(whole.shape, g.dtype)
    for index in shape.indices:
        hit = (whole[index] == peak) & free
        result[index] += np.where(hit, g, 0)
        free &= ~hit
    return np.ascontiguousarray(shape.inside(result))


def _avg_pool(x: Any, *geometry: Any) -> Any:
    x = np.asarray(x)
    shape = Geometry(x.shape, *geometry)
    whole = padded(x, shape.axes, shape.pads, 0)
    total = np.zeros(whole[shape.indices[0]].shape, np.result_type(x.dtype, np.float32))
    for index in shape.indices:
        total += whole[index]
    return (total / shape.counts(x.ndim)).astype(x.dtype)


def _avg_pool_grad(g: Any, shape: Any, *geometry: Any) -> Any:
    g = np.asarray(g)
    sizes = Geometry(shape, *geometry)
    share = (g / sizes.counts(g.ndim)).astype(g.dtype)
    result = np.zeros(sizes.padded_shape(shape), g.dtype)
    for index in sizes.indices:
        result[index] += share
    return np.ascontiguousarray(sizes.inside(result))


# --- the second derivative of max_pool --------------------------------------------------------------------------------


def _at_maxima(h: Any, x: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """For each window the element of h where x has its first maximum, in K ops: the transpose of max_pool_grad."""
    peak = max_pool(x, pool_size, strides, padding, data_format)
    axes = spatial_axes(x.ndim, data_format)
    if padding == "same":
        index, shape = _placed(x, axes, pool_size, strides)
        within = greater(scatter_slice(add(zeros_like(h), 1), index, shape), 0)
        h, x = scatter_slice(h, index, shape), scatter_slice(x, index, shape)
        x = where(within, x, add(zeros_like(x), -math.inf))
    out = [shape_of(peak)[a] for a in axes]
    total: Any = zeros_like(peak)
    free: Any = equal(peak, peak)
    for position in itertools.product(*(range(k) for k in pool_size)):
        picked: list[Any] = [slice(None)] * h.ndim
        for axis, p, s, n in zip(axes, position, strides, out, strict=True):
            picked[axis] = slice(p, (n - 1) * s + (p + 1), s)
        hit = logical_and(equal(strided_slice(x, tuple(picked)), peak), free)
        total = add(total, multiply(strided_slice(h, tuple(picked)), cast(hit, h.dtype)))
        free = logical_and(free, logical_not(hit))
    return total


def _placed(x: Any, axes: Any, pool_size: Any, strides: Any) -> tuple[Any, Any]:
    """Where x lies in its 'same'-padded frame, and the frame's shape; sizes may be symbolic."""
    index: list[Any] = [slice(None)] * x.ndim
    shape = list(shape_of(x))
    for axis, k, s in zip(axes, pool_size, strides, strict=True):
        n = shape[axis]
        if isinstance(n, int):
            ((before, after),) = window_pads((n,), (k,), (s,), (1,), "same")
            index[axis], shape[axis] = slice(before, before + n), n + before + after
        else:
            windows = floor_divide(n + (s - 1), s)
            total = maximum((windows - 1) * s + k - n, 0)
            before = floor_divide(total, 2)
            index[axis], shape[axis] = slice(before, before + n), n + total
    return tuple(index), tuple(shape)


# --- cases ------------------------------------------------------------------------------------------------------------


def _geometry_case(d: Draw) -> tuple[dict[str, Any], Any, Any]:
    """Settings of a pooling, and shapes of its images and result."""
    rank = d.choice([1, 2, 2, 3])
    window, strides = [d.integer(1, 3) for _ in range(rank)], [d.integer(1, 3) for _ in range(rank)]
    padding, data_format = d.choice(["valid", "same"]), d.choice(["channels_last", "channels_first"])
    sizes = [k + d.integer(0, 2) for k in window]
    out = [window_output(n, k, s, 1, padding) for n, k, s in zip(sizes, window, strides, strict=True)]
    first = data_format == "channels_first"
    settings = {"pool_size": tuple(window), "strides": tuple(strides), "padding": padding, "data_format": data_format}
    return settings, (2, 2, *sizes) if first else (2, *sizes, 2), (2, 2, *out) if first else (2, *out, 2)


def _pool_case(values: Any) -> Any:
    def draw(d: Draw) -> Any:
        settings, images, _ = _geometry_case(d)
        return {"x": d.array(images, d.dtype(FLOATS), values), **settings}

    return draw


def _max_grad_case(values: Any) -> Any:
    def draw(d: Draw) -> Any:
        dtype, (settings, images, pooled) = d.dtype(FLOATS), _geometry_case(d)
        return {"g": d.array(pooled, dtype, Real()), "x": d.array(images, dtype, values), **settings}

    return draw


def _avg_grad_case(d: Draw) -> Any:
    settings, images, pooled = _geometry_case(d)
    return {"g": d.array(pooled, d.dtype(FLOATS), Real()), "shape": images, **settings}


_SAME, _TWOS = {"padding": "same", "data_format": "channels_last"}, {"pool_size": (2, 2), "strides": (2, 2)}
#: Nothing but negative numbers beside padding, and a batch of nothing.
_CORNERS = ({"x": -np.arange(1, 10, dtype="float32").reshape(1, 3, 3, 1), **_TWOS, **_SAME},
            {"x": np.zeros((0, 3, 3, 1), "float32"), **_TWOS, **_SAME})  # fmt: skip
_REFUSED = (
    Wrong(ShapeError, x=(2, 3), **_TWOS, **_SAME),
    Wrong(ShapeError, x=(1, 1, 3, 1), **_TWOS, padding="valid", data_format="channels_last"),
    Wrong(ArgumentError, x=(1, 3, 3, 1), **_TWOS, padding="half", data_format="channels_last"),
    Wrong(ArgumentError, x=(1, 3, 3, 1), **_TWOS, padding="same", data_format="NHWC"),
    Wrong(ArgumentError, x=(1, 3, 3, 1), pool_size=(2,), strides=(2, 2), **_SAME),
    Wrong(ArgumentError, x=(1, 3, 3, 1), pool_size=(2, 2), strides=(0, 1), **_SAME),
)
_MISSHAPEN = (Wrong(ShapeError, g=(1, 3, 3, 1), x=(1, 3, 3, 1), **_TWOS, **_SAME),)


# --- declarations -----------------------------------------------------------------------------------------------------


def _max_pool_vjp(g: Any, out: Any, x: Any, *geometry: Any) -> Any:
    return max_pool_grad(g, x, *geometry)


def _avg_pool_vjp(g: Any, out: Any, x: Any, *geometry: Any) -> Any:
    return avg_pool_grad(g, shape_of(x), *geometry)


@primitive(infer=_pool_spec, reference=_max_pool, normalize=_normalize("max_pool"),
           cases=Cases(_pool_case(Ties()), smooth=_pool_case(Distinct()), edges=Edge(large=False, also=_CORNERS),
                       errors=_REFUSED),
           vjp=_max_pool_vjp)  # fmt: skip
def max_pool(x: Tensor, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """Largest element of each window; padding never wins, and the first maximum of a window gets the gradient.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) for 'channels_first'; 1 to 3 spatial axes.
        pool_size: size of the window along each spatial axis: ints, or one for all.
        strides: step of the window along each spatial axis.
        padding: 'valid', or 'same': `ceil(size / stride)` windows, the odd element of padding after.
        data_format: 'channels_last' or 'channels_first'.

    Raises:
        ShapeError: a window larger than the image.

    >>> max_pool(np.array([3., 1., 2., 5.]).reshape(1, 4, 1), 2, 2, "valid", "channels_last").ravel()
    array([3., 5.])
    """


@primitive(infer=_pool_spec, reference=_avg_pool, normalize=_normalize("avg_pool"), to_float=True,
           cases=Cases(_pool_case(Real()), edges=Edge((), large=False, also=_CORNERS), errors=_REFUSED),
           vjp=_avg_pool_vjp)  # fmt: skip
def avg_pool(x: Tensor, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """Mean of each window; padding is not counted.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) for 'channels_first'; 1 to 3 spatial axes.
        pool_size, strides, padding, data_format: as for max_pool.

    >>> avg_pool(np.array([3., 1., 2.]).reshape(1, 3, 1), 2, 2, "same", "channels_last").ravel()
    array([2., 2.])
    """


@primitive(infer=_max_grad_spec, reference=_max_pool_grad, normalize=_normalize("max_pool_grad"),
           cases=Cases(_max_grad_case(Ties()), smooth=_max_grad_case(Distinct()), errors=_MISSHAPEN),
           vjp=lambda h, out, g, x, *geometry: (_at_maxima(h, x, *geometry), None))  # fmt: skip
def max_pool_grad(g: Tensor, x: Tensor, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """The gradient of `max_pool`: each window's gradient goes to its first maximum, in row-major order.

    Args:
        g: gradient of the pooled images, in their shape.
        x: the images that were pooled.
        pool_size, strides, padding, data_format: as for max_pool.

    >>> x, g = np.array([3., 3., 2., 5.]).reshape(1, 4, 1), np.array([1., 2.]).reshape(1, 2, 1)
    >>> max_pool_grad(g, x, 2, 2, "valid", "channels_last").ravel()
    array([1., 0., 0., 2.])
    """


@primitive(infer=_avg_grad_spec, reference=_avg_pool_grad, normalize=_normalize("avg_pool_grad", "g", "shape"),
           cases=Cases(_avg_grad_case),
           vjp=lambda h, out, g, shape, *geometry: avg_pool(h, *geometry))  # fmt: skip
def avg_pool_grad(g: Tensor, shape: Dims, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """The gradient of `avg_pool`: each window's gradient spread evenly over its elements.

    Args:
        g: gradient of the pooled images, in their shape.
        shape: shape of the images that were pooled.
        pool_size, strides, padding, data_format: as for max_pool.

    >>> avg_pool_grad(np.array([[[1.], [2.]]]), (1, 3, 1), 2, 2, "same", "channels_last").ravel()
    array([0.5, 0.5, 2. ])
    """
