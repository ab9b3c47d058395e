"""First kernels for a new backend, made of what it already has: conversion to and from NumPy.

With `host_kernels` every primitive is there on the first day, so that a backend's author starts with all levels of the
suite green and replaces one family after another. Nothing here knows a framework; nothing here is fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kcore.errors import GraphError
from kcore.graph.ir import TensorSpec
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY, Op

Kernels = dict[str, Callable[..., Any]]


class Converts(Protocol):
    """What of a backend is needed here."""

    kernels: Any

    def is_native(self, value: Any) -> bool: ...
    def asarray(self, value: Any, dtype: str | None = None) -> Any: ...
    def to_numpy(self, value: Any) -> np.ndarray: ...
    def spec_of(self, value: Any) -> TensorSpec: ...


def host_kernels(backend: Converts) -> Kernels:
    """A kernel for every primitive: the NumPy reference on host copies; loops and branches in Python.

    Args:
        backend: with `is_native`, `asarray`, `to_numpy` and `spec_of`. Its `kernels` are looked at when a loop runs,
            so loops slice and stack by the backend's own kernels once it has them.

    Returns:
        Kernels by op name, to be updated with native ones.

    >>> from kcore.backend.reference.backend import NumpyBackend
    >>> kernels = host_kernels(NumpyBackend())
    >>> kernels["add"](np.array([1.0]), np.array([2.0]))
    array([3.])
    """
    loops = loop_kernels(backend)
    kernels = {
        name: _on_host(backend, op)
        for name, op in REGISTRY.items()
        if op.is_primitive and op.reference is not None and name not in STRUCTURAL and name not in loops
    }
    kernels["shape"] = lambda x: np.asarray(backend.spec_of(x).shape, "int32")  # shapes stay on the host
    return kernels | loops


def _on_host(backend: Converts, op: Op) -> Callable[..., Any]:
    reference: Any = op.reference

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(v) for v in value]
        return backend.to_numpy(value) if backend.is_native(value) else value

    def kernel(*arguments: Any) -> Any:
        result = reference(*map(moved, arguments))
        if op.multiple:
            return tuple(backend.asarray(r) for r in result)
        return backend.asarray(result)

    kernel.__name__ = f"{op.name}_on_host"
    return kernel


def loop_kernels(backend: Converts) -> Kernels:
    """`scan`, `cond` and `while_loop` as Python loops over native tensors.

    They call the backend's kernels `strided_slice` and `stack`, so whatever differentiates those differentiates loops.
    """

    def row(x: Any, i: int) -> Any:
        return backend.kernels["strided_slice"](x, (i, *(slice(None),) * (backend.spec_of(x).rank - 1)))

    def scan(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
        stack = backend.kernels["stack"]
        count = int((backend.spec_of(xs[0]).shape[0] or 0) if xs else length)
        if not count:
            raise GraphError("A loop over zero steps has no result.")
        state, rows = list(carry), []
        for i in reversed(range(count)) if reverse else range(count):
            step = backend.asarray(i, "int32")
            out = body(*state, *(row(x, i) for x in xs), step)
            state = list(out[: len(state)])
            rows.append(out[len(state) :])
        if reverse:
            rows.reverse()
        return (*state, *(stack(list(column), 0) for column in zip(*rows, strict=True)))

    def holds(condition: Any) -> bool:
        return bool(backend.to_numpy(condition) if backend.is_native(condition) else condition)

    def cond(condition: Any, then: Any, otherwise: Any) -> Any:
        return then() if holds(condition) else otherwise()

    def while_loop(condition: Any, body: Any, carry: Any) -> Any:
        state = tuple(carry)
        while holds(condition(*state)[0]):
            state = tuple(body(*state))
        return state

    return {"scan": scan, "cond": cond, "while_loop": while_loop}
