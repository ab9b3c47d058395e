"""Weights of LSTM and GRU in the layout of cuDNN, and back: kernels of each gate transposed, two biases for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from kcore.errors import ShapeError

_GATES: Final = {"LSTM": 4, "CuDNNLSTM": 4, "GRU": 3, "CuDNNGRU": 3}


def convert(layer: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias as the layer has them; whatever else there is stays as it is.

    The layout of the values is told by the shape of their bias; without one, nothing is converted.

    Raises:
        ShapeError: a bias of no known layout, or a GRU whose reset gate acts elsewhere, which no conversion mends.
    """
    kind = type(layer).__name__
    if kind not in _GATES or len(values) != 3 or values[1].ndim != 2:
        return values
    gates = _GATES[kind]
    stored = _layout(gates, values)
    if kind == "GRU" and not layer.reset_after:
        wanted = "GRU(reset_after=False)"
    else:
        wanted = "GRU(reset_after=True)" if kind == "GRU" else kind
    if stored == wanted:
        return values
    if "GRU(reset_after=False)" in (stored, wanted):
        raise ShapeError(
            f"The file's weights for layer {layer.name!r} are those of {stored}, which computes something else than "
            f"{wanted}: no conversion exists. Make the layer as {stored}."
        )
    return _from_cudnn(gates, values) if stored.startswith("CuDNN") else _to_cudnn(gates, values)


def _layout(gates: int, values: list[np.ndarray]) -> str:
    units, shape = values[1].shape[0], values[2].shape
    layouts: dict[tuple[int, ...], str] = {(2 * units * gates,): "CuDNNLSTM", (units * gates,): "LSTM"}
    if gates == 3:
        layouts = {
            (2 * units * gates,): "CuDNNGRU",
            (2, units * gates): "GRU(reset_after=True)",
            (units * gates,): "GRU(reset_after=False)",
        }
    if shape not in layouts:
        raise ShapeError(f"Invalid bias shape: {shape}; with {units} units it is one of {sorted(map(str, layouts))}.")
    return layouts[shape]


def _from_cudnn(gates: int, values: list[np.ndarray]) -> list[np.ndarray]:
    kernel = _each(gates, values[0], lambda k: k.T.reshape(k.shape, order="F"))
    # The two biases of an LSTM are added up; those of a GRU act at different places.
    bias = np.sum(np.split(values[2], 2), axis=0) if gates == 4 else values[2].reshape(2, -1)
    return [kernel, _each(gates, values[1], np.transpose), bias]


def _to_cudnn(gates: int, values: list[np.ndarray]) -> list[np.ndarray]:
    kernel = _each(gates, values[0], lambda k: k.T.reshape(k.shape))
    # Only their sum counts.
    bias = np.tile(0.5 * values[2], 2).astype(values[2].dtype) if gates == 4 else values[2].reshape(-1)
    return [kernel, _each(gates, values[1], np.transpose), bias]


def _each(gates: int, kernels: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A change of the kernel of each gate."""
    return np.hstack([change(kernel) for kernel in np.hsplit(kernels, gates)])
