"""`keras.engine.saving` by its old name, with the functions that scripts call on open HDF5 groups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.errors import ArgumentError
from kcore.models.serialization import model_from_config, model_from_json, model_from_yaml
from kcore.saving import hdf5, load_model, save_model
from kcore.saving.keras2 import weights as _weights
from kcore.saving.keras2.conversion import convert_weights
from kcore.utils.io_utils import ask_to_proceed_with_overwrite, load_from_binary_h5py, save_to_binary_h5py

__all__ = [
    "allow_read_from_gcs", "allow_write_to_gcs", "ask_to_proceed_with_overwrite", "load_attributes_from_hdf5_group",
    "load_from_binary_h5py", "load_model", "load_weights_from_hdf5_group", "load_weights_from_hdf5_group_by_name",
    "model_from_config", "model_from_json", "model_from_yaml", "pickle_model", "preprocess_weights_for_loading",
    "save_attributes_to_hdf5_group", "save_model", "save_to_binary_h5py", "save_weights_to_hdf5_group",
    "unpickle_model",
]  # fmt: skip


def save_attributes_to_hdf5_group(group: Any, name: str, data: Sequence[str | bytes]) -> None:
    """Store names as an attribute of an HDF5 group; in several parts, where they are too many for one.

    Raises RuntimeError for a single name that is too long.
    """
    try:
        hdf5.write_names(group, name, [n.decode("utf-8") if isinstance(n, bytes) else n for n in data])
    except ValueError as error:
        raise RuntimeError(str(error)) from error


def load_attributes_from_hdf5_group(group: Any, name: str) -> list[str]:
    """The names that `save_attributes_to_hdf5_group` stored; none when there is no such attribute."""
    there = name in group.attrs or f"{name}0" in group.attrs
    return hdf5.read_names(group, name) if there else []


def save_weights_to_hdf5_group(group: Any, layers: Sequence[Any]) -> None:
    """Store the weights of layers in an HDF5 group."""
    _weights.write_layers(group, layers)


def load_weights_from_hdf5_group(f: Any, layers: Sequence[Any], reshape: bool = False) -> None:
    """Set the weights of layers to those of an HDF5 group, in order. Raises ValueErrors where they do not fit."""
    _weights.read_layers(f, layers, reshape=reshape)


def load_weights_from_hdf5_group_by_name(
    f: Any, layers: Sequence[Any], skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Set the weights of the layers whose names occur in an HDF5 group; see `Model.load_weights`."""
    _weights.read_layers_by_name(f, layers, skip_mismatch=skip_mismatch, reshape=reshape)


def preprocess_weights_for_loading(
    layer: Any, weights: Sequence[np.ndarray], original_keras_version: str | None = None,
    original_backend: str | None = None, reshape: bool = False,
) -> list[np.ndarray]:  # fmt: skip
    """Stored weights of a layer in the order and shapes that the layer has here.

    Args:
        layer: the layer.
        weights: the arrays, as a file has them.
        original_keras_version: "1" for weights of Keras 1.
        original_backend: name of the backend that they were trained on.
        reshape: reshape kernels of convolutions that have the right size.
    """
    return convert_weights(layer, weights, original_keras_version, original_backend, reshape=reshape)


def pickle_model(model: Any) -> dict[str, Any]:
    """A model as a dictionary of plain data and arrays; `unpickle_model` makes the model of it."""
    state: dict[str, Any] = {}
    save_model(model, state)
    return state


def unpickle_model(state: dict[str, Any]) -> Any:
    """The model that `pickle_model` put into a dictionary."""
    return load_model(state)


def allow_write_to_gcs(save_function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function `save(object, filepath, ...)`: paths `gs://...` raise an error that says what to do."""

    @functools.wraps(save_function)
    def wrapper(obj: Any, filepath: Any, overwrite: bool = True, *args: Any, **kwargs: Any) -> Any:
        _refuse_cloud(filepath)
        return save_function(obj, filepath, overwrite, *args, **kwargs)

    return wrapper


def allow_read_from_gcs(load_function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with an argument `filepath`: paths `gs://...` raise an error that says what to do."""

    @functools.wraps(load_function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            _refuse_cloud(value)
        return load_function(*args, **kwargs)

    return wrapper


def _refuse_cloud(path: Any) -> None:
    if isinstance(path, str) and path.startswith("gs://"):
        raise ArgumentError(
            f"{path!r} lies in Google Cloud Storage. Copy it (`gsutil cp`), or pass a file object that a library for "
            "cloud storage opened."
        )
