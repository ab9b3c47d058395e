"""Gradients: against the core's own rules on the reference backend, and against central finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.backend import active
from kcore.backend.active import backend_scope
from kcore.graph import function
from kcore.graph import gradients as region
from kcore.ops import dtypes
from kcore.ops.spec import Op
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.properties.examples import (
    Arguments,
    copied,
    is_finite,
    operands,
    reference,
    replaced,
    results,
    symbolic,
)

#: Step of the central differences, in float64.
_STEP = 1e-5


def by_the_rules(backend: Any, op: Op, arguments: Arguments) -> None:
    """Gradients of a weighted sum of the results, as the declarations' rules give them."""
    if not is_finite(op, arguments):
        return
    got = _gradients(op, arguments, backend.name)
    want = _gradients(op, arguments, "numpy")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if (g is None) != (w is None):
            raise Mismatch(f"gradient {i}: {'None' if g is None else 'a tensor'}, expected "
                           f"{'None' if w is None else 'one'}")  # fmt: skip
        if g is not None and w is not None:
            same(g, w, f"gradient by operand {i}", 3e-4)


def plain_edges(op: Op, names: frozenset[str]) -> Sequence[Arguments]:
    """The edge cases that a gradient is defined at: empty operands, and others without extreme numbers."""
    plain = [a for a in op.cases.edges(names) if all(_is_plain(np.asarray(x)) for x in operands(op, a))]
    return plain[:1] if active.backend().capabilities.compiles else plain


def _is_plain(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool((np.abs(array) <= 100).all())


def _weights(values: list[np.ndarray]) -> list[np.ndarray]:
    """A weight for each element of the floating-point results, so that no two count the same."""
    rng = np.random.default_rng(0)
    return [(1 + np.round(rng.random(v.shape), 2)).astype(v.dtype) for v in values if v.dtype.kind == "f"]


def _gradients(op: Op, arguments: Arguments, backend: str) -> list[np.ndarray | None]:
    made, placeholders, feeds = symbolic(op, arguments)
    with backend_scope(backend):
        outs = [x for x in results(op, op.public(**made)) if dtypes.is_float(x.dtype)]
        wrt = [p for p in placeholders if dtypes.is_float(p.dtype)]
        if not outs or not wrt:
            return []
        weights = _weights(reference(op, arguments))
        grads = region.gradients([x * w for x, w in zip(outs, weights, strict=True)], wrt)
        have = [g for g in grads if g is not None]
        computed = iter(function.Function(placeholders, have)(feeds) if have else [])
        return [None if g is None else next(computed) for g in grads]


def by_differences(backend: Any, op: Op, arguments: Arguments) -> None:
    """Along a random direction of each operand: the gradient's slope is that of the reference in float64."""
    if not is_finite(op, arguments):
        return
    wide = replaced(op, arguments, lambda a: a.astype("float64") if a.dtype.kind == "f" else a)
    if any(v.dtype.kind == "f" and v.dtype != np.float64 for v in reference(op, wide)):
        return  # a cast to fewer digits, whose differences are noise
    floats = [i for i, a in enumerate(operands(op, wide)) if a.dtype.kind == "f"]
    weights = _weights(reference(op, arguments))
    rng = np.random.default_rng(1)
    for i, gradient in zip(floats, _gradients(op, arguments, backend.name), strict=False):
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
