"""Composites that layers are made of: bias, dropout, moments; and the names of the other neural ops in one place."""

from __future__ import annotations

from typing import Any

from kcore.errors import ArgumentError, ShapeError
from kcore.ops import rules
from kcore.ops.activation import clip, elu, hard_sigmoid, log_softmax, logsumexp, relu, selu, softmax, softsign
from kcore.ops.cases import EVERYTHING, FLOATS, AxesOf, Cases, Distinct, Draw, Real, Reduction, Unary
from kcore.ops.creation import random_uniform
from kcore.ops.crossentropy import sigmoid_crossentropy, softmax_crossentropy, sparse_softmax_crossentropy
from kcore.ops.dtypes import HALVES
from kcore.ops.edges import Edge, Wrong
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
    """The bias's shape as it is broadcast. One for each position is channels_last and reshaped, as Keras 2 did."""
    full = (*(1,) * (rank - 1), bias[-1]) if len(bias) == 1 else (1, *bias)
    if data_format == "channels_last" or rank < 3:
        return full
    return (full[0], full[-1], *full[1:-1])


def _biased(d: Draw) -> Any:
    dtype, data_format, channels = d.dtype(FLOATS), d.choice(["channels_last", "channels_first"]), d.integer(1, 3)
    spatial = d.shape(0, 3, 3)
    last = data_format == "channels_last" or not spatial
    shape = (2, *spatial, channels) if last else (2, channels, *spatial)
    bias = d.choice([(channels,), (*spatial, channels)])
    return {"x": d.array(shape, dtype, Real()), "bias": d.array(bias, dtype, Real()), "data_format": data_format}


_UNBIASED = (
    Wrong(ShapeError, x=(2, 3), bias=(4,)), Wrong(ShapeError, x=(2, 3, 4), bias=(2, 2, 3, 4)),
    Wrong(ShapeError, x=(2, 3, 4), bias=(4,), data_format="channels_first"),
    Wrong(ArgumentError, x=(2, 3), bias=(3,), data_format="NHWC"),
)  # fmt: skip


@composite(infer=_bias_spec, cases=Cases(_biased, edges=EVERYTHING, errors=_UNBIASED))
def bias_add(x: Tensor, bias: Tensor, data_format: str = "channels_last") -> Any:
    """x plus a bias for each channel, or for each position and channel.

    Args:
        x: (batch, ..., channels), or (batch, channels, ...) for 'channels_first'.
        bias: (channels,), or a tensor of one rank less than x in channels_last order.
        data_format: 'channels_last' or 'channels_first'.

    Raises:
        ShapeError: a bias of another rank or size.

    >>> bias_add(np.zeros((1, 2, 1)), np.array([1., 2.]), "channels_first").ravel()
    array([1., 2.])
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
            raise ShapeError(f"dropout expects a noise_shape of {specs['x'].rank} entries for shape "
                             f"{specs['x'].shape}, got {tuple(noise)}.")  # fmt: skip
        arguments["noise_shape"] = tuple(noise)


def _dropped(d: Draw) -> Any:
    x = d.array(d.shape(1), d.dtype(FLOATS), Real())
    noise = d.choice([None, x.shape, (None, *(1,) * (x.ndim - 1))])
    return {"x": x, "level": d.choice([0.5, 0.0, 0.9]), "noise_shape": noise, "seed": 7}


_DROPPED = Cases(_dropped, smooth=False, errors=(
    Wrong(ArgumentError, x=(2, 3), level=1.5), Wrong(ArgumentError, x=(2, 3), level=-0.5),
    Wrong(ShapeError, x=(2, 3), level=0.5, noise_shape=(2,)),
))  # fmt: skip


@composite(
    infer=rules.same("x"), random=True, cases=_DROPPED, to_float=True, normalize=_dropout_normalize
)
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


@composite(infer=rules.reduce_axes("x"), normalize=rules.normalize_axes, to_float=True,
           cases=Reduction(edges=Edge(large=False)))  # fmt: skip
def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance (biased) over `axis`.

    Args:
        x: tensor of any shape; integers and bools become floatx. Where squares overflow, the result is undefined.
        axis: an int, a list of ints, or None for all axes.
        keepdims: whether the reduced axes stay, with size 1.

    >>> var(np.array([[1., 3.], [2., 2.]]), axis=1)
    array([1., 0.])
    """
    return mean(square(subtract(x, mean(x, axis=axis, keepdims=True))), axis=axis, keepdims=keepdims)


def _spread(d: Draw) -> Any:
    """Reductions over at least two different elements: where the deviation is 0, its gradient is not finite."""
    x = d.array((*d.shape(0, 2), d.integer(2, 4)), d.dtype(FLOATS), Distinct())
    return {"x": x, "axis": d.choice([-1, None, [0, x.ndim - 1]]), "keepdims": d.boolean()}


@composite(infer=rules.reduce_axes("x"), normalize=rules.normalize_axes, to_float=True, cases=Cases(_spread))
def std(x: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation (biased) over `axis`; its gradient is not finite where it is 0.

    Args:
        x: tensor of any shape; integers and bools become floatx.
        axis: an int, a list of ints, or None for all axes.
        keepdims: whether the reduced axes stay, with size 1.

    >>> std(np.array([[1., 3.], [2., 2.]]), axis=1)
    array([1., 0.])
    """
    return sqrt(var(x, axis=axis, keepdims=keepdims))


@composite(infer=rules.same("x"), normalize=rules.normalize_axes, to_float=True,
           cases=Unary(smooth=Real(0.1, 4), axis=AxesOf()))  # fmt: skip
def l2_normalize(x: Tensor, axis: Any = None) -> Any:
    """x divided by its Euclidean length along `axis`; lengths below 1e-6 count as 1e-6.

    Args:
        x: tensor of any shape.
        axis: an int, a list of ints, or None for all axes.

    >>> l2_normalize(np.array([3., 4.]))
    array([0.6, 0.8])
    """
    dtype = spec_of(x).dtype
    if dtype in HALVES:  # in which the least length is 0, and squares overflow early
        return cast(l2_normalize(cast(x, "float32"), axis), dtype)
    return multiply(x, rsqrt(maximum(sum_(square(x), axis=axis, keepdims=True), 1e-12)))


__all__ = [
    "batch_dot", "bias_add", "clip", "dot", "dropout", "elu", "hard_sigmoid", "l2_normalize", "log_softmax",
    "logsumexp", "relu", "selu", "sigmoid_crossentropy", "softmax", "softmax_crossentropy", "softsign",
    "sparse_softmax_crossentropy", "std", "var",
]  # fmt: skip
