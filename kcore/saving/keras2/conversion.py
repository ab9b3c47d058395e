"""Conversions of weights that other backends and old versions wrote in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: Whether a backend's convolution is a correlation (kernels are stored as they are applied) or flips them.
_FLIPS_KERNELS = {"theano": True}
_CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D"})


def convert_weights(layer: Any, values: Sequence[np.ndarray], version: str, backend: str | None, *,
                    reshape: bool = False) -> list[np.ndarray]:  # fmt: skip
    """The stored values of a layer in the order and shapes that the layer has here.

    Args:
        layer: the layer they are for (wrappers and nested models are followed).
        version: `keras_version` of the file; "1" where it says none.
        backend: name of the backend that wrote them, None where the file does not say.
        reshape: reshape values of the right size to the layer's shapes.
    """
    converted = list(values)
    kind = type(layer).__name__
    if kind == "Bidirectional":
        half = len(converted) // 2
        return [
            *convert_weights(layer.forward_layer, converted[:half], version, backend, reshape=reshape),
            *convert_weights(layer.backward_layer, converted[half:], version, backend, reshape=reshape),
        ]
    if kind == "TimeDistributed":
        return convert_weights(layer.layer, converted, version, backend, reshape=reshape)
    if hasattr(layer, "layers") and kind in ("Model", "Sequential", "Network"):
        return _nested(
            layer, converted, lambda inner, part: convert_weights(inner, part, version, backend, reshape=reshape)
        )
    if kind in _CONVOLUTIONS and converted:
        converted = _convolution(layer, converted, flips=bool(backend and _FLIPS_KERNELS.get(backend)), reshape=reshape)
    return converted


def _nested(
    model: Any, values: list[np.ndarray], convert: Callable[[Any, list[np.ndarray]], list[np.ndarray]]
) -> list[np.ndarray]:
    """A nested model stores all trainable weights of its layers first, then all others."""
    converted: list[np.ndarray] = []
    at = 0
    for which in ("trainable_weights", "non_trainable_weights"):
        for layer in model.layers:
            count = len(getattr(layer, which))
            if count:
                converted.extend(convert(layer, values[at : at + count]))
                at += count
    return converted + values[at:]


def _convolution(layer: Any, values: list[np.ndarray], *, flips: bool, reshape: bool) -> list[np.ndarray]:
    expected = tuple(layer.weights[0].shape)
    if flips:
        values[0] = flip_kernel(values[0])
        if type(layer).__name__ == "ConvLSTM2D":
            values[1] = flip_kernel(values[1])
    if reshape and values[0].size == int(np.prod(expected)):
        values[0] = values[0].reshape(expected)
    elif values[0].shape != expected and values[0].ndim == 4:
        values[0] = np.transpose(values[0], (3, 2, 0, 1))
        if type(layer).__name__ == "ConvLSTM2D":
            values[1] = np.transpose(values[1], (3, 2, 0, 1))
    return values


def flip_kernel(kernel: np.ndarray) -> np.ndarray:
    """A convolution's kernel as a correlation's: reversed along its spatial axes.

    >>> flip_kernel(np.arange(3.0).reshape(3, 1, 1)).ravel()
    array([2., 1., 0.])
    """
    spatial = kernel.ndim - 2
    return np.ascontiguousarray(kernel[(slice(None, None, -1),) * spatial])
