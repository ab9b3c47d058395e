"""Weights as Keras 1 stored them: kernels in the order of its backends, gates of recurrent layers one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

#: Recurrent layers: positions of the gates (a kernel, a recurrent kernel and a bias each) in the order they have today.
_GATES: Final = {"LSTM": (0, 2, 1, 3), "ConvLSTM2D": (0, 2, 1, 3), "GRU": (0, 1, 2)}


def convert(layer: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    """The values of a layer as Keras 2 would have stored them. What is in that order already stays as it is."""
    kind = type(layer).__name__
    if kind in _GATES and len(values) == 3 * len(_GATES[kind]):
        if kind == "ConvLSTM2D" and layer.data_format == "channels_first":  # (filters, channels, rows, cols)
            values = [np.transpose(v, (2, 3, 1, 0)) if v.ndim == 4 else v for v in values]
        return _joined_gates(_GATES[kind], values)
    kernel = _kernel(kind, layer, values)
    if kernel is not None:
        return [kernel, *values[1:]]
    if kind == "SeparableConv2D" and layer.data_format == "channels_first":
        # (multiplier, channels, rows, cols) and (filters, channels, 1, 1)
        return [np.transpose(kernel, (2, 3, 1, 0)) for kernel in values[:2]] + values[2:]
    if kind == "Highway" and [v.ndim for v in values] == [2, 1, 2, 1]:  # before Keras 1.1
        return [values[0], values[2], values[1], values[3]]
    return values


def stored_count(layer: Any, expected: int, values: Sequence[np.ndarray]) -> int:
    """How many arrays a file has for weights that are `expected` today; `values` begin with those of the layer."""
    kind = type(layer).__name__
    if kind == "Bidirectional":
        return 2 * stored_count(layer.forward_layer, expected // 2, values)
    if kind == "TimeDistributed":
        return stored_count(layer.layer, expected, values)
    if kind in _GATES and expected == 3:
        size = layer.filters if kind == "ConvLSTM2D" else layer.units
        split = len(values) > 2 and values[2].shape == (size,)  # a bias of one gate
        return 3 * len(_GATES[kind]) if split else expected
    return expected


def _joined_gates(order: Sequence[int], values: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate([values[3 * gate + part] for gate in order], axis=-1) for part in range(3)]


def _kernel(kind: str, layer: Any, values: Sequence[np.ndarray]) -> np.ndarray | None:
    """The kernel of a convolution; None for other layers."""
    if kind not in ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"):
        return None
    kernel, first = values[0], layer.data_format == "channels_first"
    if kind == "Conv1D":
        return _kernel_1d(layer, kernel)
    if kind == "Conv2DTranspose":
        return np.transpose(kernel, (2, 3, 0, 1) if first else (0, 1, 3, 2))
    if first:  # (filters, channels, *kernel_size)
        return np.transpose(kernel, (*range(2, kernel.ndim), 1, 0))
    return kernel


def _kernel_1d(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """Kernels of Conv1D had a second spatial axis of size 1; before Keras 1.1, the filters came first."""
    if kernel.ndim != 4:
        return kernel
    size = layer.kernel_size[0]
    if kernel.shape[:2] != (size, 1) or kernel.shape[3] != layer.filters:
        kernel = np.transpose(kernel, (2, 3, 1, 0))
    return kernel[:, 0]
