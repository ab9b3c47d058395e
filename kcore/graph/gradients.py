"""K.gradients: nodes that stand for derivatives, and what they cover of the graph.

A `gradient` node holds a scalar loss and the values to differentiate by. Its *slice* is every node that lies on a
path from those values to the loss; lowering turns the slice into an inner function for the backend's autodiff, or
expands it by the core's VJP rules (graph/autodiff.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.errors import GraphError
from kcore.graph import ir
from kcore.graph.ir import Node, Symbolic
from kcore.ops import dtypes


def gradients(loss: Any, variables: Any) -> list[Symbolic | None]:
    """Gradients of the sum of `loss` (a tensor or a list) with respect to each of `variables`.

    Variables, placeholders and intermediate tensors all serve. An entry is None where the loss does not depend on the
    value through differentiable ops.
    """
    from kcore.ops.spec import REGISTRY, apply, as_symbolic

    losses = [as_symbolic(x) for x in (loss if isinstance(loss, (list, tuple)) else [loss])]
    wrt = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    for value in wrt:
        if not isinstance(value, Symbolic):
            raise GraphError(f"K.gradients differentiates by symbolic tensors and variables; got {value!r}.")
    wrt = [pending if (pending := getattr(v, "pending", None)) is not None else v for v in wrt]
    if not losses:
        raise GraphError("K.gradients got no loss.")
    total: Any = None
    for x in losses:
        scalar = x if not x.shape else apply(REGISTRY["sum"], {"x": x, "axis": None, "keepdims": False})
        total = scalar if total is None else apply(REGISTRY["add"], {"x": total, "y": scalar})
    connected = _connected(total, wrt)
    live: list[Symbolic] = []
    for value in wrt:
        if id(value) in connected and not any(value is x for x in live):
            live.append(value)
    if not live:
        return [None] * len(wrt)
    node = Node(REGISTRY["gradient"], {"loss": total, "wrt": live}, [v.spec for v in live])
    by_id = {id(v): out for v, out in zip(live, node.outputs, strict=True)}
    return [by_id.get(id(value)) for value in wrt]


def _connected(loss: Symbolic, wrt: Sequence[Symbolic]) -> set[int]:
    """Ids of the values in `wrt` from which a gradient can flow to the loss."""
    wanted = {id(v) for v in wrt}
    found: set[int] = set()
    reached: set[int] = {id(loss)}
    if id(loss) in wanted:
        found.add(id(loss))
    for node in reversed(ir.topological([loss])):
        if not any(id(out) in reached for out in node.outputs):
            continue
        if not node.op.differentiable:
            continue
        for value in node.inputs:
            if dtypes.is_float(value.dtype) and not value.spec.sparse:
                reached.add(id(value))
                if id(value) in wanted:
                    found.add(id(value))
    return found


class Slice:
    """What a gradient node covers: the nodes on the paths from `wrt` to the loss, and what they read from outside.

    `cut` are the values in `wrt` that become plain parameters; `perturbed` those that themselves depend on another
    value of `wrt` (their paths must stay whole, so the parameter is a zero added to them).
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.loss: Symbolic = node.arguments["loss"]
        self.wrt: tuple[Symbolic, ...] = tuple(node.arguments["wrt"])
        wanted = {id(v) for v in self.wrt}
        dependent: set[int] = set()
        depending_nodes: list[Node] = []
        order = ir.topological([self.loss])
        for n in order:
            if any(id(v) in wanted or id(v) in dependent for v in n.inputs):
                depending_nodes.append(n)
                dependent.update(id(out) for out in n.outputs)
        # A value of wrt that depends on another one keeps its own computation.
        self.perturbed = tuple(v for v in self.wrt if id(v) in dependent)
        self.cut = tuple(v for v in self.wrt if id(v) not in dependent)
        self.nodes: list[Node] = depending_nodes
        self.members: set[int] = {id(out) for n in depending_nodes for out in n.outputs}
        self.live_ins: list[Symbolic] = self._live_ins()

    def _live_ins(self) -> list[Symbolic]:
        cut = {id(v) for v in self.cut}
        found: dict[int, Symbolic] = {}
        for n in self.nodes:
            for value in dependencies(n):
                if id(value) not in self.members and id(value) not in cut:
                    found[id(value)] = value
        if id(self.loss) not in self.members and id(self.loss) not in cut:
            found[id(self.loss)] = self.loss
        return list(found.values())


_slices: dict[int, tuple[Node, Slice]] = {}


def slice_of(node: Node) -> Slice:
    """The slice of a gradient node, computed once."""
    entry = _slices.get(id(node))
    if entry is None or entry[0] is not node:
        if len(_slices) > 256:
            _slices.clear()
        entry = _slices[id(node)] = (node, Slice(node))
    return entry[1]


def forget() -> None:
    """Drop the slices that were computed (part of K.clear_session)."""
    _slices.clear()


def dependencies(node: Node) -> Sequence[Symbolic]:
    """What must be computed before the node: for a gradient, what its slice reads, not the loss itself."""
    if node.op.name != "gradient":
        return node.inputs
    inner = slice_of(node)
    return [*inner.live_ins, *inner.wrt]
