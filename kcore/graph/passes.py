"""Rewriting of graphs before emission: the learning phase, folding of constants and shapes, composites.

`Rewriter` maps values to values. It keeps one branch of every phase choice, replaces shapes that are known by
constants, expands composites that the backend does not override, and, for backends without autodiff, gradients too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kcore import random
from kcore.graph import autodiff, ir, phase
from kcore.graph.ir import Frame, Node, Subgraph, Symbolic, SymbolicTensor
from kcore.ops import dtypes
from kcore.ops import random as portable
from kcore.ops.slicing import strided_slice
from kcore.ops.spec import REGISTRY, constant_node, supported_kernel, unsupported

_FOLD_LIMIT = 64  # elements; larger constants are not worth computing at lowering


class Rewriter:
    """One lowering of one function for one backend and one learning phase."""

    def __init__(self, backend: Any, training: int | None, feeds: Iterable[Symbolic] = ()) -> None:
        self.backend = backend
        self.training = training
        self.portable = random.is_portable()
        self.sites: dict[int, int] = {}  # seeds of random sites in the portable mode, and their rows of `site_keys`
        self.site_keys = SymbolicTensor(ir.TensorSpec((None, 2), "int32"), name="site_keys")
        self._memo: dict[int, tuple[Symbolic, Symbolic]] = {}
        self._frames: dict[int, tuple[Frame, Frame | None]] = {}
        self.host: set[int] = set()
        self._saves: bool | None = None  # whether loops keep what each step was given, for their gradients
        self._nested: set[int] = set()  # gradients that are differentiated again
        self.feeds = [self._fed(value) for value in feeds]

    def _fed(self, value: Symbolic) -> Symbolic:
        """The input that a placeholder becomes: a sparse one is fed dense to a backend without sparse tensors."""
        new = value
        if value.spec.sparse and not self.backend.capabilities.sparse:
            new = SymbolicTensor(replace(value.spec, sparse=False), name=value.name)
        self._remember(value, new)
        return new

    # --- the walk ---------------------------------------------------------------------------------------------------

    def rewrite(self, values: Sequence[Symbolic]) -> list[Symbolic]:
        """The values' counterparts in the lowered graph."""
        if self._saves is None:
            self._plan_gradients(values)
        stack: list[tuple[Symbolic, bool]] = [(v, False) for v in reversed(values)]
        while stack:
            value, ready = stack.pop()
            if id(value) in self._memo:
                continue
            if not isinstance(value, SymbolicTensor) or value.node is None:
                self._remember(value, self._leaf(value))
            elif ready:
                self._node(value.node)
            else:
                stack.append((value, True))
                stack.extend((x, False) for x in reversed(self._needs(value.node)))
        return [self._memo[id(v)][1] for v in values]

    def _remember(self, value: Symbolic, new: Symbolic) -> None:
        self._memo[id(value)] = (value, new)
        self._memo.setdefault(id(new), (new, new))

    def _get(self, value: Symbolic) -> Symbolic:
        return self._memo[id(value)][1]

    def _leaf(self, value: Symbolic) -> Symbolic:
        if phase.is_phase(value):
            return constant_node(np.asarray(bool(self.training)), "bool")
        return value

    def _needs(self, node: Node) -> Sequence[Symbolic]:
        branch = self._phase_branch(node)
        return (branch,) if branch is not None else node.inputs

    def _phase_branch(self, node: Node) -> Symbolic | None:
        if node.op.name == "select_phase" and phase.is_phase(node.arguments["phase"]):
            return node.arguments["x"] if self.training else node.arguments["alt"]  # type: ignore[no-any-return]
        return None

    # --- one node ---------------------------------------------------------------------------------------------------

    def _node(self, node: Node) -> None:
        branch = self._phase_branch(node)
        if branch is not None:
            self._remember(node.outputs[0], self._get(branch))
            return
        frame = self._frame(node.frame)
        with ir.entering(frame), ir.on_device(node.device):
            results = self._replace(node, frame)
        for out, new in zip(node.outputs, results, strict=True):
            self._remember(out, new)

    def _frame(self, frame: Frame | None) -> Frame | None:
        entry = self._frames.get(id(frame))
        return entry[1] if entry is not None else frame

    def _replace(self, node: Node, frame: Frame | None) -> Sequence[Symbolic]:
        op = node.op
        if op.name == "cond":
            chosen = self._static_branch(node, frame)
            if chosen is not None:
                return chosen
        arguments = {k: self._argument(v) for k, v in node.arguments.items()}
        if op.name == "gradient" and not self.backend.capabilities.autodiff:
            return self._gradient(node, arguments)
        if op.name == "select_phase":
            return self.rewrite([_choice(arguments)])
        if op.name == "constant" and node.outputs[0].spec.sparse and not self.backend.capabilities.sparse:
            return [constant_node(arguments["value"].toarray(), arguments["dtype"])]
        if op.name == "cast" and arguments["x"].dtype == arguments["dtype"]:
            return [arguments["x"]]
        folded = self._fold(node, arguments)
        if folded is not None:
            return [folded]
        if op.random and self.portable:
            return self._expand(node, arguments) if op.body is not None else self._draw(node, arguments)
        if op.body is not None and not self._overridden(node, arguments):
            return self._expand(node, arguments)
        if op.body is None and op.name not in self.backend.kernels and op.name not in STRUCTURAL:
            raise unsupported(op, self.backend.name)
        if op.name == "scan" and self._saves and arguments["carry"]:
            return self._saving_scan(node, arguments)
        new = node
        if frame is not node.frame or any(a is not b for a, b in zip(arguments.values(), node.arguments.values())):
            new = Node(op, arguments, [out.spec for out in node.outputs], name=node.name)
            new.scope = node.scope
        if op.name == "shape" or (op.host and new.inputs and all(self._is_host(v) for v in new.inputs)):
            self.host.update(id(out) for out in new.outputs)
            for out in new.outputs:
                self._remember(out, out)
        return new.outputs

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Subgraph):
            return self._subgraph(value)
        if isinstance(value, (list, tuple)):
            mapped = [self._argument(x) for x in value]
            if all(a is b for a, b in zip(mapped, value)):
                return value
            return type(value)(mapped)
        if isinstance(value, (Symbolic, slice)):
            return ir.map_values(self._get, value)
        return value

    def _overridden(self, node: Node, arguments: dict[str, Any]) -> bool:
        op, values = node.op, ir.values_in(list(arguments.values()))
        if values and all(self._is_host(v) for v in values) and not node.outputs[0].spec.sparse:
            return False  # shape arithmetic is done on the host, in primitives
        specs = {
            p: ir.map_values(lambda v: v.spec, arguments[p]) if op.kinds[p] not in ("attr", "dims") else arguments[p]
            for p in op.params
        }
        return supported_kernel(self.backend.kernels, op, specs) is not None

    def _expand(self, node: Node, arguments: dict[str, Any]) -> Sequence[Symbolic]:
        for value in ir.values_in(list(arguments.values())):
            self._memo.setdefault(id(value), (value, value))
        arguments = {p: arguments[p] for p in node.op.params}
        with ir.name_scope(node.scope or node.op.name):
            result = node.op.body(**arguments)
        values = list(result) if node.op.multiple else [result]
        from kcore.ops.spec import as_symbolic

        return self.rewrite([as_symbolic(v, out.dtype) for v, out in zip(values, node.outputs, strict=True)])

    def _draw(self, node: Node, arguments: dict[str, Any]) -> Sequence[Symbolic]:
        """A draw in the portable mode. Its key is a row of a further input, folded with the counters of loops."""
        for value in ir.values_in(list(arguments.values())):
            self._memo.setdefault(id(value), (value, value))
        row = self.sites.setdefault(int(arguments["seed"]), len(self.sites))
        with ir.name_scope(node.scope or node.op.name):
            key = (strided_slice(self.site_keys, (row, 0)), strided_slice(self.site_keys, (row, 1)))
            for counter in arguments.get("loop", ()):
                key = portable.fold(key, counter)
            result = portable.draw(node.op.name, key, arguments, self.backend.capabilities.dtypes)
        return self.rewrite([result])

    # --- bodies -----------------------------------------------------------------------------------------------------

    def _subgraph(self, body: Subgraph) -> Subgraph:
        frame = Frame(ir.current_frame())
        with ir.entering(frame):
            params = [SymbolicTensor(p.spec, name=p.name) for p in body.params]
        counter = body.frame.counter
        for old, new in zip(body.params, params, strict=True):
            self._remember(old, new)
            if old is counter:
                frame.counter = new
        self._frames[id(body.frame)] = (body.frame, frame)
        with ir.entering(frame):
            outputs = self.rewrite(body.outputs)
        return Subgraph(params, outputs, frame)

    def _plan_gradients(self, roots: Sequence[Symbolic]) -> None:
        found = (
            [] if self.backend.capabilities.autodiff else [n for n in ir.topological(roots) if n.op.name == "gradient"]
        )
        self._saves = bool(found)
        for node in found:
            inner = ir.topological([node.arguments["loss"]]) if len(found) > 1 else []
            self._nested.update(id(n) for n in inner if n.op.name == "gradient")

    def _gradient(self, node: Node, arguments: dict[str, Any]) -> Sequence[Symbolic]:
        """The core's own gradient rules in place of the backend's autodiff."""
        expanded = autodiff.expand(arguments["loss"], arguments["wrt"])
        before, self._saves = self._saves, id(node) in self._nested
        try:
            return self.rewrite(expanded)
        finally:
            self._saves = before

    def _saving_scan(self, node: Node, arguments: dict[str, Any]) -> Sequence[Symbolic]:
        """The loop with the carry that each step was given as further results: its gradient need not run it again."""
        body: Subgraph = arguments["body"]
        given = body.params[: len(arguments["carry"])]
        arguments["body"] = Subgraph(body.params, (*body.outputs, *given), body.frame)
        steps = arguments["xs"][0].shape[0] if arguments["xs"] else None
        specs = [out.spec for out in node.outputs] + [p.spec.with_shape((steps, *p.shape)) for p in given]
        new = Node(node.op, arguments, specs, name=node.name)
        new.scope = node.scope
        for out in new.outputs:
            self._remember(out, out)
        return new.outputs[: len(node.outputs)]

    def _static_branch(self, node: Node, frame: Frame | None) -> Sequence[Symbolic] | None:
        condition = self._get(node.arguments["condition"])
        value = constant_value(condition)
        if value is None:
            return None
        body: Subgraph = node.arguments["then" if bool(value) else "otherwise"]
        self._frames[id(body.frame)] = (body.frame, frame)
        return self.rewrite(body.outputs)

    # --- folding ----------------------------------------------------------------------------------------------------

    def _is_host(self, value: Symbolic) -> bool:
        return id(value) in self.host or (
            isinstance(value, SymbolicTensor)
            and value.node is not None
            and value.node.op.name == "constant"
            and not value.spec.sparse
        )

    def _fold(self, node: Node, arguments: dict[str, Any]) -> Symbolic | None:
        op = node.op
        if op.name == "shape":
            shape = arguments["x"].spec.shape
            return constant_node(np.asarray(shape, "int32"), "int32") if None not in shape else None
        if not op.host or not op.is_primitive or len(node.outputs) != 1:
            return None
        inputs = ir.values_in(list(arguments.values()))
        values = [constant_value(v) for v in inputs]
        if not inputs or any(v is None or v.size > _FOLD_LIMIT for v in values):
            return None
        known = {id(v): a for v, a in zip(inputs, values, strict=True)}
        plain = {k: ir.map_values(lambda v: known[id(v)], a) for k, a in arguments.items()}
        result = np.asarray(op.reference(**plain))
        if result.size > _FOLD_LIMIT:
            return None
        return constant_node(result.astype(dtypes.numpy_dtype(node.outputs[0].dtype)), node.outputs[0].dtype)


#: Ops that the emitter writes itself instead of calling a kernel of that name.
STRUCTURAL = frozenset({"constant", "gradient", "assign", "select_phase", "native_call"})


def constant_value(value: Symbolic) -> np.ndarray | None:
    """The array of a constant, None for anything else (sparse constants too)."""
    node = getattr(value, "node", None)
    if node is None or node.op.name != "constant" or value.spec.sparse:
        return None
    return node.arguments["value"]  # type: ignore[no-any-return]


def _choice(arguments: dict[str, Any]) -> Symbolic:
    # `training` was a tensor of the user's, not the learning phase: both sides are computed.
    condition = REGISTRY["cast"].public(arguments["phase"], "bool")
    return REGISTRY["where"].public(condition, arguments["x"], arguments["alt"])  # type: ignore[no-any-return]
