"""The properties of one op on one example: what must hold between the backend, the declaration and the reference.

An example is a dict of arguments drawn by the op's `cases`. Each property raises `Mismatch` (or lets the backend's own
exception through) when it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.backend.active import backend_scope
from kcore.graph import function, gradients
from kcore.ops import dtypes
from kcore.ops.spec import Op, spec_of
from kcore_conformance.compare import Mismatch, expected_dtype, same

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Property:
    """A property of ops."""

    name: str
    applies: Callable[[Op], bool]
    run: Callable[[Any, Op, Arguments], None]
    #: Share of the setting's examples that it gets: compiling ones are dear.
    share: float = 1.0
    #: Level of its own (gradients); None for the op's level.
    level: int | None = None


def reference(op: Op, arguments: Arguments) -> list[np.ndarray]:
    """The reference's answer: the op run at once on the NumPy backend."""
    with backend_scope("numpy"):
        result = op.public(**_copied(arguments))
    return [np.asarray(x) for x in (result if op.multiple else [result])]


def _copied(arguments: Arguments) -> Arguments:
    return {
        k: v.copy() if isinstance(v, np.ndarray) else list(v) if isinstance(v, list) else v
        for k, v in arguments.items()
    }


def _tensors(op: Op, arguments: Arguments) -> list[tuple[str, int | None, np.ndarray]]:
    """Tensor operands as (parameter, position in a list or None, array)."""
    found: list[tuple[str, int | None, np.ndarray]] = []
    for p in op.tensor_params:
        value = arguments.get(p)
        if op.kinds[p] == "tensors":
            found.extend((p, i, np.asarray(x)) for i, x in enumerate(value or []))
        elif value is not None:
            found.append((p, None, np.asarray(value)))
    return found


def _with(op: Op, arguments: Arguments, make: Callable[[np.ndarray], Any],
          static: Callable[[np.ndarray], Any] | None = None) -> Arguments:  # fmt: skip
    """The arguments with each tensor operand replaced: by `make(array)`, or `static(array)` where the shape counts."""
    out = dict(arguments)
    for p in op.tensor_params:
        value = arguments.get(p)
        made = static if static is not None and p in op.static else make
        if op.kinds[p] == "tensors":
            out[p] = [made(np.asarray(x)) for x in value or []]
        elif value is not None:
            out[p] = made(np.asarray(value))
    return out


def eager(backend: Any, op: Op, arguments: Arguments) -> None:
    """Run at once on native tensors: value, shape and dtype as the reference's; operands untouched."""
    want = reference(op, arguments)
    natives = _with(op, arguments, lambda a: backend.asarray(a, dtypes.name_of(a.dtype)))
    before = [backend.to_numpy(x) for x in _flat(op, natives)]
    result = op.public(**natives)
    got = list(result) if op.multiple else [result]
    if len(got) != len(want):
        raise Mismatch(f"{len(got)} results, expected {len(want)}")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        same(_on_host(backend, g), w, f"result {i}" if op.multiple else "result")
        if op.name == "shape":
            continue
        dtype, right = spec_of(g).dtype, expected_dtype(dtypes.name_of(w.dtype), backend.capabilities.dtypes)
        if dtype != right:
            raise Mismatch(f"dtype {dtype}, expected {right}")
    for x, y in zip(_flat(op, natives), before, strict=True):
        same(backend.to_numpy(x), y, "an operand after the call (it must not change)")


def _on_host(backend: Any, value: Any) -> np.ndarray:
    """Of a native result; shapes are NumPy's, and an op without tensors gives a symbolic result, which is evaluated."""
    return np.asarray(backend.to_numpy(value) if backend.is_native(value) else value)


def _flat(op: Op, arguments: Arguments) -> list[Any]:
    return [
        x
        for p in op.tensor_params
        for x in (arguments[p] if op.kinds[p] == "tensors" else [arguments.get(p)])
        if x is not None
    ]


def declared(backend: Any, op: Op, arguments: Arguments) -> None:
    """The declared rule tells the reference's shape and dtype, with all dimensions known and with none."""
    want = reference(op, arguments)
    for unknown in (False, True):

        def placeholder(a: np.ndarray, unknown: bool = unknown) -> Any:
            return function.placeholder([None] * a.ndim if unknown else a.shape, dtypes.name_of(a.dtype))

        def known(a: np.ndarray) -> Any:
            return function.placeholder(a.shape, dtypes.name_of(a.dtype))

        result = op.public(**_with(op, arguments, placeholder, known))
        for got, array in zip(result if op.multiple else [result], want, strict=True):
            if got.dtype != dtypes.name_of(array.dtype):
                raise Mismatch(f"the rule says dtype {got.dtype}, the reference gives {array.dtype}")
            fits = len(got.shape) == array.ndim and all(
                n in (None, m) for n, m in zip(got.shape, array.shape, strict=True)
            )
            if not fits or (not unknown and None in got.shape and not _dynamic(op)):
                raise Mismatch(f"the rule says shape {got.shape}, the reference gives {array.shape}")


def _dynamic(op: Op) -> bool:
    return any(kind == "dims" for kind in op.kinds.values())


def compiled(backend: Any, op: Op, arguments: Arguments) -> None:
    """Through K.function, from placeholders of unknown dimensions: as the reference."""
    want = reference(op, arguments)
    feeds: list[np.ndarray] = []
    placeholders: list[Any] = []

    def placeholder(a: np.ndarray, *, known: bool = False) -> Any:
        feeds.append(a)
        placeholders.append(function.placeholder(a.shape if known else [None] * a.ndim, dtypes.name_of(a.dtype)))
        return placeholders[-1]

    result = op.public(**_with(op, arguments, placeholder, lambda a: placeholder(a, known=True)))
    got = function.Function(placeholders, result if op.multiple else [result])(feeds)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        same(g, w, f"result {i}" if op.multiple else "result")


def gradient(backend: Any, op: Op, arguments: Arguments) -> None:
    """Gradients of a weighted sum of the results, against the core's own rules on the reference backend."""
    if not all(np.isfinite(a).all() for _, _, a in _tensors(op, arguments) if a.dtype.kind == "f"):
        return
    got = _gradients(op, arguments, backend.name)
    want = _gradients(op, arguments, "numpy")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if (g is None) != (w is None):
            raise Mismatch(
                f"gradient {i}: {'None' if g is None else 'a tensor'}, expected {'None' if w is None else 'one'}"
            )
        if g is not None and w is not None:
            same(g, w, f"gradient by operand {i}", 3e-4)


def _gradients(op: Op, arguments: Arguments, backend: str) -> list[np.ndarray | None]:
    feeds: list[np.ndarray] = []
    placeholders: list[Any] = []

    def placeholder(a: np.ndarray) -> Any:
        feeds.append(a)
        placeholders.append(function.placeholder(a.shape, dtypes.name_of(a.dtype)))
        return placeholders[-1]

    with backend_scope(backend):
        result = op.public(**_with(op, arguments, placeholder))
        outs = [x for x in (result if op.multiple else [result]) if dtypes.is_float(x.dtype)]
        wrt = [p for p in placeholders if dtypes.is_float(p.dtype)]
        if not outs or not wrt:
            return []
        rng = np.random.default_rng(0)
        values = reference(op, arguments)
        floats = [v for v in values if v.dtype.kind == "f"]
        weights = [(1 + np.round(rng.random(v.shape), 2)).astype(v.dtype) for v in floats]
        grads = gradients.gradients([x * w for x, w in zip(outs, weights, strict=True)], wrt)
        have = [g for g in grads if g is not None]
        computed = iter(function.Function(placeholders, have)(feeds) if have else [])
        return [None if g is None else next(computed) for g in grads]


def override(backend: Any, op: Op, arguments: Arguments) -> None:
    """The backend's own kernel of a composite against the composite's body on the same backend."""
    natives = _with(op, arguments, lambda a: backend.asarray(a, dtypes.name_of(a.dtype)))
    result = op.public(**natives)
    from kcore.ops import spec

    spec._eager_depth += 1
    try:
        assert op.body is not None
        body = op.body(**{p: natives.get(p, op.signature.parameters[p].default) for p in op.params})
    finally:
        spec._eager_depth -= 1
    for i, (a, b) in enumerate(zip(result if op.multiple else [result], body if op.multiple else [body], strict=True)):
        same(backend.to_numpy(a), backend.to_numpy(b), f"result {i} of the native kernel against the body")


def _has_rule(op: Op) -> bool:
    return op.differentiable and not op.random


PROPERTIES: tuple[Property, ...] = (
    Property("eager", lambda op: not op.random, eager),
    Property("declared", lambda op: not op.random, declared, 0.5),
    Property("compiled", lambda op: not op.random, compiled, 0.3),
    Property("gradient", _has_rule, gradient, 0.3, 5),
)
