"""Faults to plant into a sound backend, one at a time: what the suite must notice.

Each row names the kernel (or member) that is replaced and gives the wrong version, built from the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fault:
    """One fault: `plant(right)` gives the wrong kernel for `target`; `ops` narrows the run to where it can show."""

    name: str
    target: str
    plant: Callable[[Callable[..., Any]], Callable[..., Any]]
    ops: str
    top: int = 3


def _float32(x: Any) -> Any:
    return np.asarray(x).astype("float32")


KERNEL_FAULTS: tuple[Fault, ...] = (
    Fault("sum over the wrong axis", "sum", lambda k: lambda x, axis, keepdims: k(
        np.swapaxes(x, 0, -1) if np.ndim(x) > 1 else x, axis, keepdims), "^sum$"),
    Fault("sum forgets keepdims", "sum", lambda k: lambda x, axis, keepdims: k(x, axis, False), "^sum$"),
    Fault("mean divides by n - 1", "mean", lambda k: lambda x, axis, keepdims: np.asarray(
        k(x, axis, keepdims) * np.float32(1.25), np.asarray(x).dtype), "^mean$"),
    Fault("argmax takes the last of ties", "argmax", lambda k: lambda x, axis: (
        np.shape(x)[axis] - 1 - np.argmax(np.flip(x, axis), axis)), "^argmax$"),
    Fault("argmin is argmax", "argmin", lambda k: lambda x, axis: np.argmax(x, axis=axis), "^argmin$"),
    Fault("max ignores NaN", "max", lambda k: lambda x, axis, keepdims: np.nanmax(x, axis=axis, keepdims=keepdims), "^max$"),
    Fault("maximum ignores NaN", "maximum", lambda k: np.fmax, "^maximum$"),
    Fault("comparison gives floats", "greater", lambda k: lambda x, y: _float32(k(x, y)), "^greater$"),
    Fault("less is less_equal", "less", lambda k: np.less_equal, "^less$"),
    Fault("equal within a tolerance", "equal", lambda k: lambda x, y: np.isclose(x, y, atol=0.6), "^equal$"),
    Fault("exp in double precision", "exp", lambda k: lambda x: np.exp(np.asarray(x, "float64")), "^exp$"),
    Fault("log of negatives is 0", "log", lambda k: lambda x: np.where(np.asarray(x) > 0, k(x), np.float32(0)), "^log$"),
    Fault("round halves up", "round", lambda k: lambda x: np.floor(np.asarray(x) + 0.5).astype(np.asarray(x).dtype), "^round$"),
    Fault("sign of 0 is 1", "sign", lambda k: lambda x: np.where(np.asarray(x) == 0, 1, k(x)).astype(np.asarray(x).dtype), "^sign$"),
    Fault("floor towards zero", "floor", lambda k: np.trunc, "^floor$"),
    Fault("mod has the dividend's sign", "mod", lambda k: np.fmod, "^mod$"),
    Fault("floor_divide truncates", "floor_divide", lambda k: lambda x, y: np.trunc(x / y).astype(np.asarray(x).dtype), "^floor_divide$"),
    Fault("cumsum runs backwards", "cumsum", lambda k: lambda x, axis: np.flip(k(np.flip(x, axis), axis), axis), "^cumsum$"),
    Fault("cumprod along the last axis", "cumprod", lambda k: lambda x, axis: k(x, np.ndim(x) - 1), "^cumprod$"),
    Fault("transpose ignores its permutation", "transpose", lambda k: lambda x, perm: np.transpose(x), "^transpose$"),
    Fault("reverse all axes", "reverse", lambda k: lambda x, axis: np.flip(x), "^reverse$"),
    Fault("repeat is tile", "repeat_elements", lambda k: lambda x, rep, axis: np.tile(
        x, [rep if i == axis else 1 for i in range(np.ndim(x))]), "^repeat_elements$"),
    Fault("pad on the other side", "pad", lambda k: lambda x, padding, value: k(x, [p[::-1] for p in padding], value), "^pad$"),
    Fault("pad with zeros only", "pad", lambda k: lambda x, padding, value: k(x, padding, 0.0), "^pad$"),
    Fault("concatenate along axis 0", "concatenate", lambda k: lambda xs, axis: k(xs, 0), "^concatenate$"),
    Fault("stack at the end", "stack", lambda k: lambda xs, axis: k(xs, -1), "^stack$"),
    Fault("gather along axis 0", "gather", lambda k: lambda x, indices, axis: k(x, indices, 0), "^gather$"),
    Fault("scatter_add overwrites", "scatter_add", lambda k: lambda indices, updates, shape, axis: (
        _overwrite(indices, updates, shape, axis)), "^scatter_add$"),
    Fault("one_hot wraps negative indices", "one_hot", lambda k: lambda i, n, dtype: k(np.asarray(i) % n, n, dtype), "^one_hot$"),
    Fault("top_k in rising order", "top_k", lambda k: lambda x, n: tuple(np.flip(r, -1) for r in k(x, n)), "^top_k$"),
    Fault("matmul transposes its operand", "matmul", lambda k: lambda x, y: k(
        x, np.swapaxes(y, -1, -2) if np.shape(y)[-1] == np.shape(y)[-2] else y), "^matmul$"),
    Fault("where swaps its branches", "where", lambda k: lambda c, x, y: k(c, y, x), "^where$"),
    Fault("cast rounds", "cast", lambda k: lambda x, dtype: k(np.round(x) if "int" in dtype else x, dtype), "^cast$"),
    Fault("add changes its operand", "add", lambda k: _in_place_add, "^add$"),
    Fault("multiply does not broadcast", "multiply", lambda k: lambda x, y: k(x, np.broadcast_to(
        np.ravel(y)[:1].reshape(()) if np.size(y) else y, np.shape(y))), "^multiply$"),
    Fault("convolution flips its kernel", "conv", lambda k: lambda x, kernel, *a: k(x, np.flip(kernel, 0), *a), "^conv$"),
    Fault("convolution pads one off", "conv", lambda k: lambda x, kernel, s, padding, *a: np.roll(
        k(x, kernel, s, padding, *a), 1 if padding == "same" else 0, 1), "^conv$"),
    Fault("pooling counts the padding", "avg_pool", lambda k: lambda x, size, strides, padding, fmt: k(
        x, size, strides, padding, fmt) * np.float32(0.9 if padding == "same" else 1), "^avg_pool$"),
    Fault("max pooling pads with zeros", "max_pool", lambda k: lambda x, size, strides, padding, fmt: (
        np.maximum(k(x, size, strides, padding, fmt), 0) if padding == "same" else k(x, size, strides, padding, fmt)), "^max_pool$"),
    Fault("scan forgets to reverse", "scan", lambda k: lambda body, carry, xs, length, reverse: k(
        body, carry, xs, length, False), "control flow", 4),
    Fault("scan skips the last step", "scan", lambda k: lambda body, carry, xs, length, reverse: _short(
        k, body, carry, xs, length, reverse), "control flow", 4),
    Fault("cond takes the other branch", "cond", lambda k: lambda c, a, b: k(not bool(c), a, b), "control flow", 4),
    Fault("uniform draws are off by half", "random_uniform", lambda k: lambda key, shape, low, high, dtype: (
        k(key, shape, low, high, dtype) + np.asarray(0.5, dtype)), "random", 4),
    Fault("normal draws have half the deviation", "random_normal", lambda k: lambda key, shape, mean, std, dtype: k(
        key, shape, mean, std / 2, dtype), "random", 4),
    Fault("truncated normal is not truncated", "truncated_normal", lambda k: lambda key, shape, mean, std, dtype: (
        np.random.default_rng(abs(hash(key)) % 2**32).normal(mean, std, shape).astype(dtype)), "random", 4),
)  # fmt: skip


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


def member_faults(base: type) -> dict[str, tuple[type, str, int]]:
    """Faults in the backend object itself: name -> (class, ops pattern, top level)."""

    class StaleState(base):  # type: ignore[misc,valid-type]
        """State aliases the array that it was made from."""

        def new_state(self, value: Any, dtype: str, name: str) -> Any:
            return value

    class SharedResults(base):  # type: ignore[misc,valid-type]
        """Results are views of state."""

        def to_numpy(self, value: Any) -> Any:
            return value

    class OneKey(base):  # type: ignore[misc,valid-type]
        """Every call of a function draws the same numbers."""

        def step_key(self, step: int) -> Any:
            return super().step_key(1)

    class DeafFold(base):  # type: ignore[misc,valid-type]
        """All random sites share one key."""

        def fold_key(self, key: Any, data: Any) -> Any:
            return super().fold_key(key, 0)

    class WrongSpec(base):  # type: ignore[misc,valid-type]
        """Shapes are told the wrong way round."""

        def spec_of(self, value: Any) -> Any:
            spec = super().spec_of(value)
            return spec.with_shape(reversed(spec.shape))

    class NumbersAreNative(base):  # type: ignore[misc,valid-type]
        """Python numbers are taken for tensors."""

        def is_native(self, value: Any) -> bool:
            return super().is_native(value) or isinstance(value, float)

    class AnyDevice(base):  # type: ignore[misc,valid-type]
        """Unknown devices are silently accepted."""

        def device_scope(self, name: str) -> Any:
            return super().device_scope("/cpu:0")

    class DoublePrecision(base):  # type: ignore[misc,valid-type]
        """Conversion ignores the dtype."""

        def asarray(self, value: Any, dtype: str | None = None) -> Any:
            return super().asarray(value, "float64" if dtype == "float32" else dtype)

    return {
        "state aliases its source": (StaleState, "state", 1),
        "results alias state": (SharedResults, "state|updates", 4),
        "the same key at every call": (OneKey, "random", 4),
        "the same key at every site": (DeafFold, "random", 4),
        "shapes are reversed": (WrongSpec, "tensors", 1),
        "numbers are native": (NumbersAreNative, "tensors", 1),
        "unknown devices are accepted": (AnyDevice, "devices", 1),
        "conversion ignores the dtype": (DoublePrecision, "tensors", 1),
    }
