"""Gradients of loops and branches by the core's own rules: a loop's gradient is a loop the other way.

The forward carries are computed once more and kept, then the body is inlined step by step, backwards. Serves backends
without autodiff, as graph/autodiff.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.graph import ir
from kcore.graph.autodiff import pullback
from kcore.graph.ir import Frame, Node, Subgraph, Symbolic, SymbolicTensor, TensorSpec
from kcore.ops import dtypes

Grads = list["Symbolic | None"]


def inline(body: Subgraph, arguments: Sequence[Symbolic]) -> list[Symbolic]:
    """The body's results for these arguments, as nodes of the frame that is being traced."""
    mapping: dict[int, Symbolic] = {id(p): a for p, a in zip(body.params, arguments, strict=True)}
    return _clone(body, mapping)


def _clone(body: Subgraph, mapping: dict[int, Symbolic]) -> list[Symbolic]:
    for node in ir.topological(body.outputs, lambda v: not body.contains(v)):
        arguments = {name: _argument(value, mapping) for name, value in node.arguments.items()}
        new = Node(node.op, arguments, [out.spec for out in node.outputs], name=node.name)
        new.scope = node.scope
        mapping.update({id(a): b for a, b in zip(node.outputs, new.outputs, strict=True)})
    return [mapping.get(id(v), v) for v in body.outputs]


def _argument(value: Any, mapping: dict[int, Symbolic]) -> Any:
    if isinstance(value, Subgraph):
        return _subgraph(value, mapping)
    return ir.map_values(lambda v: mapping.get(id(v), v), value)


def _subgraph(body: Subgraph, mapping: dict[int, Symbolic]) -> Subgraph:
    frame = Frame(ir.current_frame())
    with ir.entering(frame):
        params = [SymbolicTensor(p.spec, name=p.name) for p in body.params]
        inner = {**mapping, **{id(a): b for a, b in zip(body.params, params, strict=True)}}
        if body.frame.counter is not None:
            frame.counter = inner.get(id(body.frame.counter), body.frame.counter)
        return Subgraph(params, _clone(body, inner), frame)


# --- loops ------------------------------------------------------------------------------------------------------------


def scan_vjp(
    g: Sequence[Symbolic | None], body: Subgraph, carry: Sequence[Symbolic], xs: Sequence[Symbolic], length: Any,
    reverse: bool,
) -> tuple[list[Symbolic], Grads]:  # fmt: skip
    """Gradients of a scan: the values it read (carry, xs, captures), and the gradient of each."""
    n = len(carry)
    captures = [v for v in body.captures if _has_gradient(v)]
    live = [i for i in range(n) if dtypes.is_float(carry[i].dtype)]
    ys = [k for k in range(n, len(g)) if g[k] is not None]
    kept = _forward_carries(body, carry, xs, length, reverse)
    sequences: list[Symbolic] = [*kept, *xs, *(g[k] for k in ys)]  # type: ignore[list-item]
    start = [_or_zeros(g[i], carry[i]) for i in live] + [_zeros(v) for v in captures]

    def step(*params: SymbolicTensor) -> list[Any]:
        cotangents, rest = params[: len(start)], params[len(start) :]
        old, x, gys, i = rest[:n], rest[n : n + len(xs)], rest[n + len(xs) : -1], rest[-1]
        seeds: Grads = [None] * len(g)
        for position, value in zip([*live, *ys], [*cotangents[: len(live)], *gys], strict=True):
            seeds[position] = value
        inputs = [*old, *x, i]
        outputs = inline(body, inputs)
        back = pullback(outputs, seeds, [*inputs, *body.captures], closed=True)
        into = {id(v): b for v, b in zip(body.captures, back[len(inputs) :], strict=True)}
        sums = [_sum(acc, into[id(v)]) for acc, v in zip(cotangents[len(live) :], captures, strict=True)]
        return [
            *(_or_zeros(back[i], old[i]) for i in live), *sums,
            *(_or_zeros(back[n + j], x[j]) for j in range(len(xs)) if dtypes.is_float(x[j].dtype)),
        ]  # fmt: skip

    out = _scan(step, start, sequences, length, not reverse)
    carries, sums = out[: len(live)], out[len(live) : len(start)]
    float_xs = [x for x in xs if dtypes.is_float(x.dtype)]
    values = [*(carry[i] for i in live), *captures, *float_xs]
    return values, [*carries, *sums, *out[len(start) :]]


def _forward_carries(
    body: Subgraph, carry: Sequence[Symbolic], xs: Sequence[Symbolic], length: Any, reverse: bool
) -> list[Symbolic]:
    """What each step found as its carry, stacked."""
    n = len(carry)
    if not n:
        return []

    def step(*params: SymbolicTensor) -> list[Any]:
        return [*inline(body, params)[:n], *params[:n]]

    return _scan(step, list(carry), xs, length, reverse)[n:]


def _scan(step: Any, carry: Sequence[Symbolic], xs: Sequence[Symbolic], length: Any, reverse: bool) -> list[Symbolic]:
    from kcore.ops.spec import REGISTRY, apply

    specs = [c.spec for c in carry] + [x.spec.with_shape(x.shape[1:]) for x in xs] + [TensorSpec((), "int32")]
    names = [f"carry_{i}" for i in range(len(carry))] + [f"x_{i}" for i in range(len(xs))] + ["i"]
    body, _ = ir.trace(step, specs, names, counter=len(specs) - 1)
    arguments = {"body": body, "carry": list(carry), "xs": list(xs), "length": length, "reverse": reverse}
    return list(apply(REGISTRY["scan"], arguments))


# --- branches ---------------------------------------------------------------------------------------------------------


def cond_vjp(
    g: Sequence[Symbolic | None], condition: Symbolic, then: Subgraph, otherwise: Subgraph
) -> tuple[list[Symbolic], Grads]:
    """Gradients of a cond: the values that the branches captured, and the gradient of each, by the branch taken."""
    from kcore.ops.spec import REGISTRY, apply

    captured = {id(v): v for body in (then, otherwise) for v in body.captures if _has_gradient(v)}
    if not captured:
        return [], []
    values = list(captured.values())

    def back(body: Subgraph) -> Subgraph:
        def fn() -> list[Symbolic]:
            own = list(body.captures)
            grads = dict(zip(map(id, own), pullback(inline(body, []), g, own, closed=True), strict=True))
            return [_or_zeros(grads.get(id(v)), v) for v in values]

        return ir.trace(fn, [], [])[0]

    arguments = {"condition": condition, "then": back(then), "otherwise": back(otherwise)}
    return values, list(apply(REGISTRY["cond"], arguments))


def _has_gradient(value: Symbolic) -> bool:
    node = getattr(value, "node", None)
    return dtypes.is_float(value.dtype) and not (node is not None and node.op.name == "constant")


def _sum(total: Symbolic, value: Symbolic | None) -> Symbolic:
    from kcore.ops.spec import REGISTRY

    return total if value is None else REGISTRY["add"].public(total, value)  # type: ignore[no-any-return]


def _or_zeros(value: Symbolic | None, like: Symbolic) -> Symbolic:
    return _zeros(like) if value is None else value


def _zeros(value: Symbolic) -> Symbolic:
    from kcore.ops.spec import REGISTRY

    return REGISTRY["zeros_like"].public(value)  # type: ignore[no-any-return]
