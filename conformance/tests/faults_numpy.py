"""Faults in the NumPy backend's kernels of array operations: elementwise, reductions, shapes, indexing, control flow."""

from __future__ import annotations

from typing import Any

import numpy as np
from faults import Fault


def _float32(x: Any) -> Any:
    return np.asarray(x).astype("float32")


FAULTS: tuple[Fault, ...] = (
    Fault("sum over the wrong axis", "wrong axis", "sum", lambda k: lambda x, axis, keepdims: k(
        np.swapaxes(x, 0, -1) if np.ndim(x) > 1 else x, axis, keepdims)),
    Fault("sum forgets keepdims", "wrong shape", "sum", lambda k: lambda x, axis, keepdims: k(x, axis, False)),
    Fault("mean divides by n - 1", "wrong scale", "mean", lambda k: lambda x, axis, keepdims: np.asarray(
        k(x, axis, keepdims) * np.float32(1.25), np.asarray(x).dtype)),
    Fault("argmax takes the last of ties", "tie-breaking", "argmax", lambda k: lambda x, axis: (
        np.shape(x)[axis] - 1 - np.argmax(np.flip(x, axis), axis))),
    Fault("argmin is argmax", "wrong function", "argmin", lambda k: lambda x, axis: np.argmax(x, axis=axis)),
    Fault("max ignores NaN", "NaN handling", "max", lambda k: lambda x, axis, keepdims: np.nanmax(x, axis=axis, keepdims=keepdims)),
    Fault("maximum ignores NaN", "NaN handling", "maximum", lambda k: np.fmax),
    Fault("comparison gives floats", "dtype", "greater", lambda k: lambda x, y: _float32(k(x, y))),
    Fault("less is less_equal", "tie-breaking", "less", lambda k: np.less_equal),
    Fault("equal within a tolerance", "precision", "equal", lambda k: lambda x, y: np.isclose(x, y, atol=0.6)),
    Fault("exp in double precision", "dtype", "exp", lambda k: lambda x: np.exp(np.asarray(x, "float64"))),
    Fault("log of negatives is 0", "NaN handling", "log", lambda k: lambda x: np.where(np.asarray(x) > 0, k(x), np.float32(0))),
    Fault("round halves up", "tie-breaking", "round", lambda k: lambda x: np.floor(np.asarray(x) + 0.5).astype(np.asarray(x).dtype)),
    Fault("sign of 0 is 1", "edge value", "sign", lambda k: lambda x: np.where(np.asarray(x) == 0, 1, k(x)).astype(np.asarray(x).dtype)),
    Fault("floor towards zero", "rounding", "floor", lambda k: np.trunc),
    Fault("mod has the dividend's sign", "rounding", "mod", lambda k: np.fmod),
    Fault("floor_divide truncates", "rounding", "floor_divide", lambda k: lambda x, y: np.trunc(x / y).astype(np.asarray(x).dtype)),
    Fault("cumsum runs backwards", "wrong order", "cumsum", lambda k: lambda x, axis: np.flip(k(np.flip(x, axis), axis), axis)),
    Fault("cumprod along the last axis", "wrong axis", "cumprod", lambda k: lambda x, axis: k(x, np.ndim(x) - 1)),
    Fault("transpose ignores its permutation", "wrong axis", "transpose", lambda k: lambda x, perm: np.transpose(x)),
    Fault("reverse all axes", "wrong axis", "reverse", lambda k: lambda x, axis: np.flip(x)),
    Fault("repeat is tile", "wrong order", "repeat_elements", lambda k: lambda x, rep, axis: np.tile(
        x, [rep if i == axis else 1 for i in range(np.ndim(x))])),
    Fault("pad on the other side", "padding off by one", "pad", lambda k: lambda x, padding, value: k(x, [p[::-1] for p in padding], value)),
    Fault("pad with zeros only", "argument ignored", "pad", lambda k: lambda x, padding, value: k(x, padding, 0.0)),
    Fault("concatenate along axis 0", "wrong axis", "concatenate", lambda k: lambda xs, axis: k(xs, 0)),
    Fault("stack at the end", "wrong axis", "stack", lambda k: lambda xs, axis: k(xs, -1)),
    Fault("gather along axis 0", "wrong axis", "gather", lambda k: lambda x, indices, axis: k(x, indices, 0)),
    Fault("scatter_add overwrites", "wrong function", "scatter_add", lambda k: lambda indices, updates, shape, axis: (
        _overwrite(indices, updates, shape, axis))),
    Fault("one_hot wraps negative indices", "out of range", "one_hot", lambda k: lambda i, n, dtype: k(np.asarray(i) % n, n, dtype)),
    Fault("top_k in rising order", "wrong order", "top_k", lambda k: lambda x, n: tuple(np.flip(r, -1) for r in k(x, n))),
    Fault("matmul transposes its operand", "wrong axis", "matmul", lambda k: lambda x, y: k(
        x, np.swapaxes(y, -1, -2) if np.shape(y)[-1] == np.shape(y)[-2] else y)),
    Fault("where swaps its branches", "wrong order", "where", lambda k: lambda c, x, y: k(c, y, x)),
    Fault("cast rounds", "rounding", "cast", lambda k: lambda x, dtype: k(np.round(x) if "int" in dtype else x, dtype)),
    Fault("add changes its operand", "in-place aliasing", "add", lambda k: _in_place_add),
    Fault("multiply does not broadcast", "broadcast", "multiply", lambda k: lambda x, y: k(x, np.broadcast_to(
        np.ravel(y)[:1].reshape(()) if np.size(y) else y, np.shape(y)))),
    Fault("convolution flips its kernel", "wrong order", "conv", lambda k: lambda x, kernel, *a: k(x, np.flip(kernel, 0), *a)),
    Fault("convolution pads one off", "padding off by one", "conv", lambda k: lambda x, kernel, s, padding, *a: np.roll(
        k(x, kernel, s, padding, *a), 1 if padding == "same" else 0, 1)),
    Fault("pooling counts the padding", "padding off by one", "avg_pool", lambda k: lambda x, size, strides, padding, fmt: k(
        x, size, strides, padding, fmt) * np.float32(0.9 if padding == "same" else 1)),
    Fault("max pooling pads with zeros", "padding off by one", "max_pool", lambda k: lambda x, size, strides, padding, fmt: (
        np.maximum(k(x, size, strides, padding, fmt), 0) if padding == "same" else k(x, size, strides, padding, fmt))),
    Fault("scan forgets to reverse", "argument ignored", "scan", lambda k: lambda body, carry, xs, length, reverse: k(
        body, carry, xs, length, False), "control flow", 4),
    Fault("scan skips the last step", "while off by one", "scan", lambda k: lambda body, carry, xs, length, reverse: _short(
        k, body, carry, xs, length, reverse), "control flow", 4),
    Fault("cond takes the other branch", "wrong order", "cond", lambda k: lambda c, a, b: k(not bool(c), a, b), "control flow", 4),
    Fault("uniform draws are off by half", "randomness", "random_uniform", lambda k: lambda key, shape, low, high, dtype: (
        k(key, shape, low, high, dtype) + np.asarray(0.5, dtype)), "random", 4),
    Fault("normal draws have half the deviation", "randomness", "random_normal", lambda k: lambda key, shape, mean, std, dtype: k(
        key, shape, mean, std / 2, dtype), "random", 4),
    Fault("truncated normal is not truncated", "randomness", "truncated_normal", lambda k: lambda key, shape, mean, std, dtype: (
        np.random.default_rng(abs(hash(key)) % 2**32).normal(mean, std, shape).astype(dtype)), "random", 4),
    Fault("reversed when shapes differ", "broadcast", "subtract", lambda k: lambda x, y: (
        k(x, y) if np.shape(x) == np.shape(y) else k(y, x))),
    Fault("broadcasting from the left", "broadcast", "broadcast_to", lambda k: _broadcast_left, "broadcast_to"),
    Fault("gradients of broadcasting are averaged", "wrong gradient scale", "reduce_to", lambda k: lambda x, shape: (
        k(x, shape) * np.asarray(0.5 if np.shape(x) != tuple(shape) else 1, np.asarray(x).dtype))),
    Fault("integers saturate", "int overflow", "add", lambda k: _saturating_add, "integers|^add$"),
    Fault("integer products in floating point", "int overflow", "multiply", lambda k: lambda x, y: (
        np.clip(np.multiply(x, y, dtype="float64"), -2.0**31, 2.0**31 - 1).astype(np.asarray(x).dtype)
        if np.asarray(x).dtype == np.int32 else k(x, y)), "integers|^multiply$"),
    Fault("sum of integers is a float", "wrong promotion", "sum", lambda k: lambda x, axis, keepdims: (
        k(x, axis, keepdims).astype("float32") if np.asarray(x).dtype.kind == "i" else k(x, axis, keepdims))),
    Fault("mean of halves in halves", "float16 precision", "mean", lambda k: _running_half("mean", k), "half|^mean$"),
    Fault("sum of halves in halves", "float16 precision", "sum", lambda k: _running_half("sum", k), "half|^sum$"),
    Fault("tanh by way of float16", "float16 precision", "tanh", lambda k: lambda x: (
        k(np.asarray(x, "float16")).astype(np.asarray(x).dtype))),
    Fault("products by way of float16", "float16 precision", "matmul", lambda k: lambda x, y: (
        k(np.asarray(x, "float16"), np.asarray(y, "float16")).astype(np.asarray(x).dtype))),
    Fault("expm1 is exp - 1", "precision", "expm1", lambda k: lambda x: np.exp(x) - np.asarray(1, np.asarray(x).dtype),
          "exp"),
    Fault("log1p is log of 1 + x", "precision", "log1p", lambda k: lambda x: np.log(np.asarray(1, np.asarray(x).dtype) + x),
          "exp|log1p"),
    Fault("softplus overflows", "overflow", "softplus", lambda k: lambda x: np.log1p(np.exp(x)), "softplus|sigmoid"),
    Fault("all is any", "wrong function", "all", lambda k: lambda x, axis, keepdims: np.any(x, axis, keepdims=keepdims)),
    Fault("min ignores NaN", "NaN handling", "min", lambda k: lambda x, axis, keepdims: np.nanmin(
        x, axis=axis, keepdims=keepdims)),
    Fault("infinity counts as NaN", "NaN handling", "isnan", lambda k: lambda x: ~np.isfinite(x)),
    Fault("NaN counts as finite", "NaN handling", "isfinite", lambda k: lambda x: ~np.isinf(x)),
    Fault("greater is true of NaN", "NaN handling", "greater", lambda k: lambda x, y: ~np.less_equal(x, y), "^greater$|comparisons"),
    Fault("roots of negatives are 0", "NaN handling", "sqrt", lambda k: lambda x: k(np.maximum(x, 0))),
    Fault("powers of the magnitude", "sign", "power", lambda k: lambda x, y: k(np.abs(x), y)),
    Fault("abs of integers only", "sign", "abs", lambda k: lambda x: k(x) if np.asarray(x).dtype.kind == "i" else +x),
    Fault("argmin takes the last of ties", "tie-breaking", "argmin", lambda k: lambda x, axis: (
        np.shape(x)[axis] - 1 - np.argmin(np.flip(x, axis), axis))),
    Fault("top_k takes the last of ties", "tie-breaking", "top_k", lambda k: _last_of_ties),
    Fault("top_k tells int64 indices", "dtype", "top_k", lambda k: lambda x, n: (k(x, n)[0], k(x, n)[1].astype("int64"))),
    Fault("arange stops early", "off by one", "arange", lambda k: lambda start, stop, step, dtype: k(
        start, stop, step, dtype)[:-1]),
    Fault("slices stop one early", "off by one", "strided_slice", lambda k: lambda x, index: k(x, tuple(
        slice(i.start, i.stop - 1, i.step) if isinstance(i, slice) and i.stop is not None and i.stop > 1 else i
        for i in index))),
    Fault("slices ignore their step", "argument ignored", "strided_slice", lambda k: lambda x, index: k(x, tuple(
        slice(i.start, i.stop) if isinstance(i, slice) and (i.step or 1) > 1 else i for i in index))),
    Fault("the gradient of a slice is put at the front", "wrong gradient place", "scatter_slice", lambda k: (
        lambda x, index, shape: _at_the_front(k, x, index, shape)), "slice", 5),
    Fault("reshape in Fortran's order", "wrong order", "reshape", lambda k: lambda x, shape: np.reshape(x, shape, "F")),
    Fault("expand_dims at the end", "wrong axis", "expand_dims", lambda k: lambda x, axis: np.expand_dims(x, -1)),
    Fault("tile repeats elements", "wrong order", "tile", lambda k: _tile_elements),
    Fault("one_hot is one off", "off by one", "one_hot", lambda k: lambda i, n, dtype: k(np.asarray(i) + 1, n, dtype),
          "one_hot"),
    Fault("gather clips negative indices", "out of range", "gather", lambda k: lambda x, i, axis: k(
        x, np.maximum(i, 0), axis), "gather"),
    Fault("sums of nothing are NaN", "wrong empty handling", "sum", lambda k: lambda x, axis, keepdims: (
        k(x, axis, keepdims) if np.size(x) else k(x, axis, keepdims) + np.asarray(np.nan, np.asarray(x).dtype)
        if np.asarray(x).dtype.kind == "f" else k(x, axis, keepdims)), "^sum$|^empty"),
    Fault("products of nothing are 0", "wrong empty handling", "prod", lambda k: lambda x, axis, keepdims: (
        k(x, axis, keepdims) if np.size(x) else k(x, axis, keepdims) * 0), "^prod$|^empty"),
    Fault("empty parts have no dtype", "wrong empty handling", "concatenate", lambda k: lambda xs, axis: (
        k(xs, axis) if np.size(k(xs, axis)) else np.zeros(np.shape(k(xs, axis)))), "^concatenate$|^empty"),
    Fault("the same numbers twice in a hundred", "non-determinism", "sum", lambda k: _sometimes(k), "repeats|^sum$", 4),
)  # fmt: skip


def _broadcast_left(x: Any, shape: Any) -> Any:
    x = np.asarray(x)
    if x.ndim and x.ndim < len(shape) and x.shape[0] == shape[0]:
        x = x.reshape(x.shape + (1,) * (len(shape) - x.ndim))
    return np.array(np.broadcast_to(x, shape))


def _saturating_add(x: Any, y: Any) -> Any:
    result = np.add(x, y)
    if result.dtype.kind not in "iu" or result.dtype.itemsize > 4:
        return result
    info = np.iinfo(result.dtype)
    return np.clip(np.add(x, y, dtype="int64"), info.min, info.max).astype(result.dtype)


def _running_half(name: str, right: Any) -> Any:
    def run(x: Any, axis: Any, keepdims: bool) -> Any:
        if np.asarray(x).dtype != np.float16 or np.ndim(x) != 1 or not np.size(x):
            return right(x, axis, keepdims)
        total = np.cumsum(x, dtype="float16")[-1:]
        total = total / np.float16(np.size(x)) if name == "mean" else total
        return total if keepdims else total[0]

    return run


def _last_of_ties(x: Any, k: int) -> Any:
    n = np.shape(x)[-1]
    order = np.flip(np.argsort(x, -1, kind="stable"), -1)[..., :k]
    return np.take_along_axis(np.asarray(x), order, -1), (order % n).astype("int32")


def _at_the_front(right: Any, x: Any, index: Any, shape: Any) -> Any:
    return np.roll(right(x, index, shape), 1, 0) if len(shape) and shape[0] > 1 else right(x, index, shape)


def _tile_elements(x: Any, n: Any) -> Any:
    for axis, times in enumerate(n):
        x = np.repeat(x, times, axis)
    return x


def _sometimes(right: Any) -> Any:
    calls = iter(range(10**9))

    def run(x: Any, axis: Any, keepdims: bool) -> Any:
        result = right(x, axis, keepdims)
        odd = next(calls) % 3 == 2 and np.asarray(x).dtype.kind == "f"
        return result * np.asarray(1 + 1e-6, result.dtype) if odd else result

    return run


def _in_place_add(x: Any, y: Any) -> Any:
    result = np.add(x, y)
    if isinstance(x, np.ndarray) and x.size and x.flags.writeable:
        x += np.asarray(1, x.dtype)
    return result


def _overwrite(indices: Any, updates: Any, shape: Any, axis: int) -> Any:
    out = np.zeros(shape, np.asarray(updates).dtype)
    moved = np.moveaxis(out, axis, 0)
    rank = np.ndim(indices)
    moved[np.asarray(indices)] = np.moveaxis(updates, range(axis, axis + rank), range(rank))
    return out


def _short(scan: Any, body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    result = list(scan(body, carry, xs, length, reverse))
    for i in range(len(carry), len(result)):
        result[i] = np.concatenate([result[i][:-1], np.zeros_like(result[i][-1:])])
    return tuple(result)
