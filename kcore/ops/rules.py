"""Shape-and-dtype rules that declarations share. A rule maps the op's arguments (specs for tensors) to a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kcore.errors import ShapeError
from kcore.graph import ir
from kcore.graph.ir import TensorSpec

Shape = tuple["int | None", ...]
Rule = Callable[..., TensorSpec]


def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy broadcasting with unknown dimensions.

    >>> broadcast_shapes((None, 3), (1,), (4, 1, 3))
    (4, None, 3)
    """
    rank = max((len(s) for s in shapes), default=0)
    result: list[int | None] = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis}
        known = {n for n in sizes if n is not None and n != 1}
        if len(known) > 1:
            raise ShapeError(f"Shapes {' and '.join(map(str, shapes))} cannot be broadcast together.")
        result.append(known.pop() if known else (None if None in sizes else 1))
    return tuple(result)


def _kernels_check(rule: Rule) -> Rule:
    """The rule, marked: every kernel fails where it does, so eager calls need not ask it first."""
    rule.kernels_check = True  # type: ignore[attr-defined]
    return rule


def same(name: str, dtype: str | None = None) -> Rule:
    """The spec of one operand, with another dtype if given."""
    return _kernels_check(lambda **a: a[name] if dtype is None else a[name].with_dtype(dtype))


def broadcast(*names: str, dtype: str | None = None) -> Rule:
    """Operands broadcast against each other."""

    def rule(**a: Any) -> TensorSpec:
        specs = [a[n] for n in names]
        return TensorSpec(broadcast_shapes(*(s.shape for s in specs)), dtype or specs[-1].dtype)

    return _kernels_check(rule)


def reduce_axes(name: str = "x", dtype: str | None = None) -> Rule:
    """`axis` (a tuple after `normalize_axes`) removed, or kept with size 1."""

    def rule(**a: Any) -> TensorSpec:
        x, axes, keepdims = a[name], a["axis"], a["keepdims"]
        shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
        return TensorSpec(tuple(shape), dtype or x.dtype)

    return _kernels_check(rule)


def canonical_axis(axis: int, rank: int, op: str = "") -> int:
    """A non-negative axis. Raises ShapeError when it is out of range, in the name of `op` if that is no op's own."""
    if not -rank <= axis < max(rank, 1):
        raise ShapeError(f"{op and op + ': '}Axis {axis} is out of range for a tensor of rank {rank}.")
    return axis % rank if rank else 0


def normalize_axes(arguments: dict[str, Any], specs: dict[str, Any], name: str = "x") -> None:
    """`axis` None, int or sequence -> sorted tuple of non-negative ints."""
    rank = specs[name].rank
    axis = arguments["axis"]
    axes: Iterable[int] = range(rank) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    arguments["axis"] = tuple(sorted({canonical_axis(int(a), rank) for a in axes})) if rank else ()


def normalize_axis(arguments: dict[str, Any], specs: dict[str, Any], name: str = "x") -> None:
    """`axis` -> one non-negative int."""
    arguments["axis"] = canonical_axis(int(arguments["axis"]), specs[name].rank)


def static_shape(shape: Any) -> Shape:
    """The static part of a `Dims` argument: symbolic entries become None.

    A 1-D symbolic shape vector of known length n gives n unknown dimensions, unless it was traced from known parts.
    """
    if isinstance(shape, ir.Symbolic):
        return known_entries(shape)
    return tuple(None if isinstance(n, ir.Symbolic) or n is None else int(n) for n in shape)


def known_entries(vector: ir.Symbolic) -> Shape:
    """Entries of a symbolic shape vector that its making shows: `K.shape(x)`, stacks and concatenations of such."""
    node: Any = getattr(vector, "node", None)
    name = node.op.name if node is not None else ""
    if name == "shape":
        return tuple(node.arguments["x"].shape)
    if name == "constant":
        return tuple(int(n) for n in node.arguments["value"].ravel())
    if name == "stack":
        return tuple(_known_scalar(v) for v in node.arguments["xs"])
    if name == "concatenate":
        return tuple(n for v in node.arguments["xs"] for n in known_entries(v))
    if name in ("cast", "identity") and vector.ndim == 1:
        return known_entries(node.arguments["x"])
    return (None,) * (vector.shape[0] or 0)


def _known_scalar(value: ir.Symbolic) -> int | None:
    node = getattr(value, "node", None)
    if node is not None and node.op.name == "constant":
        return int(node.arguments["value"])
    if node is not None and node.op.name == "strided_slice" and len(node.arguments["index"]) == 1:
        entries, at = known_entries(node.arguments["x"]), node.arguments["index"][0]
        return entries[at] if isinstance(at, int) and at < len(entries) else None
    return None


def product(sizes: Sequence[int | None]) -> int | None:
    """Product of dimensions, None when one is unknown."""
    total = 1
    for n in sizes:
        if n is None:
            return None
        total *= n
    return total
