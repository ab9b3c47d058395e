"""Whether a class is among the most probable ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, INTS, Cases, Draw, Ints, Ties
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import greater, greater_equal, isfinite, less, logical_and, where, zeros_of
from kcore.ops.indexing import one_hot
from kcore.ops.reduction import all_, max_, sum_
from kcore.ops.spec import Tensor, composite, spec_of
from kcore.ops.structural import cast


def _in_top_k_spec(predictions: TensorSpec, targets: TensorSpec, k: int) -> TensorSpec:
    if predictions.rank != 2 or targets.rank != 1:
        raise ShapeError(
            "in_top_k expects predictions (samples, classes) and targets (samples,), got shapes "
            f"{predictions.shape} and {targets.shape}."
        )
    if predictions.shape[1] is None:
        raise ShapeError(f"in_top_k needs a known number of classes, got predictions of shape {predictions.shape}.")
    return TensorSpec(rules.broadcast_shapes(predictions.shape[:1], targets.shape), "bool")


def _rankings(d: Draw) -> Any:
    samples, classes = d.integer(1, 3), d.integer(1, 4)
    predictions = d.array((samples, classes), d.dtype(FLOATS), Ties())
    return {"predictions": predictions, "targets": d.array((samples,), d.dtype(INTS), Ints(-1, classes)),
            "k": d.integer(1, classes)}  # fmt: skip


_EDGES = Edge((), large=False, also=tuple(
    {"predictions": np.array([[0.1, bad, 0.5], [0.5, 0.5, 0.1], [0.3, 0.2, 0.1]], "float32"),
     "targets": np.array([0, 1, at], "int32"), "k": k}
    for bad, at, k in ((np.nan, -1, 1), (np.inf, 3, 2), (-np.inf, 2, 3))
))  # fmt: skip
_INTEGERS = {"shape": (2,), "dtype": "int32"}
_REFUSED = (Wrong(ShapeError, predictions=(2, 3, 1), targets=_INTEGERS, k=1),
            Wrong(ShapeError, predictions=(2, 3), targets={"shape": (2, 1), "dtype": "int32"}, k=1))  # fmt: skip


@composite(infer=_in_top_k_spec, differentiable=False, promote=(), static=("predictions",),
           cases=Cases(_rankings, smooth=False, edges=_EDGES, errors=_REFUSED))  # fmt: skip
def in_top_k(predictions: Tensor, targets: Tensor, k: int) -> Any:
    """Whether fewer than k predictions exceed that of the target; False where a prediction is not finite.

    Args:
        predictions: (samples, classes).
        targets: integers (samples,); one that is no class gives False.
        k: how many.

    >>> in_top_k(np.array([[0.1, 0.9, 0.5]]), np.array([2]), 1)
    array([False])
    """
    spec = spec_of(predictions)
    hit = cast(one_hot(targets, spec.shape[1] or 0, spec.dtype), "bool")
    own = sum_(where(hit, predictions, zeros_of(predictions)), axis=1, keepdims=True)
    better = sum_(cast(greater(predictions, own), "int32"), axis=1)
    known = greater_equal(max_(cast(hit, "int32"), axis=1), 1)
    return logical_and(logical_and(less(better, k), all_(isfinite(predictions), axis=1)), known)


