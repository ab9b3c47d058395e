"""Values at once: inside `running`, a node is computed as soon as it is made, so that code in K can be looked into.

The graph is built as ever; beside it, each tensor knows its value (`tensor.numpy()`, `print(tensor)`, `float(tensor)`,
`if tensor > 0:`). Whoever opens `running` evaluates the finished graph with an uncompiled `Function`, so results are
those of compiled code, and an error shows at the line that caused it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore.graph import ir
from kcore.graph.function import Function
from kcore.graph.ir import Node, Subgraph, Symbolic, SymbolicTensor
from kcore.ops.spec import run_eagerly, supported_kernel
from kcore.variables import Variable

#: Ops that need more than their kernel: inner graphs, keys, the whole graph up to here.
_THROUGH_FUNCTION = frozenset({"gradient", "native_call", "select_phase"})


class Tape:
    """The tensors that have values, and how further nodes get theirs.

    Args:
        backend: computes.
        step: number of the run, from which random sites draw as they will in the finished function.
    """

    def __init__(self, backend: Any, step: int) -> None:
        self.backend = backend
        self.step = step
        self.fed: list[tuple[SymbolicTensor, Any]] = []

    def feed(self, tensor: SymbolicTensor, native: Any) -> None:
        """Give a placeholder its value."""
        self.fed.append((tensor, native))
        self._know(tensor, native)

    def _know(self, tensor: Any, native: Any) -> None:
        backend = self.backend
        if not backend.is_native(native):  # arithmetic on shapes is done on the host
            native = backend.asarray(np.asarray(native), tensor.dtype)
        tensor.at_once = native
        tensor.known = lambda: np.asarray(backend.to_numpy(native))

    def made(self, node: Node) -> None:
        """Compute a new node, unless something that it needs has no value (in the body of a loop)."""
        if node.frame is not None or node.op.name == "constant":
            return
        for x in node.inputs:
            if self._value(x) is None:
                return
        with ir.lowering():
            natives = self._computed(node)
        for tensor, native in zip(node.outputs, natives, strict=True):
            self._know(tensor, native)

    def _value(self, x: Symbolic) -> Any:
        if isinstance(x, Variable):
            return self.backend.read(x.state(self.backend)) if self.backend.state_style == "ref" else (
                x.state(self.backend))  # fmt: skip
        found = getattr(x, "at_once", None)
        if found is None and isinstance(x, SymbolicTensor) and x.node is not None and x.node.op.name == "constant":
            with ir.lowering():
                found = self._through_function([], x.node, [])[0]
            self._know(x, found)
        return found

    def _computed(self, node: Node) -> list[Any]:
        op, arguments = node.op, node.arguments
        if op.name in ("assign", "print_tensor"):  # they take effect when the finished function runs
            return [self._value(node.inputs[-1])]
        plain = not op.random and not any(isinstance(a, Subgraph) for a in arguments.values())
        if plain and op.name not in _THROUGH_FUNCTION and not any(x.spec.sparse for x in (*node.inputs, *node.outputs)):
            return self._at_once(node)
        if op.name == "gradient":  # it covers the graph from what was fed
            return self._through_function([x for x, _ in self.fed], node, [v for _, v in self.fed])
        inputs = [x for x in dict.fromkeys(node.inputs) if not isinstance(x, Variable)]
        return self._through_function(inputs, node, [self._value(x) for x in inputs])

    def _through_function(self, inputs: list[Any], node: Node, values: list[Any]) -> list[Any]:
        function = Function(inputs, list(node.outputs), name=f"now_{node.op.name}", compiled=False, effects=False)
        function.steps = self.step - 1
        return list(function.run_native(values, 0, self.backend))

    def _at_once(self, node: Node) -> list[Any]:
        op = node.op
        arguments = {p: self._argument(op.kinds[p], node.arguments[p]) for p in op.params}
        specs = {p: _specs(op.kinds[p], node.arguments[p]) for p in op.params}
        kernel = supported_kernel(self.backend.kernels, op, specs)
        result = run_eagerly(op, arguments) if kernel is None else kernel(*arguments.values())
        return list(result) if op.multiple else [result]

    def _argument(self, kind: str, argument: Any) -> Any:
        if kind == "dims":
            return _static(ir.map_values(self._size, argument))
        return ir.map_values(self._value, argument) if kind != "attr" else argument

    def _size(self, x: Symbolic) -> Any:
        return np.asarray(self.backend.to_numpy(self._value(x)))


def _static(item: Any) -> Any:
    from kcore.graph.emit import static_dims

    return static_dims(item)


def _specs(kind: str, argument: Any) -> Any:
    return ir.map_values(lambda x: x.spec, argument) if kind not in ("attr", "dims") else argument


_open: list[Tape] = []


def current() -> Tape | None:
    """The tape that is running."""
    return _open[-1] if _open else None


@contextmanager
def running(backend: Any, step: int) -> Iterator[Tape]:
    """Inside, every new node whose operands have values is computed at once."""
    tape = Tape(backend, step)
    _open.append(tape)
    try:
        with ir.watching(tape.made):
            yield tape
    finally:
        _open.pop()
