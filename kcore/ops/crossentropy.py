"""Cross-entropies from logits: one op each, so that a backend may use its fused kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import DTypeError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.activation import log_softmax, softmax
from kcore.ops.cases import FLOATS, INTS, Cases, Draw, Ints, Real
from kcore.ops.edges import Edge, Wrong
from kcore.ops.elementwise import add, multiply, negative, sigmoid, softplus, subtract, unbroadcast
from kcore.ops.indexing import one_hot
from kcore.ops.reduction import sum_
from kcore.ops.shaping import expand_dims
from kcore.ops.spec import Tensor, composite, spec_of


def _softmax_spec(target: TensorSpec, logits: TensorSpec, axis: int) -> TensorSpec:
    if target.rank != logits.rank:
        raise ShapeError(
            f"softmax_crossentropy expects targets of the logits' shape {logits.shape}, got {target.shape}. Class "
            "indices go to sparse_softmax_crossentropy."
        )
    shape = rules.broadcast_shapes(target.shape, logits.shape)
    return logits.with_shape(n for i, n in enumerate(shape) if i != axis)


def _normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    rules.normalize_axis(arguments, specs, "logits")


def _np_softmax_crossentropy(target: Any, logits: Any, axis: int = -1) -> Any:
    logits = np.asarray(logits)
    shifted = logits - logits.max(axis=axis, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=axis, keepdims=True, dtype=logits.dtype))
    return -np.sum(target * shifted, axis=axis, dtype=logits.dtype)


def _softmax_crossentropy_vjp(g: Any, out: Any, target: Any, logits: Any, axis: int) -> Any:
    g = expand_dims(g, axis)
    total = sum_(target, axis=axis, keepdims=True)
    to_logits = multiply(g, subtract(multiply(softmax(logits, axis), total), target))
    to_target = negative(multiply(g, log_softmax(logits, axis)))
    return unbroadcast(to_target, target), unbroadcast(to_logits, logits)


_UNLIKE = (Wrong(ShapeError, target=(2, 3), logits=(2, 3), axis=2), Wrong(ShapeError, target=(2,), logits=(2, 1)),
           Wrong(ShapeError, target=(3, 2), logits=(3, 1)))  # fmt: skip
#: Classes that there are not, and logits whose exponentials overflow.
_NO_CLASS = Edge((), large=False, also=(
    {"target": np.array([-1, 3, 0], "int32"), "logits": np.array([[1, 2, 3], [0, 0, 0], [-1e4, 0, 1e4]], "float32")},
    {"target": np.zeros((0,), "int32"), "logits": np.zeros((0, 3), "float32")},
))  # fmt: skip
_NO_INDEX = (
    Wrong(DTypeError, target=(2,), logits=(2, 3)),
    Wrong(ShapeError, target={"shape": (2, 1), "dtype": "int32"}, logits=(2, 3)),
)
_FAR = Edge((), large=False, also=tuple(
    {"target": np.array([0, 0.5, 1], name), "logits": np.array(far, name)}
    for name in FLOATS for far in ([1e4, -1e4, 1e4], [-1e-4, 1e-4, 0])
))  # fmt: skip


def _distributions(span: float) -> Any:
    def draw(d: Draw) -> Any:
        dtype, shape = d.dtype(FLOATS), d.shape(1)
        logits = d.array(shape, dtype, Real(-span, span))
        axis = d.integer(-len(shape), len(shape) - 1)
        target = d.array(shape, dtype, Real(0.1, 1.0, edges=()))
        return {"target": target / target.sum(axis=axis, keepdims=True), "logits": logits, "axis": axis}

    return draw


@composite(infer=_softmax_spec, normalize=_normalize, to_float=True, reference=_np_softmax_crossentropy,
           vjp=_softmax_crossentropy_vjp,
           cases=Cases(_distributions(40), smooth=_distributions(3), errors=_UNLIKE[:2]))  # fmt: skip
def softmax_crossentropy(target: Tensor, logits: Tensor, axis: int = -1) -> Any:
    """Cross-entropy between distributions and logits: `-sum(target * log_softmax(logits))` along `axis`.

    Args:
        target: probabilities, in the logits' shape.
        logits: scores of any shape, classes along `axis`.

    Returns:
        The loss, without that axis.

    >>> softmax_crossentropy(np.array([[0., 1.]]), np.array([[0., 0.]])).round(4)
    array([0.6931])
    """
    return negative(sum_(multiply(target, log_softmax(logits, axis)), axis=axis))


def _sparse_spec(target: TensorSpec, logits: TensorSpec) -> TensorSpec:
    if dtypes.is_float(target.dtype):
        raise DTypeError(f"sparse_softmax_crossentropy expects integer class indices, got {target.dtype}.")
    if target.rank != logits.rank - 1:
        raise ShapeError(
            f"sparse_softmax_crossentropy expects one class index per row of logits: for logits of shape "
            f"{logits.shape} targets of shape {logits.shape[:-1]}, got {target.shape}."
        )
    return logits.with_shape(rules.broadcast_shapes(target.shape, logits.shape[:-1]))


def _np_sparse(target: Any, logits: Any) -> Any:
    classes = np.asarray(logits).shape[-1]
    return _np_softmax_crossentropy(np.asarray(target)[..., None] == np.arange(classes), logits)


def _sparse_vjp(g: Any, out: Any, target: Any, logits: Any) -> Any:
    hits = one_hot(target, logits.shape[-1], logits.dtype)
    total = sum_(hits, axis=-1, keepdims=True)
    return None, multiply(expand_dims(g, -1), subtract(multiply(softmax(logits), total), hits))


def _classes(span: float) -> Any:
    def draw(d: Draw) -> Any:
        logits = d.array(d.shape(1), d.dtype(FLOATS), Real(-span, span))
        return {"target": d.array(logits.shape[:-1], d.dtype(INTS), Ints(0, logits.shape[-1] - 1)), "logits": logits}

    return draw


@composite(infer=_sparse_spec, static=("logits",), promote=("logits",), to_float=True, reference=_np_sparse,
           vjp=_sparse_vjp,
           cases=Cases(_classes(40), smooth=_classes(3), edges=_NO_CLASS, errors=_NO_INDEX))  # fmt: skip
def sparse_softmax_crossentropy(target: Tensor, logits: Tensor) -> Any:
    """Cross-entropy between class indices and logits along the last axis.

    Args:
        target: integer class indices, in the logits' shape without its last axis. An index out of range counts as no
            class: its loss is 0.
        logits: scores (..., classes); the number of classes must be known.

    >>> sparse_softmax_crossentropy(np.array([1]), np.array([[0., 0.]])).round(4)
    array([0.6931])
    """
    spec = spec_of(logits)
    classes = spec.shape[-1]
    if classes is None:
        raise ShapeError(
            f"sparse_softmax_crossentropy needs a known number of classes, got logits of shape {spec.shape}."
        )
    return negative(sum_(multiply(one_hot(target, classes, spec.dtype), log_softmax(logits)), axis=-1))


def _np_sigmoid(target: Any, logits: Any) -> Any:
    x = np.asarray(logits)
    return (np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))).astype(x.dtype)


def _sigmoid_vjp(g: Any, out: Any, target: Any, logits: Any) -> Any:
    return (unbroadcast(negative(multiply(g, logits)), target),
            unbroadcast(multiply(g, subtract(sigmoid(logits), target)), logits))  # fmt: skip


def _sigmoid_spec(target: TensorSpec, logits: TensorSpec) -> TensorSpec:
    # No broadcasting: (samples,) against (samples, 1) would be a loss for every pair of samples.
    fits = target.rank == logits.rank and all(
        a is None or b is None or a == b for a, b in zip(target.shape, logits.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"sigmoid_crossentropy expects targets of the logits' shape {logits.shape}, got {target.shape}."
        )
    return logits.with_shape(rules.broadcast_shapes(target.shape, logits.shape))


def _probabilities(span: float) -> Any:
    def draw(d: Draw) -> Any:
        dtype, shape = d.dtype(FLOATS), d.shape()
        return {"target": d.array(shape, dtype, Real(0, 1)), "logits": d.array(shape, dtype, Real(-span, span))}

    return draw


@composite(infer=_sigmoid_spec, to_float=True, reference=_np_sigmoid, vjp=_sigmoid_vjp,
           cases=Cases(_probabilities(40), smooth=_probabilities(3), edges=_FAR,
                       errors=_UNLIKE[1:]))  # fmt: skip
def sigmoid_crossentropy(target: Tensor, logits: Tensor) -> Any:
    """Elementwise cross-entropy between probabilities and logits, without overflow.

    Args:
        target: probabilities in [0, 1].
        logits: scores, in the targets' shape.

    Raises:
        ShapeError: the shapes differ.

    >>> sigmoid_crossentropy(np.array([1.]), np.array([0.])).round(4)
    array([0.6931])
    """
    return add(multiply(target, softplus(negative(logits))), multiply(subtract(1, target), softplus(logits)))
