"""What a Keras 2 HDF5 file holds: attributes and declarations are read, arrays are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kcore.errors import FileFormatError
from kcore.saving import hdf5
from kcore.saving.description import Description, Finding, StoredArray
from kcore.saving.source import Source

_TITLE: Final = "HDF5 of Keras 2"
#: What the dtypes of numbers begin with.
_NUMBERS: Final = ("float", "bfloat", "int", "uint", "bool")
_VERSIONS: Final = {"keras": "keras_version", "backend": "backend"}


def describe(source: Source) -> Description:
    """What the file holds. Raises FileFormatError when it is no Keras file, or a damaged one."""
    with source.hdf5(allow_unsafe=True) as file:
        unsafe = {finding.where for finding in source.hdf5_findings}
        root = _part(file, "model_weights", unsafe) if "model_config" in file.attrs else file
        optimizer = _part(file, "optimizer_weights", unsafe)
        versions = {
            key: hdf5.text(place.attrs[name])
            for key, name in _VERSIONS.items()
            for place in (root, file)
            if place is not None and name in place.attrs
        }
        layers = hdf5.read_names(root, "layer_names") if root is not None else ()
        weights = [array for layer in layers for array in _of_layer(root, layer, unsafe)]
        state = list(_arrays(optimizer, "optimizer", unsafe)) if optimizer is not None else []
        return Description(
            _TITLE,
            versions=versions,
            config=hdf5.read_json(file, "model_config"),
            training=hdf5.read_json(file, "training_config"),
            weights=weights,
            optimizer=state,
            findings=[*source.hdf5_findings, *_no_numbers([*weights, *state])],
        )


def _part(file: Any, name: str, unsafe: set[str]) -> Any:
    """A group of the file; None when it is not there, or unsafe (it is not even opened then)."""
    return hdf5.member(file, name) if _path(file, name) not in unsafe and name in file else None


def _of_layer(root: Any, layer: str, unsafe: set[str]) -> Iterator[StoredArray]:
    if _path(root, layer) in unsafe:
        return iter(())
    return _arrays(hdf5.member(root, layer), layer, unsafe)


def _arrays(group: Any, owner: str, unsafe: set[str]) -> Iterator[StoredArray]:
    """The arrays that a group's `weight_names` name; those found unsafe are not looked at."""
    for name in hdf5.read_names(group, "weight_names"):
        parts = name.split("/")
        if any(_path(group, "/".join(parts[: i + 1])) in unsafe for i in range(len(parts))):
            continue
        dataset = hdf5.member(group, name)
        if not hasattr(dataset, "shape"):
            raise FileFormatError(f"{group.file.filename!r} is damaged: {dataset.name!r} is no array.")
        yield StoredArray(_path(group, name).lstrip("/"), tuple(dataset.shape or ()), dataset.dtype.name, owner)


def _no_numbers(arrays: Sequence[StoredArray]) -> Iterator[Finding]:
    """Weights that are text or the like."""
    for array in arrays:
        if not array.dtype.startswith(_NUMBERS):
            yield Finding(f"/{array.name}", f"weights of type {array.dtype}, where numbers belong: not read", "object")


def _path(group: Any, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"
