"""Normalisation of each sample by its own moments: over whole axes, or over groups of channels."""

from __future__ import annotations

from typing import Any

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import FLOATS, Cases, Distinct, Draw, Real
from kcore.ops.edges import Wrong
from kcore.ops.elementwise import add, multiply, rsqrt, square, subtract
from kcore.ops.reduction import mean as mean_of
from kcore.ops.shaping import reshape, shape_of
from kcore.ops.spec import MaybeTensor, Tensor, composite, spec_of
from kcore.ops.structural import cast

_HALVES = ("float16", "bfloat16")


def _normalized(x: Any, axes: tuple[int, ...], epsilon: float, gamma: Any, beta: Any) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with parameters that broadcast; halves in float32."""
    dtype = spec_of(x).dtype
    if dtype in _HALVES:
        x, gamma, beta = (v if v is None else cast(v, "float32") for v in (x, gamma, beta))
    centred = subtract(x, mean_of(x, axis=axes, keepdims=True))
    scale = rsqrt(add(mean_of(square(centred), axis=axes, keepdims=True), epsilon))
    y = multiply(centred, scale if gamma is None else multiply(scale, gamma))
    y = y if beta is None else add(y, beta)
    return cast(y, dtype) if dtype in _HALVES else y


def _normalize_layer(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    axis = arguments["axis"]
    axes = [axis] if isinstance(axis, int) else axis
    rank = specs["x"].rank
    arguments["axis"] = tuple(sorted({rules.canonical_axis(a, rank, "layer_norm") for a in axes}))
    arguments["epsilon"] = float(arguments["epsilon"])


def _layer_spec(x: TensorSpec, gamma: Any, beta: Any, axis: tuple[int, ...], epsilon: float) -> TensorSpec:
    expected = tuple(x.shape[a] for a in axis)
    _check_parameters("layer_norm", x, expected, gamma, beta)
    return x


def _check_parameters(op: str, x: TensorSpec, expected: tuple[Any, ...], gamma: Any, beta: Any) -> None:
    for name, p in (("gamma", gamma), ("beta", beta)):
        if p is not None and (
            p.rank != len(expected)
            or any(a is not None and b is not None and a != b for a, b in zip(p.shape, expected, strict=True))
        ):
            raise ShapeError(
                f"{op} expects {name} of shape {expected} for a tensor of shape {x.shape}; got shape {p.shape}."
            )


def _parameter(d: Draw, shape: tuple[int, ...], dtype: str) -> Any:
    return d.array(shape, dtype, Real(0.5, 2)) if d.boolean() else None


def _layers(d: Draw) -> Any:
    dtype = d.dtype(FLOATS)
    x = d.array((*d.shape(1, 2), d.integer(2, 4)), dtype, Distinct())
    axis = d.choice([-1, [x.ndim - 1], [x.ndim - 2, -1], [0, x.ndim - 1]])
    shape = tuple(x.shape[a] for a in sorted({a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)}))
    return {"x": x, "gamma": _parameter(d, shape, dtype), "beta": _parameter(d, shape, dtype), "axis": axis,
            "epsilon": d.choice([1e-3, 0.1])}  # fmt: skip


@composite(infer=_layer_spec, normalize=_normalize_layer, to_float=True, cases=Cases(_layers, errors=[
    Wrong(ShapeError, x=(2, 3), gamma=(4,), beta=None), Wrong(ShapeError, x=(2, 3), gamma=None, beta=(2, 3)),
    Wrong(ShapeError, x=(2, 3), gamma=None, beta=None, axis=2),
]))  # fmt: skip
def layer_norm(x: Tensor, gamma: MaybeTensor, beta: MaybeTensor, axis: Any = -1, epsilon: float = 1e-3) -> Any:
    """x normalised by its mean and variance over some axes, separately at each position of the others.

    Args:
        x: tensor of rank 1 or more.
        gamma: scale, of the sizes of the axes in their order; or None.
        beta: offset, likewise; or None.
        axis: an int or several.
        epsilon: added to the variance.

    Returns:
        `(x - mean) / sqrt(variance + epsilon) * gamma + beta` (Ba et al. 2016).

    Raises:
        ShapeError: an axis outside x, or a parameter of another shape.

    >>> layer_norm(np.array([[1., 3.], [0., 8.]]), None, None, epsilon=0.)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    sizes = shape_of(x)
    full = tuple(sizes[i] if i in axis else 1 for i in range(spec_of(x).rank))
    gamma, beta = (p if p is None else reshape(p, full) for p in (gamma, beta))
    return _normalized(x, axis, epsilon, gamma, beta)


def _normalize_group(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    x, groups = specs["x"], arguments["groups"]
    axis = arguments["axis"] = rules.canonical_axis(arguments["axis"], x.rank, "group_norm")
    arguments["epsilon"] = float(arguments["epsilon"])
    channels = x.shape[axis]
    if axis == 0:
        raise ArgumentError("group_norm expects the channels on an axis behind the batch, got axis 0.")
    if groups < 1 or (channels is not None and channels % groups):
        raise ShapeError(f"group_norm: {channels} channels (axis {axis} of shape {x.shape}) are not {groups} groups of "
                         "one size.")  # fmt: skip


def _group_spec(x: TensorSpec, gamma: Any, beta: Any, groups: int, axis: int, epsilon: float) -> TensorSpec:
    _check_parameters("group_norm", x, (x.shape[axis],), gamma, beta)
    return x


def _groups(d: Draw) -> Any:
    dtype, groups, per_group = d.dtype(FLOATS), d.choice([2, 1, 3]), d.choice([2, 1])
    rest, channels = d.shape(1, 2, 3), groups * per_group
    axis = d.integer(1, len(rest) + 1)
    x = d.array((2, *rest[: axis - 1], channels, *rest[axis - 1 :]), dtype, Distinct())
    return {"x": x, "gamma": _parameter(d, (channels,), dtype), "beta": _parameter(d, (channels,), dtype),
            "groups": groups, "axis": d.choice([axis, axis - x.ndim]), "epsilon": 1e-3}  # fmt: skip


@composite(infer=_group_spec, normalize=_normalize_group, to_float=True, cases=Cases(_groups, errors=[
    Wrong(ShapeError, x=(2, 4), gamma=None, beta=None, groups=3),
    Wrong(ShapeError, x=(2, 4), gamma=(2,), beta=None, groups=2),
    Wrong(ArgumentError, x=(2, 4), gamma=None, beta=None, groups=2, axis=0),
]))  # fmt: skip
def group_norm(x: Tensor, gamma: MaybeTensor, beta: MaybeTensor, groups: int, axis: int = -1,
               epsilon: float = 1e-3) -> Any:  # fmt: skip
    """x normalised in each sample by the moments of each group of neighbouring channels.

    Args:
        x: (batch, ...) of rank 2 or more.
        gamma: scale of shape (channels,), or None.
        beta: offset of shape (channels,), or None.
        groups: how many; 1 normalises over all channels, as many as channels over each alone.
        axis: of the channels.
        epsilon: added to the variance.

    Returns:
        `(x - mean) / sqrt(variance + epsilon) * gamma + beta` (Wu and He 2018).

    Raises:
        ShapeError: a number of channels that is no multiple of the groups.

    >>> group_norm(np.array([[1., 3., 0., 8.]]), None, None, groups=2, epsilon=0.)
    array([[-1.,  1., -1.,  1.]])
    """
    sizes, rank = shape_of(x), spec_of(x).rank
    split = (*sizes[:axis], groups, -1, *sizes[axis + 1 :])
    full = tuple({axis: groups, axis + 1: -1}.get(i, 1) for i in range(rank + 1))
    gamma, beta = (p if p is None else reshape(p, full) for p in (gamma, beta))
    others = tuple(i for i in range(1, rank + 1) if i != axis)
    return reshape(_normalized(reshape(x, split), others, epsilon, gamma, beta), sizes)


__all__ = ["group_norm", "layer_norm"]
