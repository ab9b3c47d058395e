"""Attention: scaled dot products, with masks that hide positions. Written in other ops; backends may fuse it."""

from __future__ import annotations

from typing import Any

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.comparison import greater_equal, logical_and, where
from kcore.ops.creation import arange
from kcore.ops.edges import Wrong
from kcore.ops.elementwise import multiply, subtract
from kcore.ops.linalg import matmul
from kcore.ops.nn import softmax
from kcore.ops.shaping import expand_dims, shape_of, transpose
from kcore.ops.spec import MaybeTensor, Tensor, composite, spec_of

#: Taken from the scores of hidden positions. A row in which all are hidden keeps weights that sum to 1.
HIDDEN = {"float16": 65504.0}
HIDDEN_DEFAULT = 1e9


def _check_mask(scores: Any, mask: Any) -> None:
    if mask is not None:
        try:
            rules.broadcast_shapes(scores, mask.shape)
            fits = len(mask.shape) <= len(scores)
        except ShapeError:
            fits = False
        if not fits:
            raise ShapeError(f"An attention mask of shape {mask.shape} does not broadcast to scores of shape {scores}.")


def _masked_spec(scores: TensorSpec, mask: Any) -> TensorSpec:
    _check_mask(scores.shape, mask)
    return scores


def _scores(d: Draw) -> Any:
    shape = (*d.shape(0, 2, 3), d.integer(1, 3), d.integer(2, 4))
    mask = d.array(d.choice([shape, shape[-2:], shape[-1:]]), "bool", Real()) if d.boolean() else None
    return {"scores": d.array(shape, d.dtype(FLOATS), Real()), "mask": mask}


def _with_a_key(draw: Any) -> Any:
    """Cases in which no row hides everything: the scores of such a row are too large for finite differences."""

    def drawn(d: Draw) -> Any:
        case = draw(d)
        if case["mask"] is not None:
            case["mask"][..., 0] = True
        return case

    return drawn


_UNFIT_MASK = (Wrong(ShapeError, scores=(2, 3), mask={"shape": (2, 4), "dtype": "bool"}),)


@composite(infer=_masked_spec, promote=("scores",), to_float=True,
           cases=Cases(_scores, smooth=_with_a_key(_scores), errors=_UNFIT_MASK))  # fmt: skip
def masked_softmax(scores: Tensor, mask: MaybeTensor = None) -> Any:
    """Softmax over the last axis, among the positions where the mask holds.

    Args:
        scores: tensor of rank 1 or more.
        mask: bool tensor that broadcasts to the shape of the scores, or None. A row without any True keeps weights
            that sum to 1.

    Raises:
        ShapeError: a mask that does not broadcast.

    >>> masked_softmax(np.array([0., 0., 5.]), np.array([True, True, False]))
    array([0.5, 0.5, 0. ])
    """
    if mask is not None:
        scores = where(mask, scores, subtract(scores, HIDDEN.get(spec_of(scores).dtype, HIDDEN_DEFAULT)))
    return softmax(scores, axis=-1)


def causal_mask(queries: Any, keys: Any) -> Any:
    """Bool tensor (queries, keys): True where the key is not later than the query."""
    return greater_equal(expand_dims(arange(0, queries), 1), expand_dims(arange(0, keys), 0))


def attention_mask(mask: Any, queries: Any, keys: Any, causal: bool) -> Any:
    """The mask, of positions up to the query alone if `causal`; None where nothing is hidden."""
    if not causal:
        return mask
    past = causal_mask(queries, keys)
    return past if mask is None else logical_and(mask, past)


def _attention_spec(query: TensorSpec, key: TensorSpec, value: TensorSpec, mask: Any, scale: float,
                    causal: bool) -> TensorSpec:  # fmt: skip
    if min(query.rank, key.rank, value.rank) < 2 or not query.rank == key.rank == value.rank:
        raise ShapeError(
            "dot_product_attention expects query, key and value of one rank of at least 2, got shapes "
            f"{query.shape}, {key.shape} and {value.shape}."
        )
    for name, a, b in (("last axes of query and key", query.shape[-1], key.shape[-1]),
                       ("numbers of keys and values", key.shape[-2], value.shape[-2])):  # fmt: skip
        if a is not None and b is not None and a != b:
            raise ShapeError(f"dot_product_attention: the {name} differ, {a} and {b}.")
    batch = rules.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    _check_mask((*batch, query.shape[-2], key.shape[-2]), mask)
    return TensorSpec((*batch, query.shape[-2], value.shape[-1]), query.dtype)


def _attended(d: Draw) -> Any:
    batch, queries, keys = d.choice([(2, 3), (2,), (), (2, 1, 3)]), d.integer(1, 3), d.integer(1, 4)
    inner, outer, dtype = d.integer(1, 4), d.integer(1, 3), d.dtype(FLOATS)
    shapes = [(*batch, queries, keys), (queries, keys), (*batch, 1, keys)]
    mask = d.array(d.choice(shapes), "bool", Real()) if d.boolean() else None
    return {"query": d.array((*batch, queries, inner), dtype, Real(-2, 2)),
            "key": d.array((*batch, keys, inner), dtype, Real(-2, 2)),
            "value": d.array((*batch, keys, outer), dtype, Real(-2, 2)), "mask": mask,
            "scale": d.choice([1.0, 0.5]), "causal": d.boolean()}  # fmt: skip


_UNFIT = (
    Wrong(ShapeError, query=(2, 3), key=(4, 5), value=(4, 2)),
    Wrong(ShapeError, query=(2, 3), key=(4, 3), value=(5, 2)),
    Wrong(ShapeError, query=(1, 2, 3), key=(4, 3), value=(4, 2)),
    Wrong(ShapeError, query=(3,), key=(3,), value=(3,)),
    Wrong(ShapeError, query=(2, 3), key=(4, 3), value=(4, 2), mask={"shape": (3, 4), "dtype": "bool"}),
)  # fmt: skip


@composite(infer=_attention_spec, promote=("query", "key", "value"), to_float=True,
           cases=Cases(_attended, smooth=_with_a_key(_attended), errors=_UNFIT))  # fmt: skip
def dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: MaybeTensor = None, scale: float = 1.0,
                          causal: bool = False) -> Any:  # fmt: skip
    """Means of the values, weighted by how well their keys match the query (Vaswani et al. 2017).

    `softmax(scale * query @ key^T) @ value`, over the positions that are not hidden.

    Args:
        query: (..., queries, size).
        key: (..., keys, size).
        value: (..., keys, size of the result).
        mask: bool tensor that broadcasts to (..., queries, keys), False where the key is hidden; or None.
        scale: of the scores, usually `size ** -0.5`.
        causal: hide keys that come after the query.

    Returns:
        (..., queries, size of the result).

    Raises:
        ShapeError: sizes that do not fit each other.

    >>> dot_product_attention(np.ones((1, 2)), np.ones((2, 2)), np.array([[1.], [3.]]))
    array([[2.]])
    """
    scores = matmul(query, _swapped(key))
    if scale != 1:
        scores = multiply(scores, scale)
    mask = attention_mask(mask, shape_of(query)[-2], shape_of(key)[-2], causal)
    return matmul(masked_softmax(scores, mask), value)


def _swapped(x: Any) -> Any:
    rank = spec_of(x).rank
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


__all__ = ["attention_mask", "causal_mask", "dot_product_attention", "masked_softmax"]
