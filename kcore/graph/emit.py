"""Emission: a lowered graph becomes straight-line Python source over a backend's kernels.

Scopes nest as Python functions do: the executable, the inner function of each gradient, the bodies of loops and
branches. A value is emitted in the scope that it belongs to and read from the inner ones as a closure.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from kcore.errors import GraphError
from kcore.graph import code, ir
from kcore.graph.code import Code, is_literal, same_array, same_number, same_object
from kcore.graph.gradients import dependencies, slice_of
from kcore.graph.ir import Node, Subgraph, Symbolic, SymbolicTensor
from kcore.graph.placement import Placement, placement_of
from kcore.graph.schedule import Region, schedule
from kcore.sparse import to_native
from kcore.variables import Variable

#: Ops whose result may share memory with their operand, so that an in-place update would change it.
VIEWS = frozenset({"identity", "reshape", "transpose", "expand_dims", "squeeze", "strided_slice", "stop_gradient",
                   "broadcast_to", "assign", "cast", "reduce_to", "print_tensor"})  # fmt: skip


class Scope:
    """One emitted function: its lines and the names of the values made in it."""

    def __init__(self, parent: Scope | None, depth: int, owns: Any) -> None:
        self.parent = parent
        self.depth = depth
        self.owns = owns  # owns(value): the value must be made here, even if an outer scope has one of it
        self.names: dict[int, str] = {}
        self.native: dict[int, str] = {}
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        """Append one line at this scope's depth."""
        self.lines.append("    " * self.depth + text)


class Emitter:
    """Writes one executable. `state` are the variables it updates, `params` those it only reads.

    Args:
        backend: whose kernels it calls.
        host: ids of the values that are computed on the host.
        name: of the emitted function.
        given_seeds: whether the seeds of random sites, which differ from model to model, are given to the code instead
            of being written into it, so that the code need not be compiled for each model.
    """

    def __init__(self, backend: Any, host: set[int], name: str, given_seeds: bool = False) -> None:
        self.backend = backend
        self.placement = Placement(backend)
        self.host = host
        self.given_seeds = given_seeds
        self.name = name
        self.meanings: dict[str, tuple[Any, Hashable]] = {}
        self.seeds: dict[str, int] = {}  # of random sites: the code takes them as further inputs
        self.state: list[Variable] = []
        self.params: list[Variable] = []
        self.uses_key = False
        self._taken: set[str] = set(code.RESERVED)
        self._constant_bytes = 0
        self._constants: dict[int, tuple[Any, str]] = {}
        self._kernels: dict[tuple[str, str | None], str] = {}
        self._alive: list[Any] = []
        self._refs: dict[int, str] = {}
        self._deltas: dict[tuple[int, int], str] = {}

    # --- the executable ---------------------------------------------------------------------------------------------

    def code(self, inputs: Sequence[Symbolic], outputs: Sequence[Symbolic],
             updates: Sequence[tuple[Variable, Symbolic]]) -> Code:  # fmt: skip
        """Emit `f(state, params, inputs, key)`. The last of the inputs are the `seeds`."""
        reached = _reachable([*outputs, *(v for _, v in updates)])
        gradients = [v.node for v in reached if _node(v) is not None and v.node.op.name == "gradient"]  # type: ignore[attr-defined]
        self.placement = placement_of(self.backend, reached, [w for n in gradients for w in n.arguments["wrt"]])
        with self.placement.scope():
            return self._code(inputs, outputs, updates)

    def _code(self, inputs: Sequence[Symbolic], outputs: Sequence[Symbolic],
              updates: Sequence[tuple[Variable, Symbolic]]) -> Code:  # fmt: skip
        function = self._unique(self.name)
        top = Scope(None, 1, lambda value: getattr(value, "frame", None) is None)
        self.state = [v for v, _ in updates]
        self._top = top
        self._read_variables(inputs, outputs, updates)
        names = [self._bind(top, value, self._label(value)) for value in inputs]
        unpacked = len(top.lines)
        by_reference = self.backend.state_style == "ref" and not self.placement.mixed
        inplace = self._in_place(outputs, updates) if by_reference else {}
        roots = [*outputs, *(v for _, v in updates if _node(v) not in inplace)]
        for node in inplace:
            roots.extend(node.inputs)
        self._body(top, roots)
        result = [self._owned(top, value) for value in outputs]
        if self.backend.state_style == "ref":
            self._assign(top, updates, inplace)
            top.line(f"return ({_tuple(result)})")
        else:
            new = [self._operand(top, value) for _, value in updates]
            top.line(f"return ({_tuple(result)}), ({_tuple(new)})")
        names += self.seeds
        if names:
            top.lines.insert(unpacked, f"    ({', '.join(names)},) = inputs")
        chosen = frozenset(self._taken - code.RESERVED - {function})
        return Code(function, top.lines, self.meanings, chosen)

    def _read_variables(self, inputs: Sequence[Symbolic], outputs: Sequence[Symbolic],
                        updates: Sequence[tuple[Variable, Symbolic]]) -> None:  # fmt: skip
        fed = {id(v) for v in inputs}
        found: dict[int, Variable] = {}
        for value in _reachable([*outputs, *(v for _, v in updates)]):
            if isinstance(value, Variable) and id(value) not in fed:
                found[id(value)] = value
        updated = {id(v) for v in self.state}
        self.params = [v for v in found.values() if id(v) not in updated]
        for group, label in ((self.state, "state"), (self.params, "params")):
            if group:
                names = [self._bind(self._top, v, self._label(v)) for v in group]
                if self.backend.state_style == "ref":
                    refs = [self._unique(f"ref_{n}") for n in names]
                    self._refs.update({id(v): r for v, r in zip(group, refs)})
                    self._top.line(f"({', '.join(refs)},) = {label}")
                    self.meanings["read"] = self._reader(), same_object(self.backend.read)
                    for value, name, ref in zip(group, names, refs):
                        if id(value) in found:
                            self._top.line(f"{name} = read({ref})")
                else:
                    self._top.line(f"({', '.join(names)},) = {label}")

    def _reader(self) -> Any:
        """How storage is read; what may have been stored elsewhere is brought home."""
        backend, placement = self.backend, self.placement
        if placement.home is None or placement.mixed:
            return backend.read
        return lambda ref: placement.moved(backend.read(ref))

    def _in_place(self, outputs: Sequence[Symbolic], updates: Sequence[tuple[Variable, Symbolic]]) -> dict[Node, bool]:
        """Multi-tensor updates whose results go exactly where their operands came from."""
        target = {id(value): variable for variable, value in updates}
        wanted = {id(v) for v in outputs}
        users: dict[int, int] = {}
        for value in _reachable([*outputs, *(v for _, v in updates)]):
            node = _node(value)
            if node is not None and node.outputs[0] is value:
                for x in node.inputs:
                    users[id(x)] = users.get(id(x), 0) + 1
        found: dict[Node, bool] = {}
        for _, value in updates:
            node = _node(value)
            if node is None or node in found or node.op.name not in self.backend.inplace:
                continue
            operands = [v for p in node.op.aliases.values() for v in node.arguments[p]]
            if len(operands) == len(node.outputs) and all(
                target.get(id(out)) is x and id(out) not in wanted and not users.get(id(out))
                for out, x in zip(node.outputs, operands)
            ):
                found[node] = True
        return found

    def _assign(self, top: Scope, updates: Sequence[tuple[Variable, Symbolic]], inplace: dict[Node, bool]) -> None:
        refs = self._refs
        pending = [(v, value) for v, value in updates if _node(value) not in inplace]
        values = [self._owned(top, value) for _, value in pending]
        for node in inplace:
            fn = self._function(f"inplace_{node.op.name}", self.backend.inplace[node.op.name])
            arguments = [self._argument(top, node, p, refs) for p in node.op.params]
            top.line(f"{fn}({', '.join(arguments)})")
        if pending:
            self._provide("assign", self.backend.assign)
        for (variable, _), name in zip(pending, values):
            top.line(f"assign({refs[id(variable)]}, {name})")

    def _owned(self, top: Scope, value: Symbolic) -> str:
        """The value's name, of a copy where it may share memory with state that is about to change."""
        name = self._operand(top, value)
        if self.backend.state_style != "ref" or not _may_be_state(value):
            return name
        self._provide("copy", self.backend.kernels["copy"])
        kept = self._unique(f"old_{name}")
        top.line(f"{kept} = copy({name})")
        return kept

    # --- scopes -----------------------------------------------------------------------------------------------------

    def _body(self, scope: Scope, roots: Sequence[Symbolic]) -> None:
        for step in schedule(roots, lambda v: self._missing(scope, v)):
            if isinstance(step, Region):
                self._region(scope, step)
            else:
                self._emit(scope, step)

    def _missing(self, scope: Scope, value: Symbolic) -> bool:
        """Whether the value still has to be made in this scope."""
        if not isinstance(value, SymbolicTensor) or value.node is None or value.node.op.name == "constant":
            return False
        if id(value) in scope.names:
            return False
        if scope.owns(value):
            return True
        return self._find(scope, value) is None

    def _find(self, scope: Scope | None, value: Symbolic) -> str | None:
        while scope is not None:
            name = scope.names.get(id(value))
            if name is not None:
                return name
            scope = scope.parent
        return None

    def _bind(self, scope: Scope, value: Symbolic, label: str) -> str:
        name = self._unique(label)
        scope.names[id(value)] = name
        self._alive.append(value)
        return name

    def _unique(self, label: str) -> str:
        label = re.sub(r"\W+", "_", label).strip("_") or "v"
        if label[0].isdigit() or keyword.iskeyword(label):
            label = f"v_{label}"
        name, n = label, 1
        while name in self._taken:
            n += 1
            name = f"{label}_{n}"
        self._taken.add(name)
        return name

    @staticmethod
    def _label(value: Symbolic) -> str:
        return value.name.rsplit(":", 1)[0]

    # --- steps ------------------------------------------------------------------------------------------------------

    def _region(self, scope: Scope, region: Region) -> None:
        """The inner function of a gradient, and the call that runs it and its derivative."""
        part = slice_of(region.node)
        inner = Scope(scope, scope.depth + 1, lambda v: id(v) in part.members)
        name = self._unique("loss_fn")
        names, arguments = [], []
        for value in part.wrt:
            if any(value is v for v in part.perturbed):
                delta = self._unique(f"{self._label(value)}_delta")
                names.append(delta)
                self._provide("zeros_like", self.backend.kernels["zeros_like"])
                arguments.append(f"zeros_like({self._operand(scope, value)})")
                self._deltas[id(inner), id(value)] = delta
            else:
                names.append(self._bind(inner, value, self._label(value)))
                arguments.append(self._operand(scope, value))
        self._body(inner, [part.loss, *region.aux])
        aux = [self._operand(inner, v) for v in region.aux]
        inner.line(f"return {self._operand(inner, part.loss)}, ({_tuple(aux)})")
        scope.line(f"def {name}({', '.join(names)}):")
        scope.lines.extend(inner.lines)
        self._provide("value_and_grad", self.backend.value_and_grad)
        got_aux = [self._bind(scope, v, self._label(v)) for v in region.aux]
        got = [self._bind(scope, out, f"grad_{self._label(v)}") for v, out in zip(part.wrt, region.node.outputs)]
        scope.line(f"({_tuple(got_aux)}), ({_tuple(got)}) = value_and_grad({name}, ({_tuple(arguments)}))")

    def _emit(self, scope: Scope, node: Node) -> None:
        op = node.op
        if op.name == "assign":
            scope.names[id(node.outputs[0])] = self._operand(scope, node.arguments["value"])
            self._alive.append(node)
            return
        if any(isinstance(a, Subgraph) for a in node.arguments.values()):
            call = self._control(scope, node)
        else:
            call = self._call(scope, node)
        results = [self._bind(scope, out, node.name) for out in node.outputs]
        scope.line(f"{', '.join(results)}{',' if op.multiple else ''} = {call}")
        self._perturb(scope, node)

    def _perturb(self, scope: Scope, node: Node) -> None:
        for out in node.outputs:
            delta = self._deltas.get((id(scope), id(out)))
            if delta is not None:
                add = self._kernel("add")
                scope.line(f"{scope.names[id(out)]} = {add}({scope.names[id(out)]}, {delta})")

    def _call(self, scope: Scope, node: Node) -> str:
        op = node.op
        if id(node.outputs[0]) in self.host:
            fn = self._kernel("shape") if op.name == "shape" else self._function(f"host_{op.name}", op.reference)
            arguments = [self._argument(scope, node, p, host=op.name != "shape") for p in op.params]
            return f"{fn}({', '.join(arguments)})"
        if op.name == "native_call":
            operands = [self._operand(scope, v) for v in node.arguments["operands"]]
            return f"{self._hoist('native_function', node.arguments['fn'], None)}({', '.join(operands)})"
        arguments = [self._argument(scope, node, p) for p in op.params if not (op.random and p == "seed")]
        if op.random:
            arguments.insert(0, self._folded_key(scope, node))
        return f"{self._kernel(op.name, node.device)}({', '.join(arguments)})"

    def _folded_key(self, scope: Scope, node: Node) -> str:
        self.uses_key = True
        self._provide("fold_key", self.backend.fold_key)
        key = f"fold_key(key, {self._seed(int(node.arguments['seed']))})"
        for counter in node.arguments.get("loop", ()):
            key = f"fold_key({key}, {self._operand(scope, counter)})"
        return key

    def _seed(self, seed: int) -> str:
        if not self.given_seeds or not -(2**31) <= seed < 2**31:
            return str(seed)
        name = self._unique("seed")
        self.seeds[name] = seed
        return name

    def _control(self, scope: Scope, node: Node) -> str:
        arguments = []
        for p in node.op.params:
            value = node.arguments[p]
            if isinstance(value, Subgraph):
                arguments.append(self._inner_function(scope, node, p, value))
            else:
                arguments.append(self._argument(scope, node, p))
        return f"{self._kernel(node.op.name, node.device)}({', '.join(arguments)})"

    def _inner_function(self, scope: Scope, node: Node, role: str, body: Subgraph) -> str:
        inner = Scope(scope, scope.depth + 1, body.contains)
        name = self._unique(f"{node.name}_{role}")
        names = [self._bind(inner, p, self._label(p)) for p in body.params]
        self._body(inner, body.outputs)
        inner.line(f"return ({_tuple([self._operand(inner, v) for v in body.outputs])})")
        scope.line(f"def {name}({', '.join(names)}):")
        scope.lines.extend(inner.lines)
        return name

    # --- operands ---------------------------------------------------------------------------------------------------

    def _operand(self, scope: Scope, value: Symbolic, *, host: bool = False) -> str:
        constant = _node(value)
        if constant is not None and constant.op.name == "constant":
            return self._constant(constant, host=host)
        name = self._find(scope, value)
        if name is None:
            raise GraphError(
                f"{value!r} is needed by function {self.name!r} but is neither computed in it nor fed. "
                "Every placeholder that the outputs depend on must be among the inputs."
            )
        if host or id(value) not in self.host:
            return name
        self._provide("asarray", self.backend.asarray)
        return f"asarray({name}, {value.dtype!r})"

    def _constant(self, node: Node, *, host: bool) -> str:
        key = -id(node) if host else id(node)
        if key not in self._constants:
            array, dtype = node.arguments["value"], node.arguments["dtype"]
            if node.outputs[0].spec.sparse:
                native, same = to_native(self.backend, array, dtype), None
            else:
                native = np.asarray(array) if host else self.backend.asarray(array, dtype)
                same = self._same_constant(np.asarray(array), "host" if host else dtype)
            self._constants[key] = (node, self._hoist("constant", native, same))
        return self._constants[key][1]

    def _same_constant(self, array: np.ndarray, dtype: str) -> Hashable:
        self._constant_bytes += array.nbytes
        if self._constant_bytes > code.CONSTANTS_KEPT or array.dtype == object:
            return None
        return same_array(array, dtype)

    def _argument(self, scope: Scope, node: Node, param: str, refs: dict[int, str] | None = None, *,
                  host: bool = False) -> str:  # fmt: skip
        value = node.arguments[param]
        kind = node.op.kinds[param]
        if kind == "dims":
            if ir.values_in(value):
                self._provide("static_dims", static_dims)
                return f"static_dims({self._nest(scope, value)})"
            return self._literal(value)
        if kind == "attr":
            return self._literal(value)
        aliased = refs is not None and param in node.op.aliases.values()
        if isinstance(value, (list, tuple)):
            items = [refs[id(v)] if aliased and refs else self._operand(scope, v, host=host) for v in value]
            return f"[{', '.join(items)}]"
        return "None" if value is None else self._operand(scope, value, host=host)

    def _nest(self, scope: Scope, item: Any) -> str:
        if isinstance(item, Symbolic):
            return self._operand(scope, item, host=True)
        if isinstance(item, (list, tuple)):
            return f"({_tuple([self._nest(scope, x) for x in item])})"
        if isinstance(item, slice):
            return f"slice({', '.join(self._nest(scope, x) for x in (item.start, item.stop, item.step))})"
        return self._literal(item)

    def _literal(self, value: Any) -> str:
        return repr(value) if is_literal(value) else self._hoist("attribute", value, same_number(value))

    def _kernel(self, name: str, device: str | None = None) -> str:
        place = (name, device if self.placement.mixed else None)
        if place not in self._kernels:
            kernel = self.backend.kernels[name]
            if self.placement.mixed:
                label = f"k_{name}" if device is None else f"k_{name}_on{device}"
                self._kernels[place] = self._hoist(label, self.placement.kernel(kernel, device), None)
            else:
                self._kernels[place] = self._function(f"k_{name}", kernel)
        return self._kernels[place]

    def _function(self, label: str, function: Any) -> str:
        return self._hoist(label, function, same_object(function))

    def _hoist(self, label: str, value: Any, same: Hashable) -> str:
        name = self._unique(label)
        self.meanings[name] = value, same
        return name

    def _provide(self, name: str, function: Any) -> None:
        """Give one of the reserved names its meaning."""
        self.meanings[name] = function, same_object(function)


def static_dims(item: Any) -> Any:
    """A shape or index whose entries are plain Python integers."""
    if isinstance(item, (tuple, list)):
        return tuple(static_dims(x) for x in item)
    if isinstance(item, slice):
        return slice(*(static_dims(x) for x in (item.start, item.stop, item.step)))
    if item is None or item is Ellipsis or isinstance(item, (bool, int)):
        return item
    if getattr(item, "ndim", 0):
        return tuple(int(x) for x in item)
    return int(item)


def _may_be_state(value: Symbolic) -> bool:
    """Whether the value may share memory with a variable's storage."""
    node = _node(value)
    if node is None:
        return isinstance(value, Variable)
    if node.op.name in VIEWS:
        return _may_be_state(node.arguments["value"] if node.op.name == "assign" else node.inputs[0])
    if not any(isinstance(a, Subgraph) for a in node.arguments.values()):
        return False
    # A loop or branch may hand on what it was given; what a loop stacks is new.
    handed_on = node.outputs[: len(node.arguments["carry"])] if node.op.name == "scan" else node.outputs
    return any(value is v for v in handed_on) and any(_may_be_state(v) for v in node.inputs)


def _node(value: Any) -> Node | None:
    return value.node if isinstance(value, SymbolicTensor) else None


def _tuple(items: Sequence[str]) -> str:
    return ", ".join(items) + ("," if len(items) == 1 else "")


def _reachable(roots: Iterable[Symbolic]) -> list[Symbolic]:
    """All values that the roots need, variables and those inside gradients and bodies included."""
    seen: dict[int, Symbolic] = {}
    stack = list(roots)
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        node = _node(value)
        if node is not None:
            stack.extend(node.inputs)
            stack.extend(dependencies(node))
            for argument in node.arguments.values():
                if isinstance(argument, Subgraph):
                    stack.extend(argument.outputs)
    return list(seen.values())
