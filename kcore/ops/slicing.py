"""Slicing, its gradient, indexing as Python writes it, and the arithmetic of shapes that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import rules
from kcore.ops.cases import ANY, FLOATS, Cases, Draw, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.spec import Dims, Tensor, primitive, spec_of
from kcore.ops.structural import shape

# --- shape arithmetic -------------------------------------------------------------------------------------------------


def shape_of(x: Any) -> Any:
    """The shape as a tuple for `Dims` arguments: ints where known, symbolic integers elsewhere."""
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


# --- slices -----------------------------------------------------------------------------------------------------------


def _normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    """Ellipsis and missing axes become full slices; NumPy integers become ints."""
    index, rank = arguments["index"], specs["x"].rank
    items = list(index) if isinstance(index, tuple) else [index]
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if used > rank:
        raise ShapeError(f"Too many indices ({used}) for a tensor of shape {specs['x'].shape}.")
    if any(i is Ellipsis for i in items):
        at = next(k for k, i in enumerate(items) if i is Ellipsis)
        items[at : at + 1] = [slice(None)] * (rank - used)
    else:
        items += [slice(None)] * (rank - used)
    arguments["index"] = tuple(_plain_index(i) for i in items)


def _plain_index(item: Any) -> Any:
    if isinstance(item, slice):
        return slice(*(_plain_index(v) for v in (item.start, item.stop, item.step)))
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
        if isinstance(item, slice):
            sizes.append(_sliced_size(n, item))
        elif isinstance(item, int) and n is not None and not -n <= item < n:
            raise ShapeError(f"Index {item} is out of range for an axis of size {n} (shape {x.shape}).")
    return TensorSpec(tuple(sizes), x.dtype)


def _sliced_size(n: int | None, item: slice) -> int | None:
    if item == slice(None):
        return n
    if n is None or any(isinstance(v, Symbolic) for v in (item.start, item.stop, item.step)):
        return None
    return len(range(*item.indices(n)))


def _index(d: Draw, shape: Sequence[int]) -> Any:
    """An index that leaves something: ints, slices with steps of either sign, and new axes."""
    items: list[Any] = []
    for n in shape:
        start = d.integer(0, n - 1)
        options = [slice(None), d.integer(-n, n - 1), slice(start, n), slice(0, start + 1), slice(None, None, 2)]
        items.append(d.choice([*options, slice(None, None, -1), slice(n - 1, None, -2), slice(-n, None)]))
    return (*items, None) if d.boolean() else tuple(items)


def _slices(d: Draw) -> Any:
    x = d.array(d.shape(), d.dtype(ANY), Real())
    return {"x": x, "index": _index(d, x.shape)}


def _smooth_slices(d: Draw) -> Any:
    x = d.array(d.shape(), d.dtype(FLOATS), Real())
    return {"x": x, "index": _index(d, x.shape)}


_EMPTY = Edge(also=tuple(
    {"x": np.ones((2, 3), "float32"), "index": i} for i in ((slice(1, 1),), (slice(5, 9),), (0, slice(2, 0)))
))  # fmt: skip
_OUTSIDE = (Wrong(ShapeError, x=(2, 3), index=(2,)), Wrong(ShapeError, x=(2, 3), index=(0, -4)),
            Wrong(ShapeError, x=(2,), index=(0, 0)))  # fmt: skip


def _slice_vjp(g: Any, out: Any, x: Any, index: Any) -> Any:
    return scatter_slice(g, index, shape_of(x))


@primitive(view=True, infer=_slice_spec, normalize=_normalize, host=True, vjp=_slice_vjp,
           cases=Cases(_slices, smooth=_smooth_slices, edges=_EMPTY, errors=_OUTSIDE))  # fmt: skip
def strided_slice(x: Tensor, index: Dims) -> Any:
    """`x[index]`.

    Args:
        x: tensor of any shape and dtype.
        index: a tuple of ints, slices, None (a new axis) and Ellipsis; its numbers may be symbolic integers. Kernels
            get one entry per axis, and None.

    Raises:
        ShapeError: too many indices, or one out of range.

    >>> strided_slice(np.array([[1, 2, 3], [4, 5, 6]]), (0, slice(None, None, 2)))
    array([1, 3])
    """
    return np.asarray(x)[tuple(index)]


def _scatter_slice(x: Any, index: Any, shape: Any) -> Any:
    out = np.zeros(shape, np.asarray(x).dtype)
    out[tuple(index)] = x
    return out


def _scatters(d: Draw) -> Any:
    shape, dtype = d.shape(), d.dtype(FLOATS)
    index = _index(d, shape)
    sliced = np.zeros(shape)[index].shape
    return {"x": d.array(sliced, dtype, Real()), "index": index, "shape": shape}


@primitive(infer=lambda x, index, shape: TensorSpec(rules.static_shape(shape), x.dtype), reference=_scatter_slice,
           cases=Cases(_scatters), vjp=lambda g, out, x, index, shape: strided_slice(g, index))  # fmt: skip
def scatter_slice(x: Tensor, index: Dims, shape: Dims) -> Any:
    """Zeros with x written at an index: the gradient of strided_slice.

    Args:
        x: in the shape that the slice has.
        index: a tuple with an int or slice for each axis of the result, and None where x has an axis that it has not.
        shape: of the result.

    >>> scatter_slice(np.array([1., 2.]), (slice(1, 3),), (4,))
    array([0., 1., 2., 0.])
    """


def getitem(x: Any, index: Any) -> Any:
    """Indexing as Python writes it; one list, array or tensor of integers as the only index gathers."""
    items = index if isinstance(index, tuple) else (index,)
    if len(items) == 1 and (isinstance(items[0], (list, np.ndarray)) or bool(getattr(items[0], "ndim", False))):
        from kcore.ops.indexing import gather

        return gather(x, items[0])
    return strided_slice(x, items)
