"""Gradients: against the core's own rules on the reference backend, and against central finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.backend.active import backend_scope
from kcore.graph import gradients as region
from kcore.ops import dtypes
from kcore.ops.spec import Op
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.properties.examples import (
    Arguments,
    Call,
    copied,
    is_finite,
    operands,
    reference,
    replaced,
    results,
    run_together,
    symbolic,
)

REFERENCE = "numpy"
#: Step of the central differences, in float64.
_STEP = 1e-5


def by_the_rules(backend: Any, op: Op, arguments: Arguments) -> None:
    """Gradients of a weighted sum of the results, as the declarations' rules give them."""
    by_the_rules_together(backend, op, [arguments])


def by_the_rules_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several examples in one function."""
    examples = [arguments for arguments in examples if is_finite(op, arguments)]
    found = (_gradients(op, examples, name) for name in (backend.name, REFERENCE))
    for got, want in zip(*found, strict=True):
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            if (g is None) != (w is None):
                raise Mismatch(f"gradient {i}: {'None' if g is None else 'a tensor'}, expected "
                               f"{'None' if w is None else 'one'}")  # fmt: skip
            if g is not None and w is not None:
                same(g, w, f"gradient by operand {i}", 3e-4)


def plain_edges(op: Op, names: frozenset[str]) -> Sequence[Arguments]:
    """The edge cases that a gradient is defined at: empty operands, and others without extreme numbers."""
    return [a for a in op.cases.edges(names) if all(_is_plain(np.asarray(x)) for x in operands(op, a))]


def _is_plain(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool((np.abs(array) <= 100).all())


def _weights(values: list[np.ndarray]) -> list[np.ndarray]:
    """A weight for each element of the floating-point results, so that no two count the same."""
    rng = np.random.default_rng(0)
    return [(1 + np.round(rng.random(v.shape), 2)).astype(v.dtype) for v in values if v.dtype.kind == "f"]


def _gradients(op: Op, examples: Sequence[Arguments], backend: str) -> list[list[np.ndarray | None]]:
    """For each example, gradients by its floating-point operands; empty where there are none of it or its results."""
    with backend_scope(backend):
        sought = [_sought(op, arguments) for arguments in examples]
        found = run_together([call for call, _ in sought])
    return [[next(arrays) if has else None for has in connected]
            for arrays, (_, connected) in zip(map(iter, found), sought, strict=True)]  # fmt: skip


def _sought(op: Op, arguments: Arguments) -> tuple[Call, list[bool]]:
    """The gradients to compute, and for each floating-point operand whether it has one."""
    made, placeholders, feeds = symbolic(op, arguments)
    outs = [x for x in results(op, op.public(**made)) if dtypes.is_float(x.dtype)]
    wrt = [p for p in placeholders if dtypes.is_float(p.dtype)]
    if not outs or not wrt:
        return Call([], placeholders, feeds), []
    weights = _weights(reference(op, arguments))
    grads = region.gradients([x * w for x, w in zip(outs, weights, strict=True)], wrt)
    return Call([g for g in grads if g is not None], placeholders, feeds), [g is not None for g in grads]


def by_differences(backend: Any, op: Op, arguments: Arguments) -> None:
    """Along a random direction of each operand: the gradient's slope is that of the reference in float64."""
    by_differences_together(backend, op, [arguments])


def by_differences_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several examples, whose gradients one function computes."""
    examples = [arguments for arguments in examples if is_finite(op, arguments)]
    for arguments, gradients in zip(examples, _gradients(op, examples, backend.name), strict=True):
        _compare_slopes(op, arguments, gradients)


def _compare_slopes(op: Op, arguments: Arguments, gradients: Sequence[np.ndarray | None]) -> None:
    wide = replaced(op, arguments, lambda a: a.astype("float64") if a.dtype.kind == "f" else a)
    if any(v.dtype.kind == "f" and v.dtype != np.float64 for v in reference(op, wide)):
        return  # a cast to fewer digits, whose differences are noise
    floats = [i for i, a in enumerate(operands(op, wide)) if a.dtype.kind == "f"]
    weights = _weights(reference(op, arguments))
    rng = np.random.default_rng(1)
    for i, gradient in zip(floats, gradients, strict=False):
        shape = operands(op, wide)[i].shape
        direction = rng.uniform(-1, 1, shape)
        if gradient is not None and gradient.shape != shape:
            raise Mismatch(f"gradient by operand {i} has shape {gradient.shape}, the operand {shape}")
        slope = 0.0 if gradient is None else float(np.sum(gradient.astype("float64") * direction))
        up, down = (_loss(op, wide, i, sign * _STEP * direction, weights) for sign in (1, -1))
        numeric = (up - down) / (2 * _STEP)
        scale = max(1.0, abs(numeric), 0.0 if gradient is None else float(np.abs(gradient).max(initial=0.0)))
        exact = gradient is None or gradient.dtype == np.float64
        if not abs(slope - numeric) <= (1e-5 if exact else 1e-3) * scale:
            raise Mismatch(f"slope {slope:.7g} along a direction of operand {i}, finite differences give {numeric:.7g}")


def _loss(op: Op, arguments: Arguments, at: int, step: np.ndarray, weights: list[np.ndarray]) -> float:
    moved = copied(arguments)
    count = iter(range(len(operands(op, arguments))))
    moved = replaced(op, moved, lambda a: np.asarray(a + step) if next(count) == at else a)
    values = [v for v in reference(op, moved) if v.dtype.kind == "f"]
    return float(sum(np.sum(v.astype("float64") * w) for v, w in zip(values, weights, strict=True)))
