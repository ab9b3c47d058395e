"""What a Keras 2 HDF5 file holds: attributes and declarations are read, arrays are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kcore.errors import FileFormatError
from kcore.saving import hdf5
from kcore.saving.description import Description, Finding, StoredArray
from kcore.saving.source import Source

_TITLE: Final = "HDF5 of Keras 2"
_VERSIONS: Final = {"keras": "keras_version", "backend": "backend"}


def describe(source: Source) -> Description:
    """What the file holds. Raises FileFormatError when it is no Keras file, or a damaged one."""
    with source.hdf5() as file:
        findings = list(unsafe_members(file))
        unsafe = {finding.where for finding in findings}
        root = _part(file, "model_weights", unsafe) if "model_config" in file.attrs else file
        optimizer = _part(file, "optimizer_weights", unsafe)
        versions = {
            key: hdf5.text(place.attrs[name])
            for key, name in _VERSIONS.items()
            for place in (root, file)
            if place is not None and name in place.attrs
        }
        layers = hdf5.read_names(root, "layer_names") if root is not None else ()
        return Description(
            _TITLE,
            versions=versions,
            config=hdf5.read_json(file, "model_config"),
            training=hdf5.read_json(file, "training_config"),
            weights=[array for layer in layers for array in _of_layer(root, layer, unsafe)],
            optimizer=list(_arrays(optimizer, "optimizer", unsafe)) if optimizer is not None else (),
            findings=findings,
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


def _path(group: Any, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"


def unsafe_members(group: Any) -> Iterator[Finding]:
    """Whatever in an open HDF5 group leads out of it, or holds anything but numbers and text. Nothing is followed."""
    import h5py

    seen = {_identity(group)}
    waiting = [group]
    while waiting:
        at = waiting.pop()
        yield from _unsafe_attributes(at)
        if isinstance(at, h5py.Dataset):
            yield from _unsafe_dataset(at)
            continue
        if not isinstance(at, h5py.Group):
            yield Finding(str(at.name), "a named type, which no model needs; it is not read", "object")
            continue
        for name in at:
            path = _path(at, name)
            link = at.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                yield Finding(path, f"{_told(link)}; links are not followed", "link")
                continue
            member = at[name]
            if _identity(member) in seen:
                continue
            seen.add(_identity(member))
            waiting.append(member)


def _identity(member: Any) -> Any:
    import h5py

    info = h5py.h5o.get_info(member.id)
    return info.fileno, info.addr


def _told(link: Any) -> str:
    file = getattr(link, "filename", None)
    return f"a link to {link.path!r} in the file {file!r}" if file else f"a soft link to {link.path!r}"


def _unsafe_attributes(member: Any) -> Iterator[Finding]:
    import h5py

    for name in member.attrs:
        kind = h5py.h5a.open(member.id, name.encode("utf-8")).dtype
        if h5py.check_dtype(ref=kind) is not None:
            yield Finding(f"{member.name}@{name}", "a reference to another object; it is not followed", "link")
        elif kind.kind == "V":
            yield Finding(f"{member.name}@{name}", f"data of the type {kind}, which no model needs", "object")


def _unsafe_dataset(dataset: Any) -> Iterator[Finding]:
    import h5py

    kind, where = dataset.dtype, str(dataset.name)
    if h5py.check_dtype(ref=kind) is not None:
        yield Finding(where, "references to other objects; they are not followed", "link")
    elif kind.kind not in "biuf":
        yield Finding(where, f"an array of {kind}; weights are numbers, so it is not read", "object")
    if dataset.external:
        files = ", ".join(repr(name) for name, _, _ in dataset.external)
        yield Finding(where, f"its values lie in another file ({files}), which is not opened", "storage")
    elif dataset.is_virtual:
        yield Finding(where, "its values are put together from other files, which are not opened", "storage")
    else:
        declared, stored = dataset.size * kind.itemsize, dataset.id.get_storage_size()
        if declared > max(stored, 1) * hdf5_ratio(dataset):
            yield Finding(where, f"it declares {declared} bytes, of which the file holds {stored}", "size")


def hdf5_ratio(dataset: Any) -> int:
    """How much larger than stored the values of a dataset can honestly be: compressed ones up to 1000 times."""
    return 1000 if dataset.compression else 1
