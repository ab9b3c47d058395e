"""Shape primitives: reshape, transpose, slicing, joining, padding, and helpers for shape arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph import ir
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import rules
from kcore.ops.spec import Dims, Tensor, Tensors, primitive
from kcore.ops.structural import cast, shape

_py_slice = slice


# --- shape arithmetic -------------------------------------------------------------------------------------------------


def shape_of(x: Any) -> Any:
    """The shape as a tuple for `Dims` arguments: ints where known, symbolic integers elsewhere."""
    from kcore.ops.spec import spec_of

    static = spec_of(x).shape
    if None not in static:
        return tuple(static)
    vector = shape(x)
    return tuple(strided_slice(vector, (i,)) if n is None else n for i, n in enumerate(static))


def join(*parts: Any) -> Any:
    """Concatenated shapes."""
    return tuple(n for part in parts for n in part)


def count(x: Any, axis: Sequence[int]) -> Any:
    """Number of elements along the axes: an int, or a symbolic integer."""
    total: Any = 1
    for n in (shape_of(x)[a] for a in axis):
        total = total * n
    return total


def sum_to_shape(g: Any, target: Any) -> Any:
    """Sum a gradient over the axes where the target shape has size 1 (found when it runs)."""
    return reduce_to(g, target)


# --- primitives -------------------------------------------------------------------------------------------------------


def _reshape_spec(x: TensorSpec, shape: Any) -> TensorSpec:
    sizes = list(rules.static_shape(shape))
    total = rules.product(x.shape)
    if -1 in sizes:
        rest = rules.product([n for n in sizes if n != -1])
        known = total is not None and rest is not None
        if known and (rest == 0 or total % rest):  # type: ignore[operator]
            raise ShapeError(f"Cannot reshape {x.shape} to {tuple(sizes)}: {total} elements do not divide by {rest}.")
        sizes[sizes.index(-1)] = total // rest if known else None  # type: ignore[operator]
    elif total is not None and rules.product(sizes) not in (None, total):
        raise ShapeError(f"Cannot reshape {x.shape} to {tuple(sizes)}: {total} elements do not fit.")
    return TensorSpec(tuple(sizes), x.dtype)


def _reshape_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    target = arguments["shape"]
    if isinstance(target, (int, np.integer)):
        target = (int(target),)
    if not isinstance(target, Symbolic):
        target = tuple(n if isinstance(n, Symbolic) else -1 if n is None else int(n) for n in target)
    arguments["shape"] = target


@primitive(infer=_reshape_spec, vjp=lambda g, out, x, shape: reshape(g, shape_of(x)), host=True,
           normalize=_reshape_normalize)  # fmt: skip
def reshape(x: Tensor, shape: Dims) -> Any:
    """The same elements in another shape.

    Args:
        x: tensor.
        shape: sizes, which may be symbolic integers, or an integer tensor; one size may be -1.

    Raises:
        ShapeError: the shapes have different numbers of elements.

    >>> K.eval(K.reshape(K.constant([1., 2., 3., 4.]), (2, -1)))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    return np.reshape(x, shape)


def _perm(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    rank = specs["x"].rank
    perm = arguments["perm"]
    perm = tuple(reversed(range(rank))) if perm is None else tuple(rules.canonical_axis(int(a), rank) for a in perm)
    if sorted(perm) != list(range(rank)):
        raise ShapeError(f"{perm} is not a permutation of the {rank} axes of a tensor of shape {specs['x'].shape}.")
    arguments["perm"] = perm


def _transpose_vjp(g: Any, out: Any, x: Any, perm: tuple[int, ...]) -> Any:
    return transpose(g, tuple(perm.index(i) for i in range(len(perm))))


@primitive(infer=lambda x, perm: x.with_shape(x.shape[a] for a in perm), vjp=_transpose_vjp, normalize=_perm)
def transpose(x: Tensor, perm: Any = None) -> Any:
    """Axes in another order; reversed without `perm`."""
    return np.transpose(x, perm)


def _expand_axis(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    arguments["axis"] = rules.canonical_axis(int(arguments["axis"]), specs["x"].rank + 1)


@primitive(infer=lambda x, axis: x.with_shape((*x.shape[:axis], 1, *x.shape[axis:])), normalize=_expand_axis,
           vjp=lambda g, out, x, axis: squeeze(g, axis), host=True)  # fmt: skip
def expand_dims(x: Tensor, axis: int = -1) -> Any:
    """A new axis of size 1.

    Args:
        x: tensor.
        axis: where the new axis goes.

    >>> K.int_shape(K.expand_dims(K.placeholder(shape=(None, 2)), 1))
    (None, 1, 2)
    """
    return np.expand_dims(x, axis)


def _squeeze_spec(x: TensorSpec, axis: tuple[int, ...]) -> TensorSpec:
    for a in axis:
        if x.shape[a] not in (1, None):
            raise ShapeError(f"Cannot squeeze axis {a} of shape {x.shape}: its size is not 1.")
    return x.with_shape(n for i, n in enumerate(x.shape) if i not in axis)


@primitive(infer=_squeeze_spec, normalize=rules.normalize_axes, host=True,
           vjp=lambda g, out, x, axis: reshape(g, shape_of(x)))  # fmt: skip
def squeeze(x: Tensor, axis: Any) -> Any:
    """The tensor without axes of size 1.

    Args:
        x: tensor.
        axis: the axis, or a list of axes.

    Raises:
        ShapeError: the size of one is known, and not 1.

    >>> K.int_shape(K.squeeze(K.placeholder(shape=(None, 1, 2)), 1))
    (None, 2)
    """
    return np.squeeze(x, axis=axis)


def _broadcast_to_vjp(g: Any, out: Any, x: Any, shape: Any) -> Any:
    from kcore.ops.elementwise import unbroadcast

    return unbroadcast(g, x)


@primitive(infer=lambda x, shape: TensorSpec(rules.static_shape(shape), x.dtype), vjp=_broadcast_to_vjp,
           normalize=_reshape_normalize)  # fmt: skip
def broadcast_to(x: Tensor, shape: Dims) -> Any:
    """Repeated along new axes and axes of size 1 until it has the shape."""
    return np.broadcast_to(x, shape)


def _reduce_to(x: Any, shape: Any) -> Any:
    x = np.asarray(x)
    lead = x.ndim - len(shape)
    x = x.sum(axis=tuple(range(lead)), dtype=x.dtype) if lead else x
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1)
    return x.sum(axis=axes, keepdims=True, dtype=x.dtype) if axes else x


@primitive(infer=lambda x, shape: TensorSpec(rules.static_shape(shape), x.dtype), reference=_reduce_to,
           vjp=lambda g, out, x, shape: broadcast_to(g, shape_of(x)))  # fmt: skip
def reduce_to(x: Tensor, shape: Dims) -> Any:
    """Summed over the axes along which `shape` would broadcast to x's shape: the inverse of broadcast_to."""


def _concatenate_spec(xs: Sequence[TensorSpec], axis: int) -> TensorSpec:
    first = xs[0]
    sizes: list[int | None] = list(first.shape)
    for x in xs[1:]:
        if x.rank != first.rank:
            raise ShapeError(f"Cannot concatenate tensors of ranks {first.rank} and {x.rank}.")
        for i, n in enumerate(x.shape):
            if i == axis or n is None:
                continue
            if sizes[i] is not None and sizes[i] != n:
                raise ShapeError(f"Cannot concatenate shapes {[s.shape for s in xs]} along axis {axis}: axis {i} differs.")
            sizes[i] = n
    along = [x.shape[axis] for x in xs]
    sizes[axis] = None if None in along else sum(along)  # type: ignore[arg-type]
    return TensorSpec(tuple(sizes), first.dtype)


def _first_rank(extra: int) -> Any:
    def normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
        rank = specs["xs"][0].rank + extra
        arguments["axis"] = rules.canonical_axis(int(arguments["axis"]), rank)

    return normalize


def _concatenate_vjp(g: Any, out: Any, xs: Any, axis: int) -> Any:
    parts, start = [], 0
    for x in xs:
        size = shape_of(x)[axis]
        index = (*[_py_slice(None)] * axis, _py_slice(start, start + size))
        parts.append(strided_slice(g, index))
        start = start + size
    return (parts,)


@primitive(infer=_concatenate_spec, normalize=_first_rank(0), vjp=_concatenate_vjp, host=True)
def concatenate(xs: Tensors, axis: int = -1) -> Any:
    """Tensors joined along an axis that they have."""
    return np.concatenate(xs, axis=axis)


def _stack_spec(xs: Sequence[TensorSpec], axis: int) -> TensorSpec:
    first = xs[0]
    sizes: list[int | None] = list(first.shape)
    for x in xs[1:]:
        if x.rank != first.rank or any(a not in (None, b) and b is not None for a, b in zip(sizes, x.shape, strict=True)):
            raise ShapeError(f"Cannot stack tensors of shapes {[s.shape for s in xs]}: they differ.")
        sizes = [b if a is None else a for a, b in zip(sizes, x.shape, strict=True)]
    return TensorSpec((*sizes[:axis], len(xs), *sizes[axis:]), first.dtype)


def _stack_vjp(g: Any, out: Any, xs: Any, axis: int) -> Any:
    lead = [_py_slice(None)] * axis
    return ([strided_slice(g, (*lead, i)) for i in range(len(xs))],)


@primitive(infer=_stack_spec, normalize=_first_rank(1), vjp=_stack_vjp, host=True)
def stack(xs: Tensors, axis: int = 0) -> Any:
    """Tensors of one shape joined along a new axis."""
    return np.stack(xs, axis=axis)


def _tile_spec(x: TensorSpec, n: Any) -> TensorSpec:
    times = rules.static_shape(n)
    return x.with_shape(None if a is None or b is None else a * b for a, b in zip(x.shape, times, strict=True))


def _tile_vjp(g: Any, out: Any, x: Any, n: Any) -> Any:
    from kcore.ops import reduction

    parts = [part for size, times in zip(shape_of(x), _entries(n, x.ndim), strict=True) for part in (times, size)]
    return reduction.sum(reshape(g, tuple(parts)), axis=list(range(0, 2 * x.ndim, 2)))


def _entries(n: Any, rank: int) -> Any:
    return [strided_slice(n, (i,)) for i in range(rank)] if isinstance(n, Symbolic) else n


def _tile_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    n, rank = arguments["n"], specs["x"].rank
    if isinstance(n, (int, np.integer)):
        n = (int(n),) * rank
    if not isinstance(n, Symbolic):
        n = (*(1,) * (rank - len(n)), *n)
    arguments["n"] = n


@primitive(infer=_tile_spec, normalize=_tile_normalize, vjp=_tile_vjp)
def tile(x: Tensor, n: Dims) -> Any:
    """Repeated `n[i]` times along axis i."""
    return np.tile(x, n)


def _repeat_vjp(g: Any, out: Any, x: Any, rep: int, axis: int) -> Any:
    from kcore.ops import reduction

    sizes = list(shape_of(x))
    return reduction.sum(reshape(g, (*sizes[: axis + 1], rep, *sizes[axis + 1 :])), axis=axis + 1)


@primitive(
    infer=lambda x, rep, axis: x.with_shape(
        (None if n is None else n * rep) if i == axis else n for i, n in enumerate(x.shape)
    ),
    normalize=rules.normalize_axis, vjp=_repeat_vjp,
)  # fmt: skip
def repeat_elements(x: Tensor, rep: int, axis: int) -> Any:
    """Each element repeated along an axis, as `np.repeat` does.

    Args:
        x: tensor.
        rep: how often, an integer.
        axis: along which.

    >>> K.eval(K.repeat_elements(K.constant([1., 2.]), 2, 0))
    array([1., 1., 2., 2.], dtype=float32)
    """
    return np.repeat(x, rep, axis=axis)


@primitive(infer=rules.same("x"), normalize=rules.normalize_axes, vjp=lambda g, out, x, axis: reverse(g, axis))
def reverse(x: Tensor, axis: Any) -> Any:
    """Elements in reverse order along the axes."""
    return np.flip(x, axis)


def _pad_spec(x: TensorSpec, padding: Any, value: float) -> TensorSpec:
    return x.with_shape(None if n is None else n + a + b for n, (a, b) in zip(x.shape, padding, strict=True))


def _pad_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    arguments["padding"] = tuple((int(a), int(b)) for a, b in arguments["padding"])


def _pad_vjp(g: Any, out: Any, x: Any, padding: Any, value: float) -> Any:
    return strided_slice(g, tuple(_py_slice(a, a + n) for (a, _), n in zip(padding, shape_of(x), strict=True)))


@primitive(infer=_pad_spec, normalize=_pad_normalize, vjp=_pad_vjp)
def pad(x: Tensor, padding: Any, value: float = 0.0) -> Any:
    """Padded with `value`: (before, after) for each axis."""
    return np.pad(x, padding, constant_values=value)


# --- slicing ----------------------------------------------------------------------------------------------------------


def _index_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    """Ellipsis and missing axes become full slices; NumPy integers become ints."""
    index, rank = arguments["index"], specs["x"].rank
    items = list(index) if isinstance(index, tuple) else [index]
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if used > rank:
        raise ShapeError(f"Too many indices ({used}) for a tensor of shape {specs['x'].shape}.")
    if any(i is Ellipsis for i in items):
        at = next(k for k, i in enumerate(items) if i is Ellipsis)
        items[at : at + 1] = [_py_slice(None)] * (rank - used)
    else:
        items += [_py_slice(None)] * (rank - used)
    arguments["index"] = tuple(_plain_index(i) for i in items)


def _plain_index(item: Any) -> Any:
    if isinstance(item, _py_slice):
        return _py_slice(*(_plain_index(v) for v in (item.start, item.stop, item.step)))
    if item is None or isinstance(item, Symbolic):
        return item
    return int(item)


def _slice_spec(x: TensorSpec, index: Any) -> TensorSpec:
    sizes: list[int | None] = []
    axes = iter(x.shape)
    for item in index:
        if item is None:
            sizes.append(1)
            continue
        n = next(axes)
        if isinstance(item, _py_slice):
            sizes.append(_sliced_size(n, item))
        elif isinstance(item, int) and n is not None and not -n <= item < n:
            raise ShapeError(f"Index {item} is out of range for an axis of size {n} (shape {x.shape}).")
    return TensorSpec(tuple(sizes), x.dtype)


def _sliced_size(n: int | None, item: slice) -> int | None:
    if item == _py_slice(None):
        return n
    if isinstance(item.start, Symbolic) or isinstance(item.stop, Symbolic) or isinstance(item.step, Symbolic):
        return None
    if n is None:
        start, stop = item.start or 0, item.stop
        if item.step in (None, 1) and stop is not None and start < 0 and stop < 0:
            return None
        return None
    return len(range(*item.indices(n)))


@primitive(infer=_slice_spec, normalize=_index_normalize, host=True,
           vjp=lambda g, out, x, index: scatter_slice(g, index, shape_of(x)))  # fmt: skip
def strided_slice(x: Tensor, index: Dims) -> Any:
    """`x[index]` for a tuple of ints, slices and None, one entry per axis after normalisation."""
    return np.asarray(x)[tuple(index)]


def _scatter_slice(x: Any, index: Any, shape: Any) -> Any:
    out = np.zeros(shape, np.asarray(x).dtype)
    out[tuple(index)] = x
    return out


@primitive(infer=lambda x, index, shape: TensorSpec(rules.static_shape(shape), x.dtype), reference=_scatter_slice,
           vjp=lambda g, out, x, index, shape: strided_slice(g, index))  # fmt: skip
def scatter_slice(x: Tensor, index: Dims, shape: Dims) -> Any:
    """Zeros of `shape` with x written at `index`: the gradient of strided_slice."""


def getitem(x: Any, index: Any) -> Any:
    """Indexing as Python writes it; one list, array or tensor of integers as the first index gathers."""
    items = index if isinstance(index, tuple) else (index,)
    if len(items) == 1 and (isinstance(items[0], (list, np.ndarray)) or getattr(items[0], "ndim", 0)):
        from kcore.ops.indexing import gather

        return gather(x, items[0])
    return strided_slice(x, items)


__all__ = [
    "broadcast_to", "cast", "concatenate", "count", "expand_dims", "getitem", "ir", "join", "pad", "reduce_to",
    "repeat_elements", "reshape", "reverse", "scatter_slice", "shape_of", "squeeze", "stack", "strided_slice",
    "sum_to_shape", "tile", "transpose",
]  # fmt: skip
