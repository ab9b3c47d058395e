"""Weights of layers in HDF5 groups: one group a layer, its datasets named by `weight_names`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import FileFormatError, ShapeError
from kcore.saving import hdf5
from kcore.saving.formats import StoredLayers, WeightOptions
from kcore.saving.keras2.conversion import convert_weights

#: The version of the layout, as Keras 2 readers expect it in `keras_version`.
LAYOUT_VERSION = "2.3.1"

#: Layers of a file: name and arrays, read or not; and the Keras version and backend that wrote them.
Stored = Iterable[tuple[str, list[Any]]]
Origin = tuple[str, str | None]


def write_layers(group: Any, layers: Sequence[Any]) -> None:
    """Store all layers' weights in the Keras 2 layout."""
    hdf5.write_names(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = K.backend().encode("utf-8")
    group.attrs["keras_version"] = LAYOUT_VERSION.encode("utf-8")
    for layer in layers:
        weights = layer.weights
        names = hdf5.unique_names([w.name or f"param_{i}" for i, w in enumerate(weights)])
        subgroup = group.create_group(layer.name)
        hdf5.write_names(subgroup, "weight_names", names)
        for name, weight in zip(names, weights, strict=True):
            hdf5.write_array(subgroup, name, weight.view())


def arrays(group: Any, layers: Sequence[Any]) -> dict[int, Any]:
    """The datasets that `write_layers` made, by the identity of their variables."""
    found: dict[int, Any] = {}
    for layer in layers:
        subgroup = group[layer.name]
        for variable, name in zip(layer.weights, hdf5.read_names(subgroup, "weight_names"), strict=True):
            found[id(variable)] = subgroup[name]
    return found


def read_layers(group: Any, layers: Sequence[Any], *, reshape: bool = False) -> None:
    """Load weights by position: the file's layers with weights against the model's, in order."""
    set_by_position(_stored_layers(group), layers, _origin(group), reshape=reshape)


def set_by_position(stored: Stored, layers: Sequence[Any], origin: Origin, *, reshape: bool = False) -> None:
    """Set the weights of layers in order; those without weights count on neither side.

    Args:
        stored: names and values of the file's layers.
        layers: the model's.
        origin: Keras version and backend that wrote them.
        reshape: reshape values of the right size.
    """
    with_weights = [layer for layer in layers if layer.weights]
    stored = [(name, values) for name, values in stored if values]
    if len(stored) != len(with_weights):
        raise FileFormatError(
            f"The file holds weights of {len(stored)} layers ({_listed([n for n, _ in stored])}); the model has "
            f"{len(with_weights)} layers with weights ({_listed([x.name for x in with_weights])}). "
            "Use by_name=True to load those whose names agree."
        )
    pairs: list[tuple[Any, np.ndarray]] = []
    for layer, (name, values) in zip(with_weights, stored, strict=True):
        if hdf5.too_large(values, layer.weights):
            _check(layer, name, values)
        converted = convert_weights(layer, values, *origin, reshape=reshape)
        _check(layer, name, converted)
        pairs.extend(zip(layer.weights, converted, strict=True))
    _take(pairs)


def read_layers_by_name(
    group: Any, layers: Sequence[Any], *, skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Load weights of the layers whose names occur in the file; the others keep theirs."""
    set_by_name(_stored_layers(group), layers, _origin(group), skip_mismatch=skip_mismatch, reshape=reshape)


def set_by_name(
    stored: Stored, layers: Sequence[Any], origin: Origin, *, skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Set the weights of the layers whose names occur in the file; the arguments are those of `set_by_position`."""
    by_name: dict[str, list[Any]] = {}
    for layer in layers:
        by_name.setdefault(layer.name, []).append(layer)
    pairs: list[tuple[Any, np.ndarray]] = []
    for name, values in stored:
        for layer in by_name.get(name, []):
            # What cannot fit is not read.
            fits = not hdf5.too_large(values, layer.weights)
            converted = convert_weights(layer, values, *origin, reshape=reshape) if fits else values
            try:
                _check(layer, name, converted)
            except (ShapeError, FileFormatError) as error:
                if not skip_mismatch:
                    raise
                warnings.warn(f"Skipping layer {layer.name!r}: {error}", stacklevel=2)
                # Like the original: weights whose own shapes agree are still loaded.
                if len(converted) == len(layer.weights):
                    both = zip(layer.weights, converted, strict=True)
                    pairs.extend((w, hdf5.in_memory(v)) for w, v in both if tuple(w.shape) == v.shape)
                continue
            pairs.extend(zip(layer.weights, converted, strict=True))
    _take(pairs)


def _take(pairs: Sequence[tuple[Any, np.ndarray]]) -> None:
    """Give weights the arrays that were read; one that several weights get is copied, so that each has its own."""
    given: set[int] = set()
    for weight, value in pairs:
        shared = value.base is not None or id(value) in given
        weight.take(value.copy() if shared else value)
        given.add(id(value))


def _origin(group: Any) -> Origin:
    """Keras version and backend that wrote the weights."""
    version = hdf5.text(group.attrs["keras_version"]) if "keras_version" in group.attrs else "1"
    return version, hdf5.text(group.attrs["backend"]) if "backend" in group.attrs else None


def _stored_layers(group: Any) -> Iterator[tuple[str, list[Any]]]:
    """The layers of a file: names, and datasets that are not read yet."""
    for name in hdf5.read_names(group, "layer_names"):
        subgroup = hdf5.member(group, name)
        yield name, [hdf5.dataset(subgroup, n) for n in hdf5.read_names(subgroup, "weight_names")]


def read_stored(group: Any) -> StoredLayers:
    """The weights of an open file as they are stored, with their names."""
    group = _layers_group(group)
    layers = []
    seen: set[Any] = set()
    for name in hdf5.read_names(group, "layer_names"):
        subgroup = hdf5.member(group, name)
        names = hdf5.read_names(subgroup, "weight_names")
        for own in names:
            found = hdf5.dataset(subgroup, own)
            if found.id in seen:  # or a small file would hold any number of large arrays
                raise FileFormatError(f"{group.file.filename!r}: {own!r} of {name!r} is also another layer's weight.")
            seen.add(found.id)
        layers.append((name, [(own, hdf5.read_array(subgroup, own)) for own in names]))
    return StoredLayers(layers, *_origin(group))


def _layers_group(group: Any) -> Any:
    """The group that holds the layers: the file itself, or a part of the file of a whole model."""
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs and "model_weights" in group:
        return hdf5.member(group, "model_weights")
    return group


def _check(layer: Any, name: str, values: Sequence[Any]) -> None:
    weights = layer.weights
    if len(values) != len(weights):
        raise FileFormatError(
            f"Layer {layer.name!r} has {len(weights)} weights; the file's layer {name!r} has {len(values)}."
        )
    for weight, value in zip(weights, values, strict=True):
        if tuple(weight.shape) != value.shape:
            raise ShapeError(
                f"Weight {weight.name!r} of layer {layer.name!r} has shape {tuple(weight.shape)}; the file's "
                f"layer {name!r} holds shape {value.shape}."
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "none"


def load(group: Any, layers: Sequence[Any], options: WeightOptions) -> None:
    """Load layers' weights from an open file of weights or of a whole model."""
    group = _layers_group(group)
    if options.by_name:
        read_layers_by_name(group, layers, skip_mismatch=options.skip_mismatch, reshape=options.reshape)
    else:
        read_layers(group, layers, reshape=options.reshape)
