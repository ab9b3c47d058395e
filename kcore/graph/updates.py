"""Updates of variables: `assign` nodes that carry one, and reads after them.

All updates of one function are simultaneous: new values are computed from the values before the run. An `assign`
node reached from a function's outputs takes effect in it, so `K.eval(K.update(v, x))` and
`K.eval(metric(y_true, y_pred))` do what they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kcore.errors import GraphError, ShapeError
from kcore.graph import ir
from kcore.graph.ir import Node, Symbolic, SymbolicTensor
from kcore.variables import Variable


def update(x: Variable, new_x: Any) -> SymbolicTensor:
    """A value that, when computed, also becomes the variable's."""
    from kcore.ops.spec import REGISTRY, as_symbolic

    if not isinstance(x, Variable):
        raise GraphError(f"K.update expects a variable, got {x!r}.")
    value = as_symbolic(new_x, x.dtype)
    if len(value.shape) != len(x.shape) or any(
        a is not None and b is not None and a != b for a, b in zip(value.shape, x.shape, strict=True)
    ):
        raise ShapeError(f"Cannot update {x.name!r} of shape {x.shape} with a value of shape {value.shape}.")
    node = Node(
        REGISTRY["assign"], {"variable": x, "value": value}, [x.spec], name=x.name.rsplit(":", 1)[0] + "/assign"
    )
    if _records:
        _records[-1].add(x, node.outputs[0])
    return node.outputs[0]


class Record:
    """The updates that were made while it was open, in order. After each, reading the variable means its new value."""

    def __init__(self) -> None:
        self.made: list[SymbolicTensor] = []
        self._before: list[tuple[Variable, Symbolic | None]] = []

    def add(self, variable: Variable, tensor: SymbolicTensor) -> None:
        """Take note of an update."""
        self.made.append(tensor)
        self._before.append((variable, variable.pending))
        variable.pending = tensor

    def leave(self, items: Iterable[Any]) -> None:
        """These are somebody else's (a layer's, which a test step does not make): not recorded, not read."""
        others = {id(item) for item in _flat(items)}
        for i in reversed(range(len(self.made))):
            if id(self.made[i]) in others:
                variable, before = self._before.pop(i)
                if variable.pending is self.made.pop(i):
                    variable.pending = before

    def final(self) -> list[tuple[Variable, Symbolic]]:
        """Each updated variable and its last value."""
        return as_pairs({id(v): tensor for (v, _), tensor in zip(self._before, self.made, strict=True)}.values())

    def close(self) -> None:
        """Reading variables means what it meant before."""
        for variable, before in reversed(self._before):
            variable.pending = before


_records: list[Record] = []


@contextmanager
def recording() -> Iterator[Record]:
    """Inside, updates happen in the order of the code, and all are remembered: custom training steps are written so."""
    record = Record()
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)
        record.close()


def moment() -> int:
    """A number that changes when reading variables comes to mean something else."""
    return len(_records[-1].made) if _records else 0


@contextmanager
def hidden(variables: Iterable[Variable]) -> Iterator[None]:
    """Inside, updates are not recorded, and the variables mean their values before the run."""
    open_records, kept = list(_records), [(v, v.pending) for v in variables]
    _records.clear()
    for variable, _ in kept:
        variable.pending = None
    try:
        yield
    finally:
        _records.extend(open_records)
        for variable, pending in kept:
            variable.pending = pending


def belong_to_layer(items: Iterable[Any]) -> None:
    """Updates that were given to `add_update`: the layer's owner decides when they are made."""
    if _records:
        _records[-1].leave(items)


def as_pairs(updates: Iterable[Any]) -> list[tuple[Variable, Symbolic]]:
    """Updates given as `(variable, value)` pairs or as results of `update`, as pairs."""
    from kcore.ops.spec import as_symbolic

    pairs: list[tuple[Variable, Symbolic]] = []
    for item in _flat(updates):
        if isinstance(item, tuple):
            variable, value = item
            pairs.append((variable, as_symbolic(value, variable.dtype)))
        elif isinstance(item, SymbolicTensor) and item.node is not None and item.node.op.name == "assign":
            pairs.append((item.node.arguments["variable"], item.node.arguments["value"]))
        elif isinstance(item, SymbolicTensor):
            pairs.extend(carried([item]))
        elif item is not None:
            raise GraphError(f"An update is K.update(...) or a pair (variable, new value); got {item!r}.")
    return pairs


def _flat(updates: Iterable[Any]) -> Iterator[Any]:
    for item in updates:
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], Variable):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _flat(item)
        else:
            yield item


def carried(roots: Iterable[Symbolic]) -> list[tuple[Variable, Symbolic]]:
    """The updates of all assign nodes that the values depend on, in the order they were made."""
    nodes = [n for n in ir.topological(roots) if n.op.name == "assign"]
    nodes.sort(key=lambda n: n.serial)
    return [(n.arguments["variable"], n.arguments["value"]) for n in nodes]


@contextmanager
def reading_after(updates: Iterable[Any]) -> Iterator[None]:
    """Inside, reading an updated variable means its new value: `result()` of a metric after `update_state`."""
    from kcore.ops.spec import REGISTRY  # noqa: F401 - the op table must be complete before nodes are made

    changed: list[tuple[Variable, Symbolic | None]] = []
    try:
        for item in _flat(updates):
            nodes = [item] if isinstance(item, SymbolicTensor) else []
            if isinstance(item, tuple):
                nodes = [update(*item)]
            for tensor in nodes:
                for node in [n for n in ir.topological([tensor]) if n.op.name == "assign"]:
                    variable = node.arguments["variable"]
                    changed.append((variable, variable.pending))
                    variable.pending = node.outputs[0]
        yield
    finally:
        for variable, before in reversed(changed):
            variable.pending = before
