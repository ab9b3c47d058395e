"""Copies of parts of a graph with some values replaced: a body put in line, a value recomputed from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kcore.graph import ir
from kcore.graph.ir import Frame, Node, Subgraph, Symbolic, SymbolicTensor


class Cloner:
    """Copies what depends on replaced values, or lies in a copied body; everything else is shared.

    Args:
        replaced: pairs (value, what stands for it in the copy).
    """

    def __init__(self, replaced: Sequence[tuple[Symbolic, Symbolic]]) -> None:
        self._new: dict[int, Symbolic] = {id(old): new for old, new in replaced}
        self._frames: dict[int, Frame | None] = {}
        self._keep: list[Any] = [replaced]

    def inline(self, body: Subgraph, params: Sequence[Symbolic]) -> list[Symbolic]:
        """The body's results for the given parameters, with its nodes copied into the current frame."""
        self._new.update({id(old): new for old, new in zip(body.params, params, strict=True)})
        self._frames[id(body.frame)] = ir.current_frame()
        return self.values(body.outputs, body.contains)

    def values(self, roots: Sequence[Symbolic], must: Callable[[Symbolic], bool] = lambda v: False) -> list[Symbolic]:
        """Copies of the roots; `must(value)` says which values are copied even if nothing in them is replaced."""
        for node in ir.topological(roots, stop=lambda v: id(v) in self._new):
            out = node.outputs[0]
            if id(out) not in self._new and (must(out) or any(id(x) in self._new for x in node.inputs)):
                self._clone(node)
        return [self._new.get(id(v), v) for v in roots]

    def _clone(self, node: Node) -> None:
        with ir.entering(self._frames.get(id(node.frame), node.frame)), ir.on_device(node.device):
            arguments = {k: self._argument(v) for k, v in node.arguments.items()}
            copy = Node(node.op, arguments, [out.spec for out in node.outputs], name=node.name)
        copy.scope = node.scope
        self._keep.append(copy)
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            self._new[id(old)] = new

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Subgraph):
            return self._subgraph(value)
        return ir.map_values(lambda v: self._new.get(id(v), v), value)

    def _subgraph(self, body: Subgraph) -> Subgraph:
        frame = Frame(ir.current_frame())
        self._frames[id(body.frame)] = frame
        with ir.entering(frame):
            params = [SymbolicTensor(p.spec, name=p.name) for p in body.params]
        for old, new in zip(body.params, params, strict=True):
            self._new[id(old)] = new
            if old is body.frame.counter:
                frame.counter = new
        return Subgraph(params, self.values(body.outputs, body.contains), frame)


def substitute(value: Symbolic, replaced: Mapping[Symbolic, Symbolic]) -> Symbolic:
    """The value computed with other values in place of some that it depends on."""
    return Cloner(list(replaced.items())).values([value])[0]
