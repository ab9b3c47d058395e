"""Promises beyond values: native kernels stand for bodies, wrong arguments are refused alike, memory is not shared."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore.backend import active
from kcore.errors import DTypeError, GraphError, KcoreError
from kcore.ops.edges import Wrong
from kcore.ops.spec import Op
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.properties.examples import (
    Arguments,
    Call,
    natives,
    on_host,
    operands,
    results,
    run_native_together,
    symbolic,
)

# --- override ---------------------------------------------------------------------------------------------------------


@contextmanager
def _without_kernel(backend: Any, name: str) -> Iterator[Any]:
    """The backend without its kernel of one composite, active."""
    bare = copy.copy(backend)
    bare.kernels = {k: v for k, v in backend.kernels.items() if k != name}
    active._stack.append(bare)
    try:
        yield bare
    finally:
        active._stack.pop()


def override(backend: Any, op: Op, arguments: Arguments) -> None:
    """The backend's own kernel of a composite gives what the composite's body gives on the same backend."""
    override_together(backend, op, [arguments])


def override_together(backend: Any, op: Op, examples: Sequence[Arguments]) -> None:
    """Several examples: through one K.function with the kernel and one without where the backend compiles."""
    run = _compiled if backend.capabilities.compiles else _at_once
    native = run(backend, op, examples)
    with _without_kernel(backend, op.name) as bare:
        body = run(bare, op, examples)
    for ours, theirs in zip(native, body, strict=True):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if backend.spec_of(a).dtype != backend.spec_of(b).dtype:
                raise Mismatch(f"result {i} of the native kernel has dtype {backend.spec_of(a).dtype}, of the body "
                               f"{backend.spec_of(b).dtype}")  # fmt: skip
            same(on_host(backend, a), on_host(backend, b), f"result {i} of the native kernel against the body")


def _at_once(backend: Any, op: Op, examples: Sequence[Arguments]) -> list[list[Any]]:
    return [results(op, op.public(**natives(backend, op, arguments))) for arguments in examples]


def _compiled(backend: Any, op: Op, examples: Sequence[Arguments]) -> list[list[Any]]:
    calls = []
    for arguments in examples:
        made, placeholders, feeds = symbolic(op, arguments)
        calls.append(Call(results(op, op.public(**made)), placeholders, feeds))
    return run_native_together(backend, calls)


# --- errors -----------------------------------------------------------------------------------------------------------


def refused(op: Op, names: frozenset[str]) -> Sequence[Arguments]:
    """The arguments that the op says it refuses, and what no op takes."""
    found = [{"wrong": wrong} for wrong in op.cases.errors]
    return [*found, *({"wrong": wrong} for wrong in _never_taken(op, names))]


def _never_taken(op: Op, names: frozenset[str]) -> Iterator[Wrong]:
    """A valid example with something in place of an operand that is no tensor, or with an unknown dtype."""
    from kcore.ops.cases import NumpyDraw

    example = op.cases(NumpyDraw(0, tuple(names)))
    for name in op.tensor_params[:1]:
        if op.kinds[name] == "tensor":
            yield Wrong(DTypeError, **{**example, name: "text"})
            yield Wrong(GraphError, **{**example, name: None})
        elif op.kinds[name] == "tensors":
            yield Wrong(GraphError, **{**example, name: 1.5})
    if "dtype" in op.params:
        yield Wrong(DTypeError, **{**example, "dtype": "float31"})


def errors(backend: Any, op: Op, arguments: Arguments) -> None:
    """Wrong arguments raise the declared error, with the op's name, in a graph and at once, in the same words."""
    wrong: Wrong = arguments["wrong"]
    made = wrong.made({p: op.kinds[p] for p in op.tensor_params})
    at_once = _raised(op, _keeping(op, made, lambda a: natives(backend, op, a)))
    in_graph = _raised(op, _keeping(op, made, lambda a: symbolic(op, a)[0]))
    for how, error in (("at once", at_once), ("in a graph", in_graph)):
        if error is None:
            raise Mismatch(f"{how}: nothing was raised, expected {wrong.kind.__qualname__}")
        if not isinstance(error, wrong.kind) or not isinstance(error, KcoreError):
            raise Mismatch(f"{how}: {type(error).__qualname__}: {error}; expected {wrong.kind.__qualname__}")
        if op.name not in str(error):
            raise Mismatch(f"{how}: the message does not name {op.name}: {error}")
    if str(at_once) != str(in_graph):
        raise Mismatch(f"at once: {at_once}; in a graph: {in_graph}")


def _keeping(op: Op, made: Arguments, convert: Any) -> Arguments:
    """The arguments with arrays converted, and what is no array kept."""
    usual = {p: v for p, v in made.items() if p not in op.tensor_params or not _is_strange(v)}
    return {**made, **{p: v for p, v in convert(usual).items() if p in usual}}


def _is_strange(value: Any) -> bool:
    return value is None or isinstance(value, (str, float))


def _raised(op: Op, arguments: Arguments) -> Exception | None:
    try:
        op.public(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever is raised is judged
        return error
    return None


# --- aliasing ---------------------------------------------------------------------------------------------------------


def aliasing(backend: Any, op: Op, arguments: Arguments) -> None:
    """Writing into an operand afterwards, where the backend's tensors can be written to, changes no result."""
    if not all(_overwritten(backend, x) for x in operands(op, natives(backend, op, arguments))):
        return  # nothing can be written to, so there is no need to compute anything
    given = natives(backend, op, arguments)
    got = [x for x in results(op, op.public(**given)) if backend.is_native(x)]
    before = [np.array(on_host(backend, x)) for x in got]
    for x in operands(op, given):
        _overwritten(backend, x)
    for i, (x, y) in enumerate(zip(got, before, strict=True)):
        same(on_host(backend, x), y, f"result {i} after an operand was overwritten")


def _overwritten(backend: Any, x: Any) -> bool:
    """Fill a native tensor with other values in place; False where its kind cannot be written to."""
    host = np.array(backend.to_numpy(x))
    other = ~host if host.dtype.kind == "b" else host + np.ones((), host.dtype)
    try:
        x[...] = backend.asarray(np.where(other == host, 0, other).astype(host.dtype), backend.spec_of(x).dtype)
    except (TypeError, AttributeError, NotImplementedError):
        return False
    return True
