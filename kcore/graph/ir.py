"""The graph's values and nodes: what K ops build when they meet a symbolic operand.

A `Node` is one application of an op; a `SymbolicTensor` is one of its results (or a placeholder, which
has no node's inputs). `Variable`s (kcore.variables) are values too: they stand in a node's arguments by
reference. A `Frame` marks what was traced inside the body of a loop or a branch. Nothing here computes,
and nothing here knows ops, layers or backends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kcore.errors import GraphError, SymbolicTruthError

_serial = itertools.count()


@dataclass(frozen=True)
class TensorSpec:
    """Shape (unknown dimensions are None) and dtype of a tensor, and whether it is kept as a sparse one.

    >>> TensorSpec((None, 3), "float32").rank
    2
    """

    shape: tuple[int | None, ...]
    dtype: str
    sparse: bool = False

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def with_dtype(self, dtype: str) -> TensorSpec:
        """The same shape with another dtype."""
        return TensorSpec(self.shape, dtype, self.sparse)

    def with_shape(self, shape: Iterable[int | None]) -> TensorSpec:
        """The same dtype with another shape."""
        return TensorSpec(tuple(shape), self.dtype, self.sparse)


class Symbolic:
    """Base of all values that stand for a tensor without being one: graph tensors and variables."""

    __slots__ = ()
    __hash__ = object.__hash__
    spec: TensorSpec
    name: str
    #: NumPy must not try to take an operator over: `array + tensor` is the tensor's business.
    __array_priority__ = 1000
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Static shape, unknown dimensions None."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """Name of the dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.spec.rank

    def get_shape(self) -> tuple[int | None, ...]:
        """Static shape (the name that Keras 2 code uses)."""
        return self.spec.shape

    def __bool__(self) -> bool:
        known = getattr(self, "known", None)  # see kcore.graph.eager
        if known is not None:
            return bool(known())
        raise SymbolicTruthError(
            f"The value of symbolic tensor {self.name!r} is not known while the graph is built, so it cannot decide "
            "an `if`, `while`, `and`, `or` or `not`. Use K.switch(condition, then, otherwise) for a choice, "
            "K.in_train_phase for the learning phase, K.equal to compare, or K.eval(tensor) for a number now."
        )

    def __iter__(self) -> Iterator[Any]:
        if not self.shape or self.shape[0] is None:
            raise GraphError(
                f"Symbolic tensor {self.name!r} of shape {self.shape} cannot be iterated: its first dimension is "
                "unknown. Use K.map_fn, K.foldl or K.rnn to loop over it."
            )
        return (self[i] for i in range(self.shape[0]))  # type: ignore[index]

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            raise GraphError(f"The length of {self.name!r} of shape {self.shape} is unknown; use K.shape(x)[0].")
        return self.shape[0]


class Frame:
    """One traced body (of a loop or a branch); nodes made while it is open belong to it.

    `counter` is a symbolic integer that differs at each iteration (None in branches outside any loop); random ops
    use it so that every iteration draws anew.
    """

    __slots__ = ("counter", "parent")

    def __init__(self, parent: Frame | None, counter: Symbolic | None = None) -> None:
        self.parent = parent
        self.counter: Symbolic | None = counter if counter is not None else (parent.counter if parent else None)

    def within(self, other: Frame | None) -> bool:
        """Whether this frame is `other` or nested in it."""
        frame: Frame | None = self
        while frame is not None:
            if frame is other:
                return True
            frame = frame.parent
        return other is None


_frames: list[Frame | None] = [None]
_scopes: list[str] = []
_devices: list[str | None] = [None]
_lowering = False
_seeding: Callable[[str], int] | None = None
_watcher: Callable[[Node], None] | None = None  # of values at once, see kcore.graph.eager


def current_frame() -> Frame | None:
    """The innermost body being traced, None outside any."""
    return _frames[-1]


def counters() -> tuple[Symbolic, ...]:
    """The counters of all loops around the nodes that are made now, outermost first."""
    found: list[Symbolic] = []
    frame = current_frame()
    while frame is not None:
        if frame.counter is not None and all(frame.counter is not c for c in found):
            found.append(frame.counter)
        frame = frame.parent
    return tuple(reversed(found))


@contextmanager
def entering(frame: Frame | None) -> Iterator[None]:
    """Nodes made inside the with-block belong to `frame`."""
    _frames.append(frame)
    try:
        yield
    finally:
        _frames.pop()


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Prefix `name/` to the names of variables and nodes made inside."""
    _scopes.append(name)
    try:
        yield
    finally:
        _scopes.pop()


def current_device() -> str | None:
    """Name of the device that nodes and variables are placed on that are made now; None for the backend's choice."""
    return _devices[-1]


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """Place the nodes and variables that are made inside the with-block."""
    _devices.append(name)
    try:
        yield
    finally:
        _devices.pop()


def scoped(name: str) -> str:
    """The name within the open name scopes."""
    return "/".join([*_scopes, name])


@contextmanager
def watching(watcher: Callable[[Node], None] | None) -> Iterator[None]:
    """Inside, `watcher` is called with every node that is made (None: nobody is)."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


def new_seed() -> int:
    """A seed from `np.random`: that is what makes `np.random.seed(...)` repeat a whole script, as in the original."""
    return int(np.random.randint(10_000_000))  # noqa: NPY002


def site_seed(op: str) -> int:
    """The seed of a random site that is being made and was given none."""
    return new_seed() if _seeding is None else _seeding(op)


@contextmanager
def seeding(source: Callable[[str], int]) -> Iterator[None]:
    """Inside, `source` is asked for the seeds of random sites, with the name of each one's op."""
    global _seeding
    before, _seeding = _seeding, source
    try:
        yield
    finally:
        _seeding = before


@contextmanager
def lowering() -> Iterator[None]:
    """Inside, a finished graph becomes code: reading a variable means what it says, and nobody watches."""
    global _lowering
    before, _lowering = _lowering, True
    try:
        with watching(None):
            yield
    finally:
        _lowering = before


def is_lowering() -> bool:
    """Whether a graph is being made into code."""
    return _lowering


def at_once() -> bool:
    """Whether nodes are computed as they are made (kcore.graph.eager)."""
    return _watcher is not None


class Node:
    """One application of an op. Its arguments hold values (Symbolic), lists of them, subgraphs, plain attributes."""

    __slots__ = ("arguments", "device", "frame", "inputs", "name", "op", "outputs", "scope", "serial")

    def __init__(
        self, op: Any, arguments: dict[str, Any], specs: Sequence[TensorSpec], name: str | None = None
    ) -> None:
        self.op = op
        self.arguments = arguments
        self.inputs: tuple[Symbolic, ...] = tuple(_values_in(arguments.values()))
        self.frame = current_frame()
        self.device = current_device()
        self.scope = _scopes[-1] if _scopes else ""
        self.serial = next(_serial)
        self.name = name or scoped(op.name)
        self.outputs = tuple(SymbolicTensor(spec, node=self, index=i) for i, spec in enumerate(specs))
        if _watcher is not None:
            _watcher(self)

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.op.name}>"


class SymbolicTensor(Symbolic):
    """A tensor of the graph: the result of a node, or a placeholder (`node is None`).

    Layers hang their own attributes on it (`_keras_history`, `_keras_shape`, `_keras_mask`).
    """

    __slots__ = ("__dict__", "__weakref__", "_name", "frame", "index", "node", "serial", "spec")

    def __init__(self, spec: TensorSpec, node: Node | None = None, index: int = 0, name: str | None = None) -> None:
        self.spec = spec
        self.node = node
        self.index = index
        self.frame = node.frame if node is not None else current_frame()
        self.serial = next(_serial)
        self._name = name

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name with the output's number, as `dense_1/add:0`."""
        if self._name is None:
            self._name = f"{self.node.name if self.node else 'placeholder'}:{self.index}"
        return self._name

    def __repr__(self) -> str:
        kind = ("sparse " if self.spec.sparse else "") + (self.node.op.name if self.node else "placeholder")
        known = self.__dict__.get("known")
        value = "" if known is None else f" value=\n{known()}"
        return f"<SymbolicTensor {self.name!r} shape={self.shape} dtype={self.dtype} ({kind}){value}>"


class Subgraph:
    """The body of a loop or branch: parameters (placeholders), results, and the frame they were traced in.

    `captures` are the values outside that the body reads.
    """

    __slots__ = ("captures", "frame", "outputs", "params")

    def __init__(self, params: Sequence[SymbolicTensor], outputs: Sequence[Symbolic], frame: Frame) -> None:
        self.params = tuple(params)
        self.outputs = tuple(outputs)
        self.frame = frame
        self.captures = tuple(_captures(self))

    def contains(self, value: Symbolic) -> bool:
        """Whether the value was made inside the body."""
        frame = getattr(value, "frame", None)
        return frame is not None and frame.within(self.frame)


def trace(
    fn: Callable[..., Any], specs: Sequence[TensorSpec], names: Sequence[str], *, counter: int | None = None
) -> tuple[Subgraph, Any]:
    """Trace `fn` over fresh placeholders; `fn` returns any nest of values.

    `counter` is the position of the parameter that counts iterations. Returns the subgraph, whose outputs are the
    flattened values, and the nest that `fn` returned.
    """
    frame = Frame(current_frame())
    with entering(frame):
        params = [SymbolicTensor(spec, name=name) for spec, name in zip(specs, names, strict=True)]
        if counter is not None:
            frame.counter = params[counter]
        result = fn(*params)
    return Subgraph(params, tuple(_values_in([result])), frame), result


def _values_in(items: Iterable[Any]) -> Iterator[Symbolic]:
    for item in items:
        if isinstance(item, Symbolic):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _values_in(item)
        elif isinstance(item, Subgraph):
            yield from item.captures
        elif isinstance(item, slice):
            yield from _values_in((item.start, item.stop, item.step))


def values_in(item: Any) -> list[Symbolic]:
    """All symbolic values in a nest of lists, tuples, slices and subgraphs' captures."""
    return list(_values_in([item]))


def map_values(fn: Callable[[Symbolic], Any], item: Any) -> Any:
    """The nest with `fn` applied to each symbolic value (subgraphs are left as they are)."""
    if isinstance(item, Symbolic):
        return fn(item)
    if isinstance(item, (list, tuple)):
        return type(item)(map_values(fn, x) for x in item)
    if isinstance(item, slice):
        return slice(*(map_values(fn, x) for x in (item.start, item.stop, item.step)))
    return item


def _captures(body: Subgraph) -> Iterator[Symbolic]:
    seen: set[int] = set()
    stack: list[Symbolic] = list(body.outputs)
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if not body.contains(value):
            yield value
        elif isinstance(value, SymbolicTensor) and value.node is not None:
            stack.extend(value.node.inputs)


def topological(roots: Iterable[Symbolic], stop: Callable[[Symbolic], bool] | None = None) -> list[Node]:
    """All nodes that the roots need, inputs before users; values for which `stop` holds are not entered."""
    order: list[Node] = []
    done: set[int] = set()
    stack: list[tuple[Symbolic, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        value, expanded = stack.pop()
        node = getattr(value, "node", None)
        if node is None or id(node) in done or (stop is not None and not expanded and stop(value)):
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
        else:
            stack.append((value, True))
            stack.extend((x, False) for x in reversed(node.inputs))
    return order
