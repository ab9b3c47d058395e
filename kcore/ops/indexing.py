"""Gathering, scattering, one-hot and top-k."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.shaping import shape_of
from kcore.ops.spec import Dims, Tensor, primitive


def _gather_spec(x: TensorSpec, indices: TensorSpec, axis: int) -> TensorSpec:
    return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _gather_vjp(g: Any, out: Any, x: Any, indices: Any, axis: int) -> Any:
    return scatter_add(indices, g, shape_of(x), axis), None


def _gather(x: Any, indices: Any, axis: int = 0) -> Any:
    return np.take(x, np.asarray(indices).astype("int64"), axis=axis)


@primitive(infer=_gather_spec, normalize=rules.normalize_axis, vjp=_gather_vjp, reference=_gather, promote=(), host=True)
def gather(x: Tensor, indices: Tensor, axis: int = 0) -> Any:
    """Slices of x along `axis` at integer `indices` (any shape, its axes take that axis's place).

    Out-of-range indices are an error on the NumPy backend and undefined on others; negative ones count from the end.
    """


def _scatter_add(indices: Any, updates: Any, shape: Any, axis: int = 0) -> Any:
    updates, indices = np.asarray(updates), np.asarray(indices)
    out = np.zeros(shape, updates.dtype)
    moved = np.moveaxis(out, axis, 0)
    source = np.moveaxis(updates, range(axis, axis + indices.ndim), range(indices.ndim))
    np.add.at(moved, indices.astype("int64"), source)
    return out


def _scatter_add_vjp(g: Any, out: Any, indices: Any, updates: Any, shape: Any, axis: int) -> Any:
    return None, gather(g, indices, axis)


@primitive(infer=lambda indices, updates, shape, axis: TensorSpec(rules.static_shape(shape), updates.dtype),
           vjp=_scatter_add_vjp, reference=_scatter_add, promote=())  # fmt: skip
def scatter_add(indices: Tensor, updates: Tensor, shape: Dims, axis: int = 0) -> Any:
    """Zeros of `shape` with `updates` added at `indices` along `axis`: the gradient of gather."""


@primitive(infer=lambda indices, num_classes, dtype: TensorSpec((*indices.shape, num_classes), dtype),
           differentiable=False, promote=())  # fmt: skip
def one_hot(indices: Tensor, num_classes: int, dtype: str = "float32") -> Any:
    """1 at the index, 0 elsewhere, along a new last axis; indices out of range give all zeros."""
    indices = np.asarray(indices)
    return (indices[..., None] == np.arange(num_classes)).astype(dtype)


def _top_k(x: Any, k: int) -> Any:
    order = np.argsort(-np.asarray(x), axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(np.asarray(x), order, -1), order.astype("int32")


def _top_k_spec(x: TensorSpec, k: int) -> tuple[TensorSpec, TensorSpec]:
    shape = (*x.shape[:-1], k)
    return TensorSpec(shape, x.dtype), TensorSpec(shape, "int32")


def _top_k_vjp(g: Any, out: Any, x: Any, k: int) -> Any:
    from kcore.ops import elementwise, reduction, shaping

    if g[0] is None:
        return None
    hits = one_hot(out[1], x.shape[-1], x.dtype)
    return reduction.sum(elementwise.multiply(hits, shaping.expand_dims(g[0], -1)), axis=-2)


@primitive(infer=_top_k_spec, vjp=_top_k_vjp, reference=_top_k, multiple=True)
def top_k(x: Tensor, k: int) -> Any:
    """The k largest along the last axis, in falling order, and their int32 indices; the lower index first at ties."""
