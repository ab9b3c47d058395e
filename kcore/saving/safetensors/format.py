"""Weights of models in safetensors files: which array belongs to which layer is told by the metadata.

The arrays carry the weights' names without `:0` (`dense_1/kernel`). Files that others wrote say nothing of layers:
there the names decide, with dots or slashes between their parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, ClassVar, Final

import numpy as np

from kcore import backend as K
from kcore.errors import FileFormatError
from kcore.rest import at_rest
from kcore.saving import hdf5
from kcore.saving.description import Description, StoredArray
from kcore.saving.formats import FileFormat, StoredLayers, WeightOptions
from kcore.saving.keras2 import weights as layer_weights
from kcore.saving.safetensors import container
from kcore.saving.source import Source, Target

#: Keys of the metadata. `format` is what readers of other libraries look at: plain arrays.
_FORMAT: Final = {"format": "np", "layout": "kcore"}
_LAYERS: Final = "layers"

Layers = list[tuple[str, list[str]]]


class Safetensors(FileFormat):
    """Arrays by name, in a file that any framework reads."""

    name = "safetensors"
    title = "safetensors"
    extensions: ClassVar[tuple[str, ...]] = (".safetensors",)  # saving a whole model says what to do instead
    weight_extensions: ClassVar[tuple[str, ...]] = (".safetensors",)

    def recognizes(self, source: Source) -> bool:
        """A length, then a brace."""
        return container.begins(source.start(9))

    def save_weights(self, model: Any, target: Target) -> None:
        """All weights; a weight that several layers share is stored once."""
        layers, variables = _named(model.layers)
        metadata = {
            **_FORMAT,
            "keras_version": layer_weights.LAYOUT_VERSION,
            "backend": K.backend(),
            _LAYERS: json.dumps(layers, ensure_ascii=False),
        }
        with target.binary() as stream, at_rest():
            container.write(stream, [(name, x.view(), x.dtype) for name, x in variables.items()], metadata)

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """By position or by name, as from HDF5; files without layers by the names of the weights."""
        with source.binary() as stream:
            header = container.read_header(stream, source.name)
            layers = _layers(header, source.name)
            if layers is None:
                layers = _matched(header, model.layers, options, source.name)
            stored = [(name, _read(stream, header, names)) for name, names in layers]
        origin = _origin(header)
        if options.by_name:
            layer_weights.set_by_name(
                stored, model.layers, origin, skip_mismatch=options.skip_mismatch, reshape=options.reshape
            )
        else:
            layer_weights.set_by_position(stored, model.layers, origin, reshape=options.reshape)

    def read_layers(self, source: Source) -> StoredLayers:
        """The weights of a file whose metadata say which layer has which."""
        with source.binary() as stream:
            header = container.read_header(stream, source.name)
            layers = _layers(header, source.name)
            if layers is None:
                raise FileFormatError(
                    f"{source.name!r} does not say which array belongs to which layer: that takes the model's "
                    "architecture."
                )
            read = [(name, list(zip(own, _read(stream, header, own), strict=True))) for name, own in layers]
        return StoredLayers(read, *_origin(header))

    def describe(self, source: Source) -> Description:
        """What the header says; no array is read."""
        with source.binary() as stream:
            header = container.read_header(stream, source.name)
        owners = {name: layer for layer, names in _layers(header, source.name) or () for name in names}
        arrays = [
            StoredArray(name, entry.shape, container.host_name(entry.dtype), owners.get(name) or _owner(name))
            for name, entry in header.entries.items()
        ]
        versions = {"keras": header.metadata.get("keras_version"), "backend": header.metadata.get("backend")}
        return Description(self.title, versions={k: v for k, v in versions.items() if v}, weights=arrays)


def _named(layers: Sequence[Any]) -> tuple[Layers, dict[str, Any]]:
    """The names of each layer's weights, and the variables by these names, which are unique in the file."""
    distinct = {id(x): (layer, i, x) for layer in layers for i, x in enumerate(layer.weights)}
    names = hdf5.unique_names([_name(*row) for row in distinct.values()])
    by_id = dict(zip(distinct, names, strict=True))
    variables = {by_id[key]: x for key, (_, _, x) in distinct.items()}
    return [(layer.name, [by_id[id(x)] for x in layer.weights]) for layer in layers], variables


def _name(layer: Any, index: int, variable: Any) -> str:
    name = (variable.name or f"param_{index}").removesuffix(":0")
    return name if "/" in name else f"{layer.name}/{name}"


def _layers(header: container.Header, where: str) -> Layers | None:
    """The layers that the metadata names, with their arrays; None in files of others."""
    if _LAYERS not in header.metadata or header.metadata.get("layout") != _FORMAT["layout"]:
        return None
    try:
        layers = json.loads(header.metadata[_LAYERS])
        found = [(str(name), [str(own) for own in names]) for name, names in layers]
    except (ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{where!r} is damaged: its list of layers cannot be read ({error}).") from error
    missing = [own for _, names in found for own in names if own not in header.entries]
    if missing:
        raise FileFormatError(f"{where!r} is damaged: its layers lack the array {missing[0]!r:.100}.")
    return found


def _origin(header: container.Header) -> tuple[str, str | None]:
    return header.metadata.get("keras_version", layer_weights.LAYOUT_VERSION), header.metadata.get("backend")


def _read(stream: IO[bytes], header: container.Header, names: Sequence[str]) -> list[np.ndarray]:
    return [container.read_array(stream, header, name) for name in names]


def _parts(name: str) -> str:
    """A name with slashes between its parts, without `:0`."""
    name = name.removesuffix(":0")
    return name if "/" in name else name.replace(".", "/")


def _owner(name: str) -> str:
    """The layer that a name in a file of others seems to begin with."""
    return _parts(name).rpartition("/")[0]


def _matched(header: container.Header, layers: Sequence[Any], options: WeightOptions, where: str) -> Layers:
    """The arrays of a file of others that the model's weights are called by, layer by layer."""
    stored = {_parts(name): name for name in header.entries}
    found: Layers = []
    missing: list[str] = []
    for layer in layers:
        names = [_find(stored, layer, i, weight) for i, weight in enumerate(layer.weights)]
        if not any(names) and options.by_name:
            continue
        missing += [_name(layer, i, layer.weights[i]) for i, name in enumerate(names) if name is None]
        found.append((layer.name, [name for name in names if name is not None]))
    if missing and not options.by_name:
        raise FileFormatError(
            f"{where!r} does not say which array belongs to which layer, and no array is called "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}. "
            f"It has: {', '.join(list(header.entries)[:8])}{', ...' if len(header.entries) > 8 else ''}. "
            "With by_name=True, layers of which the file has nothing keep their weights."
        )
    return found


def _find(stored: Mapping[str, str], layer: Any, index: int, weight: Any) -> str | None:
    name = _name(layer, index, weight)
    return stored.get(name) or stored.get(f"{layer.name}/{name.rpartition('/')[2]}")


SAFETENSORS = Safetensors()
