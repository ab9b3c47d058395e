"""Normalisation, biases, dropout and rankings, where the K function differs from the op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import config
from kcore.backend.tensors import dtype, ndim
from kcore.ops import nn, normalization, ranking, reduction, shaping, structural
from kcore.ops.elementwise import add, divide, maximum, multiply, rsqrt, square, subtract


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    """A tensor plus a bias.

    Args:
        x: tensor of shape (samples, ..., channels), or (samples, channels, ...).
        bias: tensor of shape (channels,), or of the shape of one sample with the channels last.
        data_format: `channels_last` or `channels_first`; that of the configuration by default.

    Raises:
        ShapeError: the bias has another rank.
        ArgumentError: unknown data format.

    >>> K.eval(K.bias_add(K.constant([[1., 2.]]), K.constant([10., 20.])))
    array([[11., 22.]], dtype=float32)
    """
    return nn.bias_add(x, bias, config.normalize_data_format(data_format))


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """A batch normalised by its own mean and variance, scaled and shifted.

    Args:
        x: tensor.
        gamma: scale, one for each element that the reduction leaves, or None.
        beta: shift, or None.
        reduction_axes: axes over which mean and variance are taken.
        epsilon: added to the variance.

    Returns:
        The normalised tensor, the mean and the (biased) variance. For images with the channels last the variance is
        the unbiased one and no gradient flows through these two, as it was with the original's fused kernel.

    >>> y, mean, var = K.normalize_batch_in_training(K.constant([[1.], [3.]]), None, None, [0], 0.)
    >>> K.eval(y)
    array([[-1.],
           [ 1.]], dtype=float32)
    """
    rank = ndim(x)
    axes = sorted(a % rank for a in reduction_axes)
    kept = [a for a in range(rank) if a not in axes]
    if len(kept) == 1:
        y, mean, var = normalization.batch_norm(x, _vector(gamma), _vector(beta), kept[0], float(epsilon))
        if rank == 4 and kept[0] == 3:  # the fused kernel of the original had no gradient there
            mean, var = structural.stop_gradient(mean), structural.stop_gradient(_of_population(x, var, axes))
        return y, mean, var
    mean = reduction.mean(x, axes, keepdims=True)
    var = reduction.mean(square(subtract(x, mean)), axes, keepdims=True)
    shape = tuple(1 if a in axes else n for a, n in enumerate(shaping.shape_of(x)))
    y = multiply(subtract(x, mean), rsqrt(add(var, float(epsilon))))
    y = y if gamma is None else multiply(y, shaping.reshape(gamma, shape))
    y = y if beta is None else add(y, shaping.reshape(beta, shape))
    return y, shaping.squeeze(mean, axes), shaping.squeeze(var, axes)


def _of_population(x: Any, variance: Any, axes: Sequence[int]) -> Any:
    """The estimate of the population's variance from that of a sample."""
    count = shaping.count(x, axes)
    if isinstance(count, int):
        return multiply(variance, count / max(count - 1, 1))
    count = structural.cast(count, dtype(variance))
    return multiply(variance, divide(count, maximum(subtract(count, 1.0), 1.0)))


def _vector(p: Any) -> Any:
    return p if p is None or ndim(p) == 1 else shaping.reshape(p, (-1,))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether each target is among the `k` largest predictions; ties count as in.

    Args:
        predictions: tensor of shape (samples, classes).
        targets: integer tensor of shape (samples,).
        k: how many.

    Returns:
        A bool tensor of shape (samples,); False where a prediction is not finite or the target is no class.

    >>> K.eval(K.in_top_k(K.constant([[0.1, 0.7, 0.2]]), K.constant([2], dtype="int32"), 2))
    array([ True])
    """
    return ranking.in_top_k(predictions, targets, int(k))


