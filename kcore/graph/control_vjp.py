"""Gradients of loops and branches, in K ops: a loop's gradient is a loop that runs the other way.

Each step of it copies the body, fed with the carry that the forward step got, and carries the gradients of carry and
captures. All of it is ordinary graph, so that it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kcore.graph import ir
from kcore.graph.autodiff import pullback
from kcore.graph.clone import Cloner
from kcore.graph.ir import Subgraph, Symbolic
from kcore.ops import dtypes
from kcore.ops.control import branch, loop
from kcore.ops.elementwise import add
from kcore.ops.structural import identity, zeros_like

Gradients = list["Symbolic | None"]


def saved_carries(body: Subgraph, count: int) -> list[int] | None:
    """Positions among the loop's results of the carries that each step got, stacked; None where one is missing."""
    stacked = {id(v): count + i for i, v in enumerate(body.outputs[count:])}
    positions = [stacked.get(id(p), -1) for p in body.params[:count]]
    return None if -1 in positions else positions


def scan_vjp(g: Sequence[Symbolic | None], out: Sequence[Symbolic], body: Subgraph, carry: Sequence[Symbolic],
             xs: Sequence[Symbolic], length: Any, reverse: bool) -> tuple[list[Symbolic], Gradients]:  # fmt: skip
    """Gradients of a loop: the values (carry, xs, captures) and, in the same order, what flows back to each."""
    count = len(carry)
    saved = _carries(out, body, carry, xs, length, reverse)
    step = _Step(body, count, [g_y is not None for g_y in g[count:]])
    inputs = [*saved, *xs, *(g_y for g_y in g[count:] if g_y is not None)]
    flows = step.flows(inputs)
    d_carry = [g_c if g_c is not None else zeros_like(c) for g_c, c in zip(g[:count], out[:count], strict=True)]
    start = [d for d, c in zip(d_carry, carry, strict=True) if _float(c)]
    start += [zeros_like(v) for v, there in zip(step.captures, flows.captures, strict=True) if there]

    def back(carried: list[Any], slices: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
        d_params, d_xs, d_captures = step.gradients(carried[: step.floats], slices, i)
        d_params = [d if d is not None else zeros_like(c) for d, c in zip(d_params, carried, strict=False)]
        totals = iter(carried[step.floats :])
        sums = [add(next(totals), d) for d in d_captures if d is not None]
        return [*d_params, *sums], [d for d in d_xs if d is not None]

    final, stacked = loop(back, start, inputs, length, reverse=not reverse)
    carried, sums, columns = iter(final[: step.floats]), iter(final[step.floats :]), iter(stacked)
    gradients: Gradients = [next(carried) if _float(c) else None for c in carry]
    gradients += [next(columns) if there else None for there in flows.xs]
    gradients += [next(sums) if there else None for there in flows.captures]
    return [*carry, *xs, *step.captures], gradients


def _carries(
    out: Sequence[Symbolic], body: Subgraph, carry: Any, xs: Any, length: Any, reverse: bool
) -> list[Symbolic]:
    """The carry that each step got, stacked: from the loop's own results, or by running it again."""
    count = len(carry)
    positions = saved_carries(body, count)
    if positions is not None:
        return [out[i] for i in positions]

    def again(carried: list[Any], slices: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
        results = Cloner([]).inline(body, [*carried, *slices, i])
        return results[:count], carried

    return loop(again, carry, xs, length, reverse=reverse)[1]


class _Flows:
    """To which xs and captures gradients flow."""

    def __init__(self, xs: Sequence[Any], captures: Sequence[Any]) -> None:
        self.xs = [d is not None for d in xs]
        self.captures = [d is not None for d in captures]


class _Step:
    """One step backwards: the VJP of a copy of the body."""

    def __init__(self, body: Subgraph, count: int, has_gradient: Sequence[bool]) -> None:
        self.body = body
        self.count = count
        self.has_gradient = has_gradient
        self.captures = [v for v in body.captures if _float(v)]
        self.floats = sum(_float(p) for p in body.params[:count])

    def gradients(self, d_new: Sequence[Any], slices: Sequence[Any], i: Any) -> tuple[Gradients, Gradients, Gradients]:
        """Gradients of the floating carries, of xs and of the floating captures, from those of the new carry.

        `slices` are the saved carry, the step's xs, and the gradients of those ys that have one.
        """
        params = list(slices[: len(self.body.params) - 1])
        d_ys, carried = iter(slices[len(params) :]), iter(d_new)
        copies = [identity(v) for v in self.captures]
        results = Cloner(list(zip(self.captures, copies, strict=True))).inline(self.body, [*params, i])
        cotangents = [next(carried) if _float(p) else None for p in params[: self.count]]
        cotangents += [next(d_ys) if there else None for there in self.has_gradient]
        floats = [p for p in params if _float(p)]
        found = pullback(results, cotangents, [*floats, *copies], closed=True)
        by_param = iter(found[: len(floats)])
        d_params = [next(by_param) if _float(p) else None for p in params]
        d_carry = [d for d, p in zip(d_params, params, strict=True) if _float(p)][: self.floats]
        return d_carry, d_params[self.count :], found[len(floats) :]

    def flows(self, inputs: Sequence[Symbolic]) -> _Flows:
        """What gets a gradient at all, found by tracing one step and throwing it away."""
        with ir.entering(ir.Frame(ir.current_frame())):
            carried = [ir.SymbolicTensor(p.spec) for p in self.body.params[: self.count] if _float(p)]
            slices = [ir.SymbolicTensor(v.spec.with_shape(v.shape[1:])) for v in inputs]
            counter = ir.SymbolicTensor(self.body.params[-1].spec)
            _, d_xs, d_captures = self.gradients(carried, slices, counter)
        return _Flows(d_xs, d_captures)


def cond_vjp(
    g: Sequence[Symbolic | None], condition: Symbolic, then: Subgraph, otherwise: Subgraph
) -> tuple[list[Symbolic], Gradients]:
    """Gradients of a branch: the captures of both sides and what flows back to each, by the side that is taken."""
    captures: list[Symbolic] = []
    for v in (*then.captures, *otherwise.captures):
        if _float(v) and not any(v is w for w in captures):
            captures.append(v)
    sides = [_side(then, g, captures), _side(otherwise, g, captures)]
    with ir.entering(ir.Frame(ir.current_frame())):
        found = [side() for side in sides]
    flows = [any(d is not None for d in pair) for pair in zip(*found, strict=True)]
    if not any(flows):
        return captures, [None] * len(captures)

    def taken(side: Callable[[], Gradients]) -> Callable[[], list[Any]]:
        return lambda: [
            d if d is not None else zeros_like(v) for d, v, there in zip(side(), captures, flows, strict=True) if there
        ]

    results = iter(branch(condition, *map(taken, sides)))
    return captures, [next(results) if there else None for there in flows]


def _side(body: Subgraph, g: Sequence[Symbolic | None], captures: Sequence[Symbolic]) -> Callable[[], Gradients]:
    def gradients() -> Gradients:
        copies = [identity(v) for v in captures]
        results = Cloner(list(zip(captures, copies, strict=True))).inline(body, [])
        return pullback(results, g, copies, closed=True)

    return gradients


def _float(value: Symbolic) -> bool:
    return dtypes.is_float(value.dtype)
