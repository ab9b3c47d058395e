"""Resizing of images and volumes by whole factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import elementwise, shaping
from kcore.ops.cases import FLOATS, Cases, Draw, Real
from kcore.ops.edges import Wrong
from kcore.ops.spec import Tensor, composite

INTERPOLATIONS = ("nearest", "bilinear")


def _axes(factors: tuple[int, ...], data_format: str) -> range:
    first = 2 if data_format == "channels_first" else 1
    return range(first, first + len(factors))


def _resize_spec(x: TensorSpec, factors: tuple[int, ...], data_format: str, interpolation: str) -> TensorSpec:
    if x.rank != len(factors) + 2:
        raise ShapeError(f"resize by {len(factors)} factors expects a tensor of rank {len(factors) + 2}, got shape "
                         f"{x.shape}.")  # fmt: skip
    sizes = list(x.shape)
    for axis, factor in zip(_axes(factors, data_format), factors, strict=True):
        n = sizes[axis]
        sizes[axis] = None if n is None else n * factor
    return x.with_shape(sizes)


def _resize_normalize(arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    if arguments["interpolation"] not in INTERPOLATIONS:
        raise ArgumentError(f"interpolation: expected 'nearest' or 'bilinear', got {arguments['interpolation']!r}.")
    if arguments["data_format"] not in ("channels_last", "channels_first"):
        raise ArgumentError(
            f"resize expects data_format 'channels_last' or 'channels_first', got {arguments['data_format']!r}."
        )
    arguments["factors"] = tuple(int(n) for n in arguments["factors"])


def _resize_reference(x: Any, factors: tuple[int, ...], data_format: str, interpolation: str) -> Any:
    for axis, factor in reversed(list(zip(_axes(factors, data_format), factors, strict=True))):
        n = x.shape[axis]
        at = np.arange(n * factor) / factor
        low = at.astype(int)
        part = np.take(x, low, axis)
        if interpolation == "bilinear":
            weight = (at - low).astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            part = part + (np.take(x, np.minimum(low + 1, n - 1), axis) - part) * weight
        x = part
    return x


def _images(d: Draw) -> Any:
    rank = d.integer(1, 3)
    x = d.array((2, *(d.integer(1, 3) for _ in range(rank + 1))), d.dtype(FLOATS), Real())
    return {
        "x": x, "factors": tuple(d.integer(1, 3) for _ in range(rank)),
        "data_format": d.choice(["channels_last", "channels_first"]), "interpolation": d.choice(INTERPOLATIONS),
    }  # fmt: skip


_REFUSED = (Wrong(ArgumentError, x=(1, 2, 2, 1), factors=(2, 2), interpolation="cubic"),
            Wrong(ArgumentError, x=(1, 2, 2, 1), factors=(2, 2), data_format="NHWC"),
            Wrong(ShapeError, x=(1, 2, 1), factors=(2, 2)))  # fmt: skip


@composite(infer=_resize_spec, cases=Cases(_images, errors=_REFUSED), normalize=_resize_normalize,
           reference=_resize_reference)  # fmt: skip
def resize(x: Tensor, factors: Any, data_format: str = "channels_last", interpolation: str = "nearest") -> Any:
    """Spatial axes made larger by whole factors.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) for 'channels_first'.
        factors: a whole number for each spatial axis.
        data_format: 'channels_last' or 'channels_first'.
        interpolation: 'nearest', or 'bilinear', which reads position i of the result at i / factor of x, and repeats
            the last element beyond the end.

    >>> resize(np.array([1., 2.]).reshape(1, 2, 1), (2,), interpolation="bilinear").ravel()
    array([1. , 1.5, 2. , 2. ])
    """
    for axis, factor in reversed(list(zip(_axes(factors, data_format), factors, strict=True))):
        if interpolation == "bilinear":
            x = _interpolate(x, factor, axis)
        elif factor != 1:
            x = shaping.repeat_elements(x, factor, axis)
    return x


def _interpolate(x: Any, factor: int, axis: int) -> Any:
    lead = [slice(None)] * axis
    following = shaping.concatenate(
        [shaping.strided_slice(x, (*lead, slice(1, None))), shaping.strided_slice(x, (*lead, slice(-1, None)))], axis
    )
    step = elementwise.subtract(following, x)
    phases = [elementwise.add(x, elementwise.multiply(step, i / factor)) if i else x for i in range(factor)]
    sizes = list(shaping.shape_of(x))
    sizes[axis] = sizes[axis] * factor
    return shaping.reshape(shaping.stack(phases, axis + 1), tuple(sizes))
