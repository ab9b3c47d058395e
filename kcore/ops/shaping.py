"""Shape primitives: reshape, transpose, new and removed axes, broadcasting, repetition, reversal, padding.

Slicing and joining are declared in rooms of their own; their names are here too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import rules
from kcore.ops.cases import ANY, FLOATS, AxesOf, AxisOf, Cases, Draw, Real, Unary
from kcore.ops.edges import Edge, Wrong
from kcore.ops.joining import concatenate, stack
from kcore.ops.slicing import count, getitem, join, scatter_slice, shape_of, strided_slice
from kcore.ops.spec import Dims, Tensor, primitive
from kcore.ops.structural import cast


def _both(draw: Any, *wrong: Wrong, **empty: Any) -> Cases:
    """Cases of a function of a Draw and dtype names: of all dtypes, and of floats for gradients.

    Args:
        draw: the function.
        wrong: arguments that are refused.
        empty: arguments beside x without elements, whose shape is the entry `x`.
    """
    edge = Edge(also=({**empty, "x": np.zeros(empty["x"], "float32")},))
    return Cases(lambda d: draw(d, ANY), smooth=lambda d: draw(d, FLOATS), edges=edge, errors=wrong)


# --- other shapes of the same elements --------------------------------------------------------------------------------


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
        if sum(1 for n in target if isinstance(n, int) and n == -1) > 1:
            raise ShapeError(f"Only one size of a new shape may be unknown (-1 or None), got {arguments['shape']}.")
    arguments["shape"] = target


def _reshapes(d: Draw, names: Any) -> Any:
    x = d.array(d.shape(), d.dtype(names), Real())
    n, last = x.size, x.shape[-1] if x.shape else 1
    options = [(-1,), (n,), (1, -1), (n // last, last), (-1, last), x.shape[::-1], (*x.shape, 1)]
    return {"x": x, "shape": d.choice(options)}


_MISFITS = (Wrong(ShapeError, x=(2, 3), shape=(4, 2)), Wrong(ShapeError, x=(2, 3), shape=(-1, 4)),
            Wrong(ShapeError, x=(2, 3), shape=(-1, -1)))  # fmt: skip


def _reshape_vjp(g: Any, out: Any, x: Any, shape: Any) -> Any:
    return reshape(g, shape_of(x))


@primitive(view=True, infer=_reshape_spec, vjp=_reshape_vjp, host=True,
           normalize=_reshape_normalize, cases=_both(_reshapes, *_MISFITS, x=(2, 0), shape=(0, 3)))  # fmt: skip
def reshape(x: Tensor, shape: Dims) -> Any:
    """The same elements in another shape.

    Args:
        x: tensor of any shape and dtype.
        shape: the new shape; one size may be -1, and entries may be symbolic integers.

    Raises:
        ShapeError: the elements do not fit.

    >>> reshape(np.arange(4), (2, -1))
    array([[0, 1], [2, 3]])
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


_NO_ORDER = (Wrong(ShapeError, x=(2, 3), perm=(0, 0)), Wrong(ShapeError, x=(2, 3), perm=(0,)))


def _transposes(d: Draw, names: Any) -> Any:
    x = d.array(d.shape(), d.dtype(names), Real())
    axes = tuple(range(x.ndim))
    return {"x": x, "perm": d.choice([None, axes, axes[1:] + axes[:1], axes[::-1]])}


@primitive(view=True, infer=lambda x, perm: x.with_shape(x.shape[a] for a in perm), vjp=_transpose_vjp, normalize=_perm,
           cases=_both(_transposes, *_NO_ORDER, x=(2, 0), perm=None))  # fmt: skip
def transpose(x: Tensor, perm: Any = None) -> Any:
    """Axes in another order.

    Args:
        x: tensor of any shape and dtype.
        perm: for each axis of the result the axis of x; None reverses them.

    Raises:
        ShapeError: not a permutation of x's axes.

    >>> transpose(np.array([[1, 2], [3, 4]]))
    array([[1, 3], [2, 4]])
    """
    return np.transpose(x, perm)


def _expand_axis(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    arguments["axis"] = rules.canonical_axis(int(arguments["axis"]), specs["x"].rank + 1)


def _expand_vjp(g: Any, out: Any, x: Any, axis: int) -> Any:
    return squeeze(g, axis)


@primitive(view=True, infer=lambda x, axis: x.with_shape((*x.shape[:axis], 1, *x.shape[axis:])), normalize=_expand_axis,
           vjp=_expand_vjp, host=True,
           cases=Unary(dtypes=ANY, axis=AxisOf(extra=1)))  # fmt: skip
def expand_dims(x: Tensor, axis: int = -1) -> Any:
    """A new axis of size 1.

    Args:
        x: tensor of any shape and dtype.
        axis: its place in the result.

    >>> expand_dims(np.array([1, 2]), 0)
    array([[1, 2]])
    """
    return np.expand_dims(x, axis)


def _squeeze_spec(x: TensorSpec, axis: tuple[int, ...]) -> TensorSpec:
    for a in axis:
        if x.shape[a] not in (1, None):
            raise ShapeError(f"Cannot squeeze axis {a} of shape {x.shape}: its size is not 1.")
    return x.with_shape(n for i, n in enumerate(x.shape) if i not in axis)


_NOT_ONE = (Wrong(ShapeError, x=(2, 1), axis=0), Wrong(ShapeError, x=(2, 1), axis=2))


def _squeezes(d: Draw, names: Any) -> Any:
    shape = d.shape(0, 2)
    at = d.integer(0, len(shape))
    x = d.array((*shape[:at], 1, *shape[at:]), d.dtype(names), Real())
    return {"x": x, "axis": d.choice([at, at - x.ndim, [at]])}


@primitive(view=True, infer=_squeeze_spec, normalize=rules.normalize_axes, host=True,
           cases=_both(_squeezes, *_NOT_ONE, x=(1, 0), axis=0),
           vjp=lambda g, out, x, axis: reshape(g, shape_of(x)))  # fmt: skip
def squeeze(x: Tensor, axis: Any) -> Any:
    """Without some axes of size 1.

    Args:
        x: tensor of any shape and dtype.
        axis: an int or a list of ints.

    Raises:
        ShapeError: the axis has another size.

    >>> squeeze(np.array([[1, 2]]), 0)
    array([1, 2])
    """
    return np.squeeze(x, axis=axis)


# --- repetition -------------------------------------------------------------------------------------------------------


def _broadcast_to_vjp(g: Any, out: Any, x: Any, shape: Any) -> Any:
    from kcore.ops.broadcasting import unbroadcast

    return unbroadcast(g, x)


_UNLIKE = (Wrong(ShapeError, x=(2,), shape=(3,)), Wrong(ShapeError, x=(2, 3), shape=(3,)))


def _broadcasts(d: Draw, names: Any) -> Any:
    shape = d.shape()
    small = tuple(1 if d.boolean() else n for n in shape)[d.integer(0, len(shape)) :]
    return {"x": d.array(small, d.dtype(names), Real()), "shape": shape}


def _broadcast_to_spec(x: TensorSpec, shape: Any) -> TensorSpec:
    sizes = rules.static_shape(shape)
    if x.rank > len(sizes) or any(n not in (1, None, m) and m is not None for n, m in zip(x.shape[::-1], sizes[::-1])):
        raise ShapeError(f"A tensor of shape {x.shape} cannot be broadcast to {sizes}.")
    return TensorSpec(sizes, x.dtype)


@primitive(view=True, infer=_broadcast_to_spec, vjp=_broadcast_to_vjp,
           normalize=_reshape_normalize, cases=_both(_broadcasts, *_UNLIKE, x=(0,), shape=(2, 0)))  # fmt: skip
def broadcast_to(x: Tensor, shape: Dims) -> Any:
    """Repeated along new axes in front and along axes of size 1.

    Args:
        x: tensor whose shape broadcasts to `shape`.
        shape: of the result; entries may be symbolic integers.

    >>> broadcast_to(np.array([1, 2]), (2, 2))
    array([[1, 2], [1, 2]])
    """
    return np.broadcast_to(x, shape)


def _reduce_to(x: Any, shape: Any) -> Any:
    x = np.asarray(x)
    lead = x.ndim - len(shape)
    x = x.sum(axis=tuple(range(lead)), dtype=x.dtype) if lead else x
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and x.shape[i] != 1)
    return x.sum(axis=axes, keepdims=True, dtype=x.dtype) if axes else x


def _reductions(d: Draw) -> Any:
    a = _broadcasts(d, FLOATS)
    return {"x": d.array(a["shape"], a["x"].dtype.name, Real()), "shape": a["x"].shape}


@primitive(view=True, infer=lambda x, shape: TensorSpec(rules.static_shape(shape), x.dtype), reference=_reduce_to,
           vjp=lambda g, out, x, shape: broadcast_to(g, shape_of(x)), cases=Cases(_reductions))  # fmt: skip
def reduce_to(x: Tensor, shape: Dims) -> Any:
    """Summed over the axes along which `shape` would broadcast to x's shape: the gradient of broadcast_to.

    Args:
        x: tensor of any shape.
        shape: of the result; entries may be symbolic integers.

    >>> reduce_to(np.array([[1, 2], [3, 4]]), (1, 2))
    array([[4, 6]])
    """


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
        if len(n) > rank:
            raise ShapeError(f"tile got {len(n)} repetitions for a tensor of shape {specs['x'].shape}.")
        n = (*(1,) * (rank - len(n)), *n)
    arguments["n"] = n


def _tiles(d: Draw, names: Any) -> Any:
    x = d.array(d.shape(1), d.dtype(names), Real())
    return {"x": x, "n": d.choice([2, tuple(d.integer(1, 3) for _ in x.shape), (2,)])}


@primitive(infer=_tile_spec, normalize=_tile_normalize, vjp=_tile_vjp,
           cases=_both(_tiles, Wrong(ShapeError, x=(2,), n=(1, 2)), x=(2, 0), n=(2, 3)))  # fmt: skip
def tile(x: Tensor, n: Dims) -> Any:
    """The whole tensor repeated along its axes.

    Args:
        x: tensor of any shape and dtype.
        n: how often along each axis, or along the last ones; one int for all.

    >>> tile(np.array([1, 2]), 2)
    array([1, 2, 1, 2])
    """
    return np.tile(x, n)


def _repeat_vjp(g: Any, out: Any, x: Any, rep: int, axis: int) -> Any:
    from kcore.ops import reduction

    sizes = list(shape_of(x))
    return reduction.sum(reshape(g, (*sizes[: axis + 1], rep, *sizes[axis + 1 :])), axis=axis + 1)


def _repeats(d: Draw, names: Any) -> Any:
    x = d.array(d.shape(1), d.dtype(names), Real())
    return {"x": x, "rep": d.integer(1, 3), "axis": d.integer(-x.ndim, x.ndim - 1)}


@primitive(
    infer=lambda x, rep, axis: x.with_shape(
        (None if n is None else n * rep) if i == axis else n for i, n in enumerate(x.shape)
    ),
    normalize=rules.normalize_axis, vjp=_repeat_vjp,
    cases=_both(_repeats, Wrong(ShapeError, x=(2,), rep=2, axis=1), x=(2, 0), rep=2, axis=1),
)  # fmt: skip
def repeat_elements(x: Tensor, rep: int, axis: int) -> Any:
    """Each element repeated along an axis.

    Args:
        x: tensor of rank 1 or more.
        rep: how often.
        axis: along which axis.

    >>> repeat_elements(np.array([1, 2]), 2, axis=0)
    array([1, 1, 2, 2])
    """
    return np.repeat(x, rep, axis=axis)


# --- order and padding ------------------------------------------------------------------------------------------------


def _reverse_vjp(g: Any, out: Any, x: Any, axis: Any) -> Any:
    return reverse(g, axis)


@primitive(view=True, infer=rules.same("x"), normalize=rules.normalize_axes, vjp=_reverse_vjp,
           cases=Unary(dtypes=ANY, min_rank=1, axis=AxesOf()))  # fmt: skip
def reverse(x: Tensor, axis: Any) -> Any:
    """Elements in reverse order.

    Args:
        x: tensor of any shape and dtype.
        axis: an int, a list of ints, or None for all axes.

    >>> reverse(np.array([1, 2, 3]), 0)
    array([3, 2, 1])
    """
    return np.flip(x, axis)


def _pad_spec(x: TensorSpec, padding: Any, value: float) -> TensorSpec:
    return x.with_shape(None if n is None else n + a + b for n, (a, b) in zip(x.shape, padding, strict=True))


def _pad_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    padding = tuple((int(a), int(b)) for a, b in arguments["padding"])
    if len(padding) != specs["x"].rank or any(n < 0 for pair in padding for n in pair):
        raise ShapeError(f"pad expects (before, after) for each axis of a tensor of shape {specs['x'].shape}, none "
                         f"of them negative; got {arguments['padding']}.")  # fmt: skip
    arguments["padding"] = padding


def _pad_vjp(g: Any, out: Any, x: Any, padding: Any, value: float) -> Any:
    return strided_slice(g, tuple(slice(a, a + n) for (a, _), n in zip(padding, shape_of(x), strict=True)))


_UNPADDED = (Wrong(ShapeError, x=(2, 3), padding=[(1, 1)]), Wrong(ShapeError, x=(2,), padding=[(-1, 1)]))


def _pads(d: Draw, names: Any) -> Any:
    x = d.array(d.shape(1), d.dtype([n for n in names if n != "bool"]), Real())
    padding = [(d.integer(0, 2), d.integer(0, 2)) for _ in x.shape]
    return {"x": x, "padding": padding, "value": d.choice([0.0, 1.0])}


@primitive(infer=_pad_spec, normalize=_pad_normalize, vjp=_pad_vjp,
           cases=_both(_pads, *_UNPADDED, x=(0,), padding=[(1, 2)], value=1.0))  # fmt: skip
def pad(x: Tensor, padding: Any, value: float = 0.0) -> Any:
    """x with a margin.

    Args:
        x: tensor of any shape.
        padding: (before, after) for each axis.
        value: what the margin is filled with.

    Raises:
        ShapeError: not one pair for each axis, or a negative number.

    >>> pad(np.array([1, 2]), [(1, 2)])
    array([0, 1, 2, 0, 0])
    """
    x = np.asarray(x)
    out = np.full([n + a + b for n, (a, b) in zip(x.shape, padding, strict=True)], value, x.dtype)
    out[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, padding, strict=True))] = x
    return out


__all__ = [
    "broadcast_to", "cast", "concatenate", "count", "expand_dims", "getitem", "join", "pad", "reduce_to",
    "repeat_elements", "reshape", "reverse", "scatter_slice", "shape_of", "squeeze", "stack", "strided_slice",
    "tile", "transpose",
]  # fmt: skip
