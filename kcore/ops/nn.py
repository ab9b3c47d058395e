"""Composites that layers are made of: bias, dropout, moments; and the names of the other neural ops in one place."""

from __future__ import annotations

from typing import Any

from kcore.errors import ArgumentError, ShapeError
from kcore.ops import rules
from kcore.ops.activation import clip, elu, hard_sigmoid, log_softmax, logsumexp, relu, selu, softmax, softsign
from kcore.ops.creation import random_uniform
from kcore.ops.crossentropy import sigmoid_crossentropy, softmax_crossentropy, sparse_softmax_crossentropy
from kcore.ops.elementwise import add, greater_equal, maximum, multiply, rsqrt, sqrt, square, subtract
from kcore.ops.products import batch_dot, dot
from kcore.ops.reduction import mean, sum_
from kcore.ops.shaping import reshape, shape_of
from kcore.ops.spec import Dims, Tensor, composite, spec_of
from kcore.ops.structural import cast


def _bias_spec(x: Any, bias: Any, data_format: str) -> Any:
    if bias.rank not in (1, x.rank - 1):
        raise ShapeError(
            f"bias_add expects a bias of rank 1 or {x.rank - 1} for a tensor of shape {x.shape}, "
            f"got a bias of shape {bias.shape}."
        )
    if data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"bias_add expects data_format 'channels_last' or 'channels_first', got {data_format!r}.")
    try:
        return x.with_shape(rules.broadcast_shapes(x.shape, _bias_shape(bias.shape, x.rank, data_format)))
    except ShapeError:
        at = 1 if data_format == "channels_first" and x.rank > 2 else x.rank - 1
        raise ShapeError(
            f"bias_add: a bias of shape {bias.shape} does not fit a tensor of shape {x.shape} "
            f"({data_format}, {x.shape[at]} channels)."
        ) from None


def _bias_shape(bias: Any, rank: int, data_format: str) -> tuple[Any, ...]:
    """The bias's shape as it is broadcast; one for each position is kept channels_last, and reshaped, as Keras 2 did."""
    full = (*(1,) * (rank - 1), bias[-1]) if len(bias) == 1 else (1, *bias)
    if data_format == "channels_last" or rank < 3:
        return full
    return (full[0], full[-1], *full[1:-1])


@composite(infer=_bias_spec)
def bias_add(x: Tensor, bias: Tensor, data_format: str = "channels_last") -> Any:
    """x plus a bias for each channel, or for each position and channel.

    Args:
        x: (batch, ..., channels), or (batch, channels, ...) for 'channels_first'.
        bias: (channels,), or a tensor of one rank less than x in channels_last order.
        data_format: 'channels_last' or 'channels_first'.

    Raises:
        ShapeError: a bias of another rank or size.
    """
    a, b = spec_of(x), spec_of(bias)
    if b.rank == 1 and (data_format == "channels_last" or a.rank < 3):
        return add(x, bias)
    return add(x, reshape(bias, _bias_shape(shape_of(bias), a.rank, data_format)))


def _dropout_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    level = float(arguments["level"])
    if not 0 <= level < 1:
        raise ArgumentError(f"dropout expects a level in [0, 1), the fraction that becomes zero; got {level}.")
    arguments["level"] = level
    noise = arguments["noise_shape"]
    if noise is not None and isinstance(noise, (list, tuple)):
        if len(noise) != specs["x"].rank:
            raise ShapeError(f"dropout expects a noise_shape of {specs['x'].rank} entries for shape {specs['x'].shape}, "
                             f"got {tuple(noise)}.")  # fmt: skip
        arguments["noise_shape"] = tuple(noise)


@composite(infer=rules.same("x"), random=True, to_float=True, normalize=_dropout_normalize)
def dropout(x: Tensor, level: float, noise_shape: Dims = None, seed: Any = None) -> Any:
    """x with a random fraction `level` of its elements set to zero, the others scaled by 1 / (1 - level).

    Args:
        x: tensor of any shape.
        level: fraction in [0, 1).
        noise_shape: shape of the random choice, broadcast to x's; None entries mean x's size. None: x's shape.
        seed: of the draws.
    
    >>> K.eval(K.dropout(K.constant([1., 2.]), 0.))
    array([1., 2.], dtype=float32)
    """
    if level == 0:
        return x
    spec, full = spec_of(x), shape_of(x)
    if noise_shape is None:
        noise_shape = full
    elif isinstance(noise_shape, tuple):
        noise_shape = tuple(n if m is None else m for m, n in zip(noise_shape, full, strict=True))
    draws = random_uniform(noise_shape, 0.0, 1.0, "float64" if spec.dtype == "float64" else "float32", seed)
    keep = cast(greater_equal(draws, level), spec.dtype)
    return multiply(multiply(x, 1 / (1 - level)), keep)


@composite(infer=rules.reduce_axes("x"), normalize=rules.normalize_axes, to_float=True)
def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance (biased) over axes.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.var(x, axis=0))
    array([1., 1.], dtype=float32)
    """
    return mean(square(subtract(x, mean(x, axis=axis, keepdims=True))), axis=axis, keepdims=keepdims)


@composite(infer=rules.reduce_axes("x"), normalize=rules.normalize_axes, to_float=True)
def std(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation (biased) over axes.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.
        keepdims: keep reduced axes with size 1.

    >>> x = K.constant([[1., 2.], [3., 4.]])
    >>> K.eval(K.std(x, axis=0))
    array([1., 1.], dtype=float32)
    """
    return sqrt(var(x, axis=axis, keepdims=keepdims))


@composite(infer=rules.same("x"), normalize=rules.normalize_axes, to_float=True)
def l2_normalize(x: Tensor, axis: Any = None) -> Any:
    """x divided by its Euclidean length along axes; lengths below 1e-6 count as 1e-6.

    Args:
        x: tensor of any shape.
        axis: an axis, a list of axes, or None for all.

    >>> K.eval(K.l2_normalize(K.constant([3., 4.])))
    array([0.6, 0.8], dtype=float32)
    """
    return multiply(x, rsqrt(maximum(sum_(square(x), axis=axis, keepdims=True), 1e-12)))


__all__ = [
    "batch_dot", "bias_add", "clip", "dot", "dropout", "elu", "hard_sigmoid", "l2_normalize", "log_softmax",
    "logsumexp", "relu", "selu", "sigmoid_crossentropy", "softmax", "softmax_crossentropy", "softsign",
    "sparse_softmax_crossentropy", "std", "var",
]  # fmt: skip
