"""Control flow: loops over time, branches, and open loops. Their bodies are subgraphs (kcore.graph.ir.Subgraph)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.errors import GraphError, ShapeError
from kcore.graph import ir
from kcore.graph.ir import Subgraph, Symbolic, TensorSpec
from kcore.ops.spec import REGISTRY, Tensor, Tensors, as_symbolic, eager_only, holds_symbolic, primitive


def _np_scan(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    count = len(xs[0]) if xs else int(length)
    carry, ys = list(carry), []
    for i in reversed(range(count)) if reverse else range(count):
        out = body(*carry, *(x[i] for x in xs), np.int32(i))
        carry = list(out[: len(carry)])
        ys.append(out[len(carry) :])
    if reverse:
        ys.reverse()
    return (*carry, *(np.stack(column) for column in zip(*ys, strict=True)))


def _scan_spec(body: Subgraph, carry: Any, xs: Any, length: Any, reverse: bool) -> tuple[TensorSpec, ...]:
    steps = xs[0].shape[0] if xs else (length if isinstance(length, int) else None)
    n = len(carry)
    finals = [out.spec for out in body.outputs[:n]]
    return (*finals, *(out.spec.with_shape((steps, *out.shape)) for out in body.outputs[n:]))


def _scan_vjp(g: Any, out: Any, body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    from kcore.graph.control_vjp import scan_vjp

    return scan_vjp(g, out, body, carry, xs, length, reverse)


@primitive(infer=_scan_spec, reference=_np_scan, vjp=_scan_vjp, promote=(), multiple=True)
def scan(body: Any, carry: Tensors, xs: Tensors, length: Any = None, reverse: bool = False) -> Any:
    """A loop: `body(*carry, *slices of xs, i) -> (*new carry, *ys)` over the leading axis.

    Results are the final carry and the stacked ys. `reverse` runs from the last step; ys keep the order of xs.
    """


def loop(fn: Callable[..., tuple[Sequence[Any], Sequence[Any]]], carry: Sequence[Any], xs: Sequence[Any],
         length: Any = None, *, reverse: bool = False) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Trace and apply a scan: `fn(carry list, x list, i) -> (new carry, ys)`; returns (final carry, stacked ys)."""
    if eager_only() and not holds_symbolic([*carry, *xs]):
        return _loop_now(fn, carry, xs, length, reverse)
    carry = [as_symbolic(c) for c in carry]
    xs = [as_symbolic(x) for x in xs]
    n = len(carry)
    specs = [c.spec for c in carry]
    specs += [x.spec.with_shape(x.shape[1:]) for x in xs]
    specs.append(TensorSpec((), "int32"))
    names = [f"carry_{i}" for i in range(n)] + [f"x_{i}" for i in range(len(xs))] + ["i"]

    def body(*params: Any) -> Any:
        new, ys = fn(list(params[:n]), list(params[n:-1]), params[-1])
        if len(new) != n:
            raise GraphError(f"A loop's body must return {n} new states, as many as it was given; got {len(new)}.")
        return [_like(v, c) for v, c in zip(new, carry, strict=True)] + [as_symbolic(y) for y in ys]

    subgraph, _ = ir.trace(body, specs, names, counter=len(specs) - 1)
    out = scan(subgraph, carry, xs, length, reverse)
    return out[:n], out[n:]


def _loop_now(fn: Any, carry: Sequence[Any], xs: Sequence[Any], length: Any, reverse: bool) -> (
    tuple[list[Any], list[Any]]
):
    """The loop of an eager composite body: no graph, the backend's scan over the function itself."""
    n = len(carry)

    def body(*values: Any) -> tuple[Any, ...]:
        new, ys = fn(list(values[:n]), list(values[n:-1]), values[-1])
        return (*new, *ys)

    out = scan(body, list(carry), list(xs), length, reverse)
    return out[:n], out[n:]


def _like(item: Any, carry: Symbolic) -> Symbolic:
    value = as_symbolic(item, carry.dtype)
    if len(value.shape) != len(carry.shape) or any(
        a is not None and b is not None and a != b for a, b in zip(value.shape, carry.shape, strict=True)
    ):
        raise ShapeError(f"A loop's state must keep its shape: it was {carry.shape}, the body returned {value.shape}.")
    return value


def _cond_spec(condition: TensorSpec, then: Subgraph, otherwise: Subgraph) -> tuple[TensorSpec, ...]:
    specs = []
    for a, b in zip(then.outputs, otherwise.outputs, strict=True):
        if a.dtype != b.dtype or a.ndim != b.ndim:
            raise ShapeError(f"Both branches must give the same kind of tensor, got {a.spec} and {b.spec}.")
        specs.append(a.spec.with_shape(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)))
    return tuple(specs)


def _np_cond(condition: Any, then: Any, otherwise: Any) -> Any:
    return then() if bool(condition) else otherwise()


def _cond_vjp(g: Any, out: Any, condition: Any, then: Any, otherwise: Any) -> Any:
    from kcore.graph.control_vjp import cond_vjp

    return cond_vjp(g, condition, then, otherwise)


@primitive(infer=_cond_spec, reference=_np_cond, vjp=_cond_vjp, promote=(), multiple=True)
def cond(condition: Tensor, then: Any, otherwise: Any) -> Any:
    """The results of one of two branches, by a scalar condition; only that one is computed."""


def branch(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Trace and apply a cond; the branches return a tensor or a list of tensors."""
    condition = REGISTRY["cast"].public(as_symbolic(condition), "bool")
    first, nest = ir.trace(lambda: _symbolic_nest(then()), [], [])
    second, _ = ir.trace(lambda: _symbolic_nest(otherwise()), [], [])
    out = cond(condition, first, second)
    return out if isinstance(nest, list) else out[0]


def _symbolic_nest(result: Any) -> Any:
    return [as_symbolic(x) for x in result] if isinstance(result, (list, tuple)) else as_symbolic(result)


def _np_while(condition: Any, body: Any, carry: Any) -> Any:
    carry = tuple(carry)
    while bool(condition(*carry)[0]):
        carry = tuple(body(*carry))
    return carry


@primitive(infer=lambda condition, body, carry: tuple(carry), reference=_np_while, promote=(), multiple=True,
           differentiable=False)  # fmt: skip
def while_loop(condition: Any, body: Any, carry: Tensors) -> Any:
    """Repeat `body(*carry) -> new carry` while `condition(*carry)`, a 1-tuple of a scalar, holds. No gradient flows."""


def repeat_while(condition: Callable[..., Any], body: Callable[..., Sequence[Any]], carry: Sequence[Any]) -> list[Any]:
    """Trace and apply a while_loop."""
    carry = [as_symbolic(c) for c in carry]
    names = [f"carry_{i}" for i in range(len(carry))]
    specs = [c.spec for c in carry]
    test, _ = ir.trace(lambda *p: [REGISTRY["cast"].public(condition(*p), "bool")], specs, names)
    step, _ = ir.trace(lambda *p: [_like(v, c) for v, c in zip(body(*p), carry, strict=True)], specs, names)
    return list(while_loop(test, step, carry))
