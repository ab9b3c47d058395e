"""The order of emission within one scope, with gradients' slices taken as single steps.

A value inside a gradient's slice that is also needed outside is taken from the slice's inner function as an auxiliary
result, so that the forward pass runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kcore.graph.gradients import dependencies, slice_of
from kcore.graph.ir import Node, Symbolic, SymbolicTensor


@dataclass(eq=False)
class Region:
    """One gradient node to emit, with the values of its slice that the scope needs."""

    node: Node
    aux: list[Symbolic] = field(default_factory=list)


def schedule(roots: Sequence[Symbolic], missing: Callable[[Symbolic], bool]) -> list[Node | Region]:
    """Steps that make all missing values the roots need, inputs before users."""
    regions = [Region(node) for node in _gradient_nodes(roots, missing)]
    owner: dict[int, Region] = {}
    for region in regions:
        for value_id in slice_of(region.node).members:
            owner.setdefault(value_id, region)
    by_node = {id(region.node): region for region in regions}
    return _Walk(missing, owner, by_node).run(roots)


def _gradient_nodes(roots: Sequence[Symbolic], missing: Callable[[Symbolic], bool]) -> list[Node]:
    found: list[Node] = []
    seen: set[int] = set()
    stack = [r for r in roots if missing(r)]
    while stack:
        value = stack.pop()
        node = value.node if isinstance(value, SymbolicTensor) else None
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.op.name == "gradient":
            found.append(node)
        stack.extend(v for v in dependencies(node) if missing(v))
    # The slice of a gradient that lies inside another's slice is emitted there.
    inner = {
        id(node) for node in found for other in found
        if other is not node and any(id(out) in slice_of(other).members for out in node.outputs)
    }  # fmt: skip
    return sorted((n for n in found if id(n) not in inner), key=lambda n: n.serial)


class _Walk:
    """Depth-first order over nodes and regions; each step is (item, entered)."""

    def __init__(
        self, missing: Callable[[Symbolic], bool], owner: dict[int, Region], by_node: dict[int, Region]
    ) -> None:
        self.missing = missing
        self.owner = owner
        self.by_node = by_node
        self.steps: list[Node | Region] = []
        self.done: set[int] = set()
        self.open: set[int] = set()
        self.taken: set[int] = set()

    def run(self, roots: Sequence[Symbolic]) -> list[Node | Region]:
        """The steps for the roots."""
        stack: list[tuple[Node | Region, bool]] = []
        for root in reversed(roots):
            self._push(root, stack)
        while stack:
            item, entered = stack.pop()
            if id(item) in self.done:
                continue
            if entered:
                self.open.discard(id(item))
                self.done.add(id(item))
                self.steps.append(item)
                continue
            self.open.add(id(item))
            stack.append((item, True))
            node = item.node if isinstance(item, Region) else item
            for value in reversed(list(dependencies(node))):
                self._push(value, stack)
        return self.steps

    def _push(self, value: Symbolic, stack: list[tuple[Node | Region, bool]]) -> None:
        if not self.missing(value):
            return
        assert isinstance(value, SymbolicTensor)
        assert value.node is not None
        region = self.by_node.get(id(value.node))
        if region is None:
            region = self.owner.get(id(value))
            # While the region's own inputs are being made, a value of its slice cannot come from it.
            if region is not None and id(region) not in self.open:
                if id(value) not in self.taken:
                    self.taken.add(id(value))
                    region.aux.append(value)
            else:
                region = None
        item: Node | Region = region if region is not None else value.node
        if id(item) not in self.done:
            stack.append((item, False))
