"""Gradients by the core's own rules: the VJPs of the primitives, as nodes of the graph.

Serves backends without autodiff and is an oracle for those with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import GraphError
from kcore.graph import ir
from kcore.graph.ir import Node, Symbolic
from kcore.ops import dtypes


def expand(loss: Symbolic, wrt: Sequence[Symbolic]) -> list[Symbolic]:
    """Gradients of a scalar loss as ordinary graph values; zeros where it does not depend."""
    from kcore.ops.spec import constant_node

    seed = constant_node(np.ones(loss.shape, dtypes.numpy_dtype(loss.dtype)), loss.dtype)  # type: ignore[arg-type]
    return [g if g is not None else _zeros(v) for g, v in zip(pullback([loss], [seed], wrt), wrt, strict=True)]


def pullback(outputs: Sequence[Symbolic], cotangents: Sequence[Symbolic | None], wrt: Sequence[Symbolic], *,
             closed: bool = False) -> list[Symbolic | None]:  # fmt: skip
    """Vector-Jacobian products: cotangents of `outputs` carried back to each value of `wrt`.

    `closed` says that no value of `wrt` depends on another, so the walk may stop there.
    """
    wanted = {id(v) for v in wrt}
    order = ir.topological(outputs, (lambda v: id(v) in wanted) if closed else None)
    dependent = set(wanted)
    path: list[Node] = []
    for node in order:
        if node.op.differentiable and any(id(v) in dependent for v in node.inputs):
            dependent.update(id(out) for out in node.outputs)
            path.append(node)
    total: dict[int, Symbolic] = {}
    for out, g in zip(outputs, cotangents, strict=True):
        if g is not None:
            _accumulate(total, out, g)
    for node in reversed(path):
        grads = [total.get(id(out)) for out in node.outputs]
        if all(g is None for g in grads):
            continue
        # Nodes are made in the current frame, that of the gradient: cotangents may come from deeper than `node`.
        for value, g in zip(*_vjp(node, grads), strict=True):
            if g is not None and id(value) in dependent and dtypes.is_float(value.dtype):
                _accumulate(total, value, g)
    return [total.get(id(v)) for v in wrt]


def _accumulate(total: dict[int, Symbolic], value: Symbolic, g: Symbolic) -> None:
    from kcore.ops.spec import REGISTRY

    before = total.get(id(value))
    total[id(value)] = g if before is None else REGISTRY["add"].public(before, g)


def _vjp(node: Node, grads: Sequence[Symbolic | None]) -> tuple[list[Symbolic], list[Symbolic | None]]:
    """The node's tensor operands and a gradient for each."""
    op = node.op
    operands: list[Any] = [node.arguments[p] for p in op.tensor_params]
    if op.vjp is not None:
        arguments = [node.arguments[p] for p in op.params]
        multiple = op.multiple
        g = tuple(grads) if multiple else grads[0]
        out = node.outputs if multiple else node.outputs[0]
        result = op.vjp(g, out, *arguments)
        result = result if isinstance(result, tuple) else (result,)
        if op.name in ("scan", "cond"):  # their rules speak of captures too, and say of which
            return result[0], result[1]
    elif op.body is not None:
        result = _through_body(node, grads)
    else:
        raise GraphError(f"The primitive {op.name!r} has no gradient rule.")
    values: list[Symbolic] = []
    flat: list[Symbolic | None] = []
    for operand, g in zip(operands, result, strict=True):
        if isinstance(operand, (list, tuple)):
            gs = g if g is not None else [None] * len(operand)
            values.extend(operand)
            flat.extend(gs)
        elif operand is not None:
            values.append(operand)
            flat.append(g)
    return values, flat


def _through_body(node: Node, grads: Sequence[Symbolic | None]) -> tuple[Any, ...]:
    """Gradients of a composite: expand it once more and go through its body."""
    op = node.op
    # Fresh copies of the operands: one that is used twice, or that depends on another, gets its own gradient.
    operands = [ir.map_values(_copy, node.arguments[p]) for p in op.tensor_params]
    arguments = {**{p: node.arguments[p] for p in op.params}, **dict(zip(op.tensor_params, operands, strict=True))}
    with ir.name_scope(node.scope or op.name):
        out = op.body(**arguments)
    outs = list(out) if op.multiple else [out]
    flat = ir.values_in(operands)
    back = iter(pullback(outs, grads, flat, closed=True))
    return tuple(
        [next(back) for _ in operand]
        if isinstance(operand, (list, tuple))
        else (next(back) if operand is not None else None)
        for operand in operands
    )


def _copy(value: Symbolic) -> Symbolic:
    from kcore.ops.spec import REGISTRY, apply

    return apply(REGISTRY["identity"], {"x": value})  # type: ignore[no-any-return]


def _zeros(value: Symbolic) -> Symbolic:
    from kcore.ops.spec import REGISTRY

    return REGISTRY["zeros_like"].public(value)  # type: ignore[no-any-return]
