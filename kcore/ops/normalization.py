"""Batch normalisation: with a batch's own moments (training), and with given ones (inference)."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Wrong
from kcore.ops.elementwise import add, divide, multiply, rsqrt, square, subtract
from kcore.ops.reduction import mean as mean_of
from kcore.ops.reduction import sum_
from kcore.ops.shaping import count, reshape
from kcore.ops.spec import MaybeTensor, Tensor, composite, spec_of
from kcore.ops.structural import cast


def _batch_norm_spec(x: TensorSpec, gamma: Any, beta: Any, axis: int, epsilon: float) -> tuple[TensorSpec, ...]:
    channels = x.shape[axis]
    for name, p in (("gamma", gamma), ("beta", beta)):
        if p is not None and (p.rank != 1 or (channels is not None and p.shape[0] not in (None, channels))):
            raise ShapeError(
                f"batch_norm expects {name} of shape ({channels},), one for each entry of axis {axis} of a tensor of "
                f"shape {x.shape}; got shape {p.shape}."
            )
    moments = TensorSpec((channels,), x.dtype)
    return x, moments, moments


def _axis_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    rules.normalize_axis(arguments, specs)
    arguments["epsilon"] = float(arguments["epsilon"])


def _others(rank: int, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(rank) if i != axis)


def _along(p: Any, rank: int, axis: int) -> Any:
    """A vector shaped to be broadcast along `axis`."""
    return p if axis == rank - 1 else reshape(p, (*(1,) * axis, -1, *(1,) * (rank - axis - 1)))


def _np_batch_norm(x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    x = np.asarray(x)
    others = _others(x.ndim, axis % x.ndim)
    wide = np.float32 if x.dtype == np.float16 else x.dtype
    mean = x.mean(axis=others, keepdims=True, dtype=wide)
    centred = x - mean
    variance = np.square(centred).mean(axis=others, keepdims=True, dtype=wide)
    scale = 1 / np.sqrt(variance + _scalar(epsilon, variance))
    y = centred * (scale if gamma is None else scale * np.reshape(gamma, scale.shape))
    y = y if beta is None else y + np.reshape(beta, scale.shape)
    return y.astype(x.dtype), mean.ravel().astype(x.dtype), variance.ravel().astype(x.dtype)


def _scalar(value: float, like: np.ndarray) -> Any:
    """The number in the array's dtype."""
    return like.dtype.type(value)


def _batch_norm_vjp(g: Any, out: Any, x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Any:
    gy, g_mean, g_variance = g
    _, mean, variance = out
    rank, others = x.ndim, _others(x.ndim, axis)
    n = cast(count(x, others), x.dtype)
    inverse = _along(rsqrt(add(variance, epsilon)), rank, axis)
    centred = subtract(x, _along(mean, rank, axis))
    dx: Any = None
    d_gamma = d_beta = None
    if gy is not None:
        normal = multiply(centred, inverse)
        d_beta, d_gamma = sum_(gy, axis=others), sum_(multiply(gy, normal), axis=others)
        mean_part = add(_along(d_beta, rank, axis), multiply(normal, _along(d_gamma, rank, axis)))
        scale = inverse if gamma is None else multiply(inverse, _along(gamma, rank, axis))
        dx = multiply(scale, subtract(gy, divide(mean_part, n)))
    if g_mean is not None:
        part = divide(_along(g_mean, rank, axis), n)
        dx = add(multiply(centred, 0), part) if dx is None else add(dx, part)
    if g_variance is not None:
        part = multiply(centred, divide(multiply(_along(g_variance, rank, axis), 2), n))
        dx = part if dx is None else add(dx, part)
    return dx, None if gamma is None else d_gamma, None if beta is None else d_beta


def _channels(d: Draw) -> Any:
    x = d.array(d.shape(2, 4), d.dtype(FLOATS), Real())
    axis = d.integer(-x.ndim, x.ndim - 1)
    return x, axis, (x.shape[axis],)


def _maybe(d: Draw, shape: Any, dtype: Any) -> Any:
    return d.array(shape, str(dtype), Real(0.5, 2)) if d.boolean() else None


def _batches(d: Draw) -> Any:
    x, axis, size = _channels(d)
    gamma, beta = _maybe(d, size, x.dtype), _maybe(d, size, x.dtype)
    return {"x": x, "gamma": gamma, "beta": beta, "axis": axis, "epsilon": d.choice([1e-3, 0.1])}


_MISFITS = (
    Wrong(ShapeError, x=(2, 3), gamma=(4,), beta=None, axis=1, epsilon=1e-3),
    Wrong(ShapeError, x=(2, 3), gamma=None, beta=None, axis=2, epsilon=1e-3),
    Wrong(ShapeError, x=(2, 3), mean=(4,), var=(3,), beta=None, gamma=None),
    Wrong(ShapeError, x=(2, 3), mean=(3,), var=(3,), beta=(5,), gamma=None),
)


@composite(infer=_batch_norm_spec, normalize=_axis_normalize, to_float=True, multiple=True, reference=_np_batch_norm,
           vjp=_batch_norm_vjp, cases=Cases(_batches, errors=_MISFITS[:2]))  # fmt: skip
def batch_norm(x: Tensor, gamma: MaybeTensor, beta: MaybeTensor, axis: int, epsilon: float) -> Any:
    """x normalised by the mean and variance of the batch, over all axes but one.

    Args:
        x: tensor of any shape.
        gamma: scale of shape (channels,), or None.
        beta: offset of shape (channels,), or None.
        axis: the axis of the channels.
        epsilon: added to the variance.

    Returns:
        `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, mean, and (biased) variance, both of shape (channels,).

    >>> y, mean, variance = batch_norm(np.array([[1.], [3.]]), None, None, axis=1, epsilon=0.)
    >>> y.ravel(), mean, variance
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    rank = spec_of(x).rank
    others = _others(rank, axis)
    mean = mean_of(x, axis=others)
    centred = subtract(x, _along(mean, rank, axis))
    variance = mean_of(square(centred), axis=others)
    scale = rsqrt(add(variance, epsilon))
    if gamma is not None:
        scale = multiply(scale, gamma)
    y = multiply(centred, _along(scale, rank, axis))
    return [y if beta is None else add(y, _along(beta, rank, axis)), mean, variance]


def _given(p: Any, rank: int, axis: int) -> Any:
    """A parameter ready to be broadcast: vectors go along `axis`, other shapes stay as they are."""
    spec = spec_of(p)
    if spec.rank != 1 or rank == 1 or axis == rank - 1:
        return p
    return _along(p, rank, axis)


def _inference_spec(x: TensorSpec, mean: TensorSpec, var: TensorSpec, beta: Any, gamma: Any, axis: int,
                    epsilon: float) -> TensorSpec:  # fmt: skip
    for name, p in (("mean", mean), ("var", var), ("beta", beta), ("gamma", gamma)):
        if p is None:
            continue
        shape = p.shape if p.rank != 1 else (*(1,) * axis, p.shape[0], *(1,) * (x.rank - axis - 1))
        try:
            rules.broadcast_shapes(x.shape, shape)
        except ShapeError:
            raise ShapeError(
                f"batch_normalization expects {name} as a vector for axis {axis} of a tensor of shape {x.shape}, or a "
                f"tensor that broadcasts to that shape; got shape {p.shape}."
            ) from None
    return x


def _moments(d: Draw) -> Any:
    x, axis, size = _channels(d)
    dtype = str(x.dtype)
    full = tuple(n if i == axis % x.ndim else 1 for i, n in enumerate(x.shape))
    shape = d.choice([size, full])
    return {"x": x, "mean": d.array(shape, dtype, Real()), "var": d.array(shape, dtype, Real(0.1, 2)),
            "beta": _maybe(d, shape, dtype), "gamma": _maybe(d, shape, dtype), "axis": axis,
            "epsilon": 1e-3}  # fmt: skip


@composite(infer=_inference_spec, cases=Cases(_moments, errors=_MISFITS[2:]), normalize=_axis_normalize, to_float=True)
def batch_normalization(x: Tensor, mean: Tensor, var: Tensor, beta: MaybeTensor, gamma: MaybeTensor, axis: int = -1,
                        epsilon: float = 1e-3) -> Any:  # fmt: skip
    """x normalised by given moments: `(x - mean) / sqrt(var + epsilon) * gamma + beta`.

    Args:
        x: tensor of any shape.
        mean, var, beta, gamma: vectors along `axis`, or tensors that broadcast to x's shape; beta and gamma may be
            None.
        axis: the axis of the channels.
        epsilon: added to the variance.

    Raises:
        ShapeError: a parameter that does not broadcast to x's shape.

    >>> batch_normalization(np.array([[1.], [3.]]), np.array([2.]), np.array([1.]), None, None, epsilon=0.)
    array([[-1.], [ 1.]])
    """
    spec = spec_of(x)
    mean, var, beta, gamma = (p if p is None else _given(p, spec.rank, axis) for p in (mean, var, beta, gamma))
    scale = rsqrt(add(var, epsilon))
    scale = scale if gamma is None else multiply(scale, gamma)
    y = multiply(subtract(x, mean), scale)
    return y if beta is None else add(y, beta)


__all__ = ["batch_norm", "batch_normalization"]
