"""Faults in the backend object: conversion, state, executables, keys, devices, capabilities."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from typing import Any

import numpy as np
from faults import Fault, Plant


def _fault(name: str, category: str, target: str, plant: Plant, ops: str, top: int) -> Fault:
    return Fault(name, category, target, plant, ops, top, where="member")


def _drops_updates(right: Any) -> Any:
    """Every other call of a function leaves its variables as they are."""

    def finalize(fn: Any, **named: Any) -> Any:
        call, calls = right(fn, **named), iter(range(10**9))

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = call(state, params, inputs, key)
            return outputs, new if next(calls) % 2 == 0 else state

        return run

    return finalize


def _remembers(right: Any) -> Any:
    """Executables keep the values of the variables that they only read."""

    def finalize(fn: Any, **named: Any) -> Any:
        call, first = right(fn, **named), []

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            first[:] = first or [params]
            return call(state, first[0], inputs, key)

        return run

    return finalize


def _caches(right: Any) -> Any:
    """The results of the last call serve again when the fed shapes are the same."""

    def finalize(fn: Any, **named: Any) -> Any:
        call, seen = right(fn, **named), {}

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            at = tuple(np.shape(x) for x in inputs)
            if not at or state or params:
                return call(state, params, inputs, key)
            return seen.setdefault(at, call(state, params, inputs, key))

        return run

    return finalize


def _overwrites_inputs(right: Any) -> Any:
    """State is written into the fed arrays where shapes allow it."""

    def finalize(fn: Any, **named: Any) -> Any:
        call = right(fn, **named)

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = call(state, params, inputs, key)
            for x in inputs:
                for n in new:
                    if np.shape(x) == np.shape(n) and np.shape(x) and x.flags.writeable:
                        x[...] = n
            return outputs, new

        return run

    return finalize


def _in_place(right: Any) -> Any:
    """New state is written over the old arrays, which others may hold."""

    def finalize(fn: Any, **named: Any) -> Any:
        call = right(fn, **named)

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = call(state, params, inputs, key)
            for old, value in zip(state, new, strict=True):
                if isinstance(old, np.ndarray) and np.shape(old):
                    old[...] = value
            return outputs, tuple(o if np.shape(o) else v for o, v in zip(state, new, strict=True))

        return run

    return finalize


def _first_wins(right: Any) -> Any:
    """Updates happen one after another: the second sees what the first wrote."""

    def finalize(fn: Any, **named: Any) -> Any:
        call = right(fn, **named)

        def run(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            outputs, new = call(state, params, inputs, key)
            if len(new) < 2:
                return outputs, new
            _, later = call((new[0], *state[1:]), params, inputs, key)
            return outputs, (new[0], *later[1:])

        return run

    return finalize


@contextlib.contextmanager
def _swallows(name: str) -> Any:
    if name.lower() not in ("/cpu:0", "cpu", "cpu:0"):
        from kcore.errors import BackendError

        raise BackendError(f"no device {name}")
    with contextlib.suppress(Exception):
        yield


def _known_sizes(right: Any) -> Any:
    def infer(fn: Any, specs: Any) -> Any:
        return right(fn, [s.with_shape(5 if n is None else n for n in s.shape) for s in specs])

    return infer


FAULTS: tuple[Fault, ...] = (
    _fault("state aliases its source", "in-place aliasing", "new_state", lambda k: lambda value, dtype, name: value,
           "state|aliasing", 4),
    _fault("matrices are stored transposed", "file layout", "new_state", lambda k: lambda value, dtype, name: k(
        np.ascontiguousarray(value.T) if value.ndim == 2 and value.shape[0] == value.shape[1] else value, dtype, name),
        "state|files|fit|layers|models", 7),
    _fault("kernels are stored in another order", "file layout", "new_state", lambda k: lambda value, dtype, name: k(
        np.ascontiguousarray(np.flip(value, (0, 1))) if value.ndim == 4 else value, dtype, name), "files|layers", 7),
    _fault("new values are flattened into the old shape", "set_value copies the wrong shape", "new_state", lambda k: (
        lambda value, dtype, name: k(np.reshape(value, np.shape(value)[::-1]), dtype, name)), "state", 4),
    _fault("state ignores its dtype", "dtype", "new_state", lambda k: lambda value, dtype, name: k(
        value, "float32" if dtype == "int32" else dtype, name), "state|capab", 4),
    _fault("results alias state", "in-place aliasing", "to_numpy", lambda k: lambda value: value,
           "state|updates|aliasing", 4),
    _fault("results are double", "dtype", "to_numpy", lambda k: lambda value: k(value).astype(
        "float64" if np.asarray(value).dtype == np.float32 else np.asarray(value).dtype), "tensors", 1),
    _fault("results are rounded", "float16 precision", "to_numpy", lambda k: lambda value: (
        k(value).astype("float16").astype("float32") if np.asarray(value).dtype == np.float32 else k(value)),
        "tensors|function|exp", 4),
    _fault("the same key at every call", "key reuse", "step_key", lambda k: lambda step: k(1), "random", 4),
    _fault("keys repeat after two calls", "key reuse", "step_key", lambda k: lambda step: k(step % 2), "random", 4),
    _fault("keys depend on the clock", "non-determinism", "step_key", lambda k: lambda step: k(secrets.randbits(40)),
           "random", 4),
    _fault("the same key at every site", "key reuse", "fold_key", lambda k: lambda key, data: k(key, 0), "random", 4),
    _fault("pairs of steps share a key", "key reuse", "fold_key", lambda k: lambda key, data: k(key, int(data) // 2),
           "random", 4),
    _fault("shapes are reversed", "wrong shape", "spec_of", lambda k: lambda value: k(value).with_shape(
        reversed(k(value).shape)), "tensors", 1),
    _fault("numbers are native", "wrong promotion", "is_native", lambda k: lambda value: (
        k(value) or isinstance(value, float)), "tensors", 1),
    _fault("nothing but arrays of rank 1 and more is native", "edge value", "is_native", lambda k: lambda value: (
        k(value) and np.ndim(value) > 0), "^(sum|mean)$", 3),
    _fault("conversion ignores the dtype", "dtype", "asarray", lambda k: lambda value, dtype=None: k(
        value, "float64" if dtype == "float32" else dtype), "tensors", 1),
    _fault("conversion ignores the byte order", "edge value", "asarray", lambda k: lambda value, dtype=None: k(
        value.view(value.dtype.newbyteorder("="))
        if isinstance(value, np.ndarray) and not value.dtype.isnative else value, dtype), "tensors", 1),
    _fault("empty arrays become vectors", "wrong empty handling", "asarray", lambda k: lambda value, dtype=None: k(
        np.reshape(value, -1) if isinstance(value, np.ndarray) and not value.size else value, dtype), "tensors", 1),
    _fault("executables remember what they read", "stale state", "finalize", _remembers, "state|function", 4),
    _fault("executables serve old results", "stale state", "finalize", _caches, "function|state", 4),
    _fault("every other update is lost", "stale state", "finalize", _drops_updates, "state|updates", 4),
    _fault("updates happen one after another", "wrong order of updates", "finalize", _first_wins, "updates", 4),
    _fault("fed arrays are overwritten", "in-place aliasing", "finalize", _overwrites_inputs, "aliasing|updates", 4),
    _fault("state is overwritten in place", "in-place aliasing", "finalize", _in_place, "aliasing|updates|state", 4),
    _fault("unknown devices are accepted", "devices", "device_scope", lambda k: lambda name: k("/cpu:0"), "devices", 1),
    _fault("device scopes swallow errors", "devices", "device_scope", lambda k: _swallows, "devices", 1),
    _fault("devices have plain names", "devices", "devices", lambda k: lambda: ["cpu"], "devices", 1),
    _fault("a device is listed twice", "devices", "devices", lambda k: lambda: ["/cpu:0", "/cpu:0"], "devices", 1),
    _fault("a GPU is listed that is not declared", "devices", "devices", lambda k: lambda: ["/cpu:0", "/gpu:0"],
           "devices|capab", 1),
    _fault("a dtype is declared that is not there", "capabilities", "capabilities", lambda k: replace(
        k, dtypes=k.dtypes | {"bfloat16"}), "tensors|capab", 1),
    _fault("autodiff is declared and not there", "capabilities", "capabilities", lambda k: replace(k, autodiff=True),
           "regions|value_and_grad", 5),
    _fault("sizes are told that nobody knows", "wrong shape", "infer_native", _known_sizes, "native", 4),
    _fault("a kernel is missing", "missing", "kernels", lambda k: {n: f for n, f in k.items() if n != "tanh"}, "plug-in", 0),
    _fault("a kernel is not implemented", "silent fallback", "kernels", lambda k: {**k, "cumprod": _not_implemented},
           "cumprod", 2),
    _fault("results are lists", "silent fallback", "kernels", lambda k: {**k, "sign": lambda x: np.sign(x).tolist()},
           "^sign$", 3),
)  # fmt: skip


def _not_implemented(*arguments: Any) -> Any:
    raise NotImplementedError("cumprod")
