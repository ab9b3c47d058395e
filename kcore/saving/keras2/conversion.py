"""Weights that other backends and old versions stored in another order, split or turned, as layers here have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from kcore.errors import ShapeError
from kcore.saving import hdf5
from kcore.saving.keras2 import keras1_weights, recurrent_weights

#: Backends whose convolution turned kernels by half a turn. (Their depthwise kernels were turned once more by Keras, so
#: that those are stored as everywhere.)
_FLIPS_KERNELS: Final = frozenset({"theano"})
_CONVOLUTIONS: Final = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D"})
_MODELS: Final = ("Model", "Sequential", "Network")

Arrays = list[np.ndarray]


def depends_on_layers(version: str | None, backend: str | None) -> bool:
    """Whether the order of stored values is another one for some layers: then they mean nothing without the model.

    >>> depends_on_layers("2.3.1", "numpy"), depends_on_layers("1.2.2", None)
    (False, True)
    """
    return str(version).split(".")[0] == "1" or backend in _FLIPS_KERNELS


def convert_weights(layer: Any, values: Sequence[np.ndarray], version: str | None = None, backend: str | None = None, *,
                    reshape: bool = False) -> Arrays:  # fmt: skip
    """The stored values of a layer in the order and shapes that the layer has here.

    Args:
        layer: the layer they are for (wrappers and nested models are followed).
        values: as stored.
        version: `keras_version` of the file; "1" where it says none, None for values of today.
        backend: name of the backend that wrote them, None where the file does not say.
        reshape: reshape kernels of convolutions that have the right size.

    Raises:
        ShapeError: a recurrent layer cannot have weights of those shapes, or kernels cannot be reshaped.
    """
    converted = [hdf5.in_memory(value) for value in values]
    if not converted:
        return converted
    old = bool(version) and str(version).split(".")[0] == "1"
    kind = type(layer).__name__

    def convert(inner: Any, part: Arrays) -> Arrays:
        return convert_weights(inner, part, version, backend)

    if kind == "Bidirectional":
        half = len(converted) // 2
        return [*convert(layer.forward_layer, converted[:half]), *convert(layer.backward_layer, converted[half:])]
    if kind == "TimeDistributed":
        return convert(layer.layer, converted)
    if kind in _MODELS and hasattr(layer, "layers"):
        return _nested(layer, converted, convert, old=old)
    if old:
        converted = keras1_weights.convert(layer, converted)
    if kind in _CONVOLUTIONS:
        converted = _convolution(layer, converted, flips=backend in _FLIPS_KERNELS, reshape=reshape)
    return recurrent_weights.convert(layer, converted)


def _nested(model: Any, values: Arrays, convert: Callable[[Any, Arrays], Arrays], *, old: bool) -> Arrays:
    """A nested model stores all trainable weights of its layers first, then all others."""
    converted: Arrays = []
    at = 0
    for trainable in (True, False):
        for layer in model.layers:
            own = {id(w) for w in layer.trainable_weights}
            expected = sum((id(w) in own) == trainable for w in layer.weights)
            if expected:
                count = keras1_weights.stored_count(layer, expected, values[at:]) if old else expected
                converted.extend(convert(layer, values[at : at + count]))
                at += count
    return converted + values[at:]


def _convolution(layer: Any, values: Arrays, *, flips: bool, reshape: bool) -> Arrays:
    kernels = 2 if type(layer).__name__ == "ConvLSTM2D" else 1  # of the input, and of the state
    if flips:
        values[:kernels] = [flip_kernel(kernel) for kernel in values[:kernels]]
    expected = tuple(layer.weights[0].shape)
    if values[0].shape == expected:
        return values
    if reshape:
        if values[0].size != int(np.prod(expected)):
            raise ShapeError(
                f"The kernel of layer {layer.name!r} has shape {expected}; {values[0].shape} in the file has another "
                "number of elements, and cannot be reshaped."
            )
        values[0] = values[0].reshape(expected)
    elif values[0].ndim == 4:
        values[:kernels] = [np.transpose(kernel, (3, 2, 0, 1)) for kernel in values[:kernels]]
    return values


def flip_kernel(kernel: np.ndarray) -> np.ndarray:
    """A convolution's kernel as a correlation's: reversed along its spatial axes.

    >>> flip_kernel(np.arange(3.0).reshape(3, 1, 1)).ravel()
    array([2., 1., 0.])
    """
    spatial = kernel.ndim - 2
    return np.ascontiguousarray(kernel[(slice(None, None, -1),) * spatial])
