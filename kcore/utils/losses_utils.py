"""Reduction of per-sample values to a loss, and the fitting of weights to values that losses and metrics share.

Written in K ops. What a loss *is* belongs into `kcore.losses`.
"""

from __future__ import annotations

from typing import Any, Final

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError


class Reduction:
    """How a loss object makes one number of the losses of its samples."""

    NONE: Final = "none"
    SUM: Final = "sum"
    SUM_OVER_BATCH_SIZE: Final = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """The known reductions."""
        return (cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE)

    @classmethod
    def validate(cls, key: Any) -> None:
        """Raise ArgumentError unless `key` is a known reduction."""
        if key not in cls.all():
            known = ", ".join(map(repr, cls.all()))
            raise ArgumentError(f"Unknown reduction {key!r} of a loss; expected one of {known}.")


def squeeze_or_expand_dimensions(y_pred: Any, y_true: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
    """Bring ranks together where they differ by one.

    A last axis of length 1 is dropped from whichever of `y_pred` and `y_true` has one axis more; `sample_weight` gets
    or loses a last axis so that its rank is that of `y_pred` (scalars stay). Returns `(y_pred, y_true)`, and
    `(y_pred, y_true, sample_weight)` when weights are given.
    """
    if y_true is not None:
        extra = K.ndim(y_pred) - K.ndim(y_true)
        if extra == 1 and K.int_shape(y_pred)[-1] == 1:
            y_pred = K.squeeze(y_pred, -1)
        elif extra == -1 and K.int_shape(y_true)[-1] == 1:
            y_true = K.squeeze(y_true, -1)
    if sample_weight is None:
        return y_pred, y_true
    rank, weight_rank = K.ndim(y_pred), K.ndim(sample_weight)
    if weight_rank:
        if rank == 0 and weight_rank == 1:
            y_pred = K.expand_dims(y_pred, -1)
        elif weight_rank - rank == 1:
            sample_weight = K.squeeze(sample_weight, -1)
        elif rank - weight_rank == 1:
            sample_weight = K.expand_dims(sample_weight, -1)
    return y_pred, y_true, sample_weight


def broadcast_weights(values: Any, sample_weight: Any) -> Any:
    """The weights with one axis for each of `values`, every axis as long as there; else raises ShapeError."""
    shape, weight_shape = K.int_shape(values), K.int_shape(sample_weight)
    if shape == weight_shape:
        return sample_weight
    problem = f"Weights of shape {weight_shape} cannot be broadcast to values of shape {shape}."
    if len(weight_shape) > len(shape):
        raise ShapeError(f"{problem} They have more axes; give one weight per sample, or per value.")
    for axis in range(len(weight_shape), len(shape)):
        sample_weight = K.expand_dims(sample_weight, axis)
    for axis, (n, weights) in enumerate(zip(shape, weight_shape, strict=False)):
        if n is not None and weights is not None and n != weights:
            if weights != 1:
                raise ShapeError(f"{problem} Axis {axis} has {weights} weights for {n} values.")
            sample_weight = K.repeat_elements(sample_weight, n, axis)
    return sample_weight


def full_weights(values: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Values and weights in float, fitted to each other (see the two functions above)."""
    weights = K.cast(sample_weight, K.dtype(values))
    values, _, weights = squeeze_or_expand_dimensions(values, None, weights)
    return values, broadcast_weights(values, weights)


def reduce_weighted_loss(weighted_losses: Any, reduction: str = Reduction.SUM_OVER_BATCH_SIZE) -> Any:
    """The losses as `reduction` says: as they are, their sum, or their mean."""
    if reduction == Reduction.NONE:
        return weighted_losses
    return K.sum(weighted_losses) if reduction == Reduction.SUM else K.mean(_without_mean(weighted_losses))


def _without_mean(values: Any) -> Any:
    """What `values` are means of, if they are: the mean of equally large groups' means is the mean of all."""
    node = getattr(values, "node", None)
    return node.inputs[0] if node is not None and node.op.name == "mean" else values


def compute_weighted_loss(losses: Any, sample_weight: Any = None, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
                          name: str | None = None) -> Any:  # fmt: skip
    """Losses times weights, reduced; the mean is over all losses, those of weight 0 included.

    Args:
        losses: of shape `(batch, d1, ..., dN)`.
        sample_weight: a scalar, or weights whose shape is that of `losses` or its beginning; None for 1.
        reduction: one of `Reduction`.
        name: of the scope of the nodes.
    """
    Reduction.validate(reduction)
    with K.name_scope(name or "weighted_loss"):
        dtype = K.dtype(losses)
        if dtype != K.floatx():
            losses = K.cast(losses, K.floatx())
        if sample_weight is not None:
            losses, weights = full_weights(losses, sample_weight)
            losses = losses * weights
        loss = reduce_weighted_loss(losses, reduction)
        return loss if dtype == K.floatx() else K.cast(loss, dtype)
