"""Kernels in functions of the Python array API standard: elementwise, reductions, shapes, indexing.

`table(xp, dtype_of)` makes them for a namespace. Nothing is overwritten in place, and indices stay within bounds, so
strict and immutable namespaces serve. Functions that a namespace lacks (newer ones) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Kernels = dict[str, Callable[..., Any]]

#: Ops that are one function of the standard under another name, or under their own.
_SAME: dict[str, str] = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "floor_divide": "floor_divide",
    "mod": "remainder", "power": "pow", "maximum": "maximum", "minimum": "minimum", "negative": "negative",
    "sign": "sign", "square": "square", "sqrt": "sqrt", "exp": "exp", "log": "log", "log1p": "log1p", "expm1": "expm1",
    "sin": "sin", "cos": "cos", "tanh": "tanh", "floor": "floor", "ceil": "ceil", "round": "round", "isnan": "isnan",
    "isfinite": "isfinite", "equal": "equal", "not_equal": "not_equal", "greater": "greater",
    "greater_equal": "greater_equal", "less": "less", "less_equal": "less_equal", "logical_and": "logical_and",
    "logical_or": "logical_or", "logical_not": "logical_not", "where": "where", "matmul": "matmul", "abs": "abs",
    "zeros_like": "zeros_like", "reshape": "reshape", "transpose": "permute_dims", "broadcast_to": "broadcast_to",
    "tile": "tile", "bitwise_and": "bitwise_and", "bitwise_xor": "bitwise_xor",
}  # fmt: skip


def table(xp: Any, dtype_of: Callable[[str], Any]) -> Kernels:
    """Kernels by op name."""
    kernels: Kernels = {op: getattr(xp, name) for op, name in _SAME.items() if hasattr(xp, name)}
    for family in (_structure, _bits, _sigmoids, _reductions, _shapes, _slices):
        kernels.update(family(xp, dtype_of))
    return kernels


def _structure(xp: Any, dtype_of: Any) -> Kernels:
    def one_hot(indices: Any, num_classes: int, dtype: str) -> Any:
        classes = xp.arange(num_classes, dtype=indices.dtype)
        return xp.astype(xp.expand_dims(indices, axis=-1) == classes, dtype_of(dtype))

    def print_tensor(x: Any, message: str = "") -> Any:
        print(message, x)  # noqa: T201 - that is the op
        return x

    def gather(x: Any, indices: Any, axis: int = 0) -> Any:
        n = x.shape[axis]
        flat = xp.reshape(indices, (-1,))
        flat = xp.where(flat < 0, flat + n, flat)
        out = xp.take(x, flat, axis=axis)
        return xp.reshape(out, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))

    return {
        "identity": lambda x: x, "stop_gradient": lambda x: x, "copy": lambda x: xp.asarray(x, copy=True),
        "cast": lambda x, dtype: xp.astype(x, dtype_of(dtype)),
        "shape": lambda x: np.asarray(x.shape, "int32"),
        "arange": lambda start, stop, step, dtype: xp.arange(start, stop, step, dtype=dtype_of(dtype)),
        "full": lambda shape, value, dtype: xp.full(shape, value, dtype=dtype_of(dtype)),
        "one_hot": one_hot, "print_tensor": print_tensor, "gather": gather,
    }  # fmt: skip


def _bits(xp: Any, dtype_of: Any) -> Kernels:
    if not hasattr(xp, "bitwise_right_shift"):
        return {}

    def number(x: Any, value: int) -> Any:
        return xp.asarray(value, dtype=x.dtype)

    def shift_right(x: Any, count: int) -> Any:  # signed numbers are shifted with copies of their sign
        return xp.bitwise_and(xp.bitwise_right_shift(x, number(x, count)), number(x, (1 << (32 - count)) - 1))

    return {"shift_left": lambda x, count: xp.bitwise_left_shift(x, number(x, count)), "shift_right": shift_right}


def _sigmoids(xp: Any, dtype_of: Any) -> Kernels:
    def sigmoid(x: Any) -> Any:
        e = xp.exp(-xp.abs(x))
        return xp.where(x >= 0, 1 / (1 + e), e / (1 + e))

    def softplus(x: Any) -> Any:
        return xp.where(x > 0, x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))

    return {"sigmoid": sigmoid, "softplus": softplus, "rsqrt": lambda x: 1 / xp.sqrt(x)}


def _reductions(xp: Any, dtype_of: Any) -> Kernels:
    def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims) if axis else x

    def typed(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis, keepdims: function(x, axis=axis, keepdims=keepdims, dtype=x.dtype) if axis else x

    def found(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis: xp.astype(function(x, axis=axis), xp.int64)

    kernels = {
        "sum": typed(xp.sum), "prod": typed(xp.prod), "mean": reduction(xp.mean), "max": reduction(xp.max),
        "min": reduction(xp.min), "any": reduction(xp.any), "all": reduction(xp.all), "argmax": found(xp.argmax),
        "argmin": found(xp.argmin),
    }  # fmt: skip
    for op, name in (("cumsum", "cumulative_sum"), ("cumprod", "cumulative_prod")):
        if hasattr(xp, name):
            kernels[op] = _running(getattr(xp, name))
    return kernels


def _running(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis: function(x, axis=axis, dtype=x.dtype)


def _shapes(xp: Any, dtype_of: Any) -> Kernels:
    def reduce_to(x: Any, shape: Any) -> Any:
        lead = x.ndim - len(shape)
        axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1))
        return xp.reshape(xp.sum(x, axis=axes, keepdims=True, dtype=x.dtype) if axes else x, tuple(shape))

    return {
        "expand_dims": lambda x, axis: xp.expand_dims(x, axis=axis),
        "squeeze": lambda x, axis: xp.squeeze(x, axis=axis),
        "concatenate": lambda xs, axis: xp.concat(xs, axis=axis),
        "stack": lambda xs, axis: xp.stack(xs, axis=axis),
        "reverse": lambda x, axis: xp.flip(x, axis=axis),
        "pad": lambda x, padding, value: pad(xp, x, padding, value),
        "reduce_to": reduce_to,
        **({"repeat_elements": lambda x, rep, axis: xp.repeat(x, rep, axis=axis)} if hasattr(xp, "repeat") else {}),
    }


def pad(xp: Any, x: Any, padding: Any, value: Any) -> Any:
    """Margins joined to x."""
    for axis, (before, after) in enumerate(padding):
        parts = [_margin(xp, x, axis, before, value), x, _margin(xp, x, axis, after, value)]
        parts = [p for p in parts if p is not None]
        x = xp.concat(parts, axis=axis) if len(parts) > 1 else x
    return x


def _margin(xp: Any, x: Any, axis: int, size: int, value: Any) -> Any:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    value = int(value) if "int" in str(x.dtype) else value
    return xp.full(shape, value, dtype=x.dtype) if size else None


def spread(xp: Any, x: Any, axis: int, start: int, step: int, size: int) -> Any:
    """Zeros of `size` along an axis, with x at start, start + step, ..."""
    n = x.shape[axis]
    if n == 0:
        return xp.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), dtype=x.dtype)
    if step > 1:
        lead, rest = x.shape[:axis], x.shape[axis + 1 :]
        gaps = xp.zeros((*lead, n, step - 1, *rest), dtype=x.dtype)
        x = xp.reshape(xp.concat([xp.expand_dims(x, axis=axis + 1), gaps], axis=axis + 1), (*lead, n * step, *rest))
        n = (n - 1) * step + 1
        x = x[(*[slice(None)] * axis, slice(0, n), ...)]
    padding = [(0, 0)] * x.ndim
    padding[axis] = (start, size - start - n)
    return pad(xp, x, padding, 0)


def _within(item: slice, n: int) -> tuple[int, int, int]:
    """Start, step and count of a slice of n elements, counted upwards; a negative step says that it is reversed."""
    steps = range(n)[item]
    return (min(steps[0], steps[-1]) if steps else 0), steps.step, len(steps)


def _slices(xp: Any, dtype_of: Any) -> Kernels:
    def strided_slice(x: Any, index: Any) -> Any:
        items: list[Any] = []
        flipped: list[int] = []
        axis = 0
        place = 0
        for item in index:
            if isinstance(item, slice):
                start, step, count = _within(item, x.shape[axis])
                items.append(slice(start, start + (count - 1) * abs(step) + 1 if count else start, abs(step)))
                if step < 0:
                    flipped.append(place)
            elif item is not None:
                item = item + x.shape[axis] if item < 0 else item
                items.append(item)
            else:
                items.append(None)
            axis += item is not None
            place += item is None or isinstance(item, slice)
        out = x[tuple(items)] if items else x
        return xp.flip(out, axis=tuple(flipped)) if flipped else out

    def scatter_slice(x: Any, index: Any, shape: Any) -> Any:
        axis = 0
        rest = list(shape)
        for item in index:
            if item is None:
                x = xp.squeeze(x, axis=axis)
                continue
            size = rest.pop(0)
            if isinstance(item, slice):
                start, step, _ = _within(item, size)
                x = xp.flip(x, axis=axis) if step < 0 else x
                x = spread(xp, x, axis, start, abs(step), size)
            else:
                x = spread(xp, xp.expand_dims(x, axis=axis), axis, item % size, 1, size)
            axis += 1
        return x

    return {"strided_slice": strided_slice, "scatter_slice": scatter_slice}
