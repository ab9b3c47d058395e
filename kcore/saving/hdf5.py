"""HDF5 as Keras 2 uses it: text and lists in attributes (cut into chunks when large), arrays in datasets.

Reading is strict: links that leave the file, object arrays and missing parts are errors of ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import FileFormatError, UnsafeFileError

#: HDF5 keeps attributes in object headers of at most 64 KiB; Keras 2 leaves room for the rest of the header.
ATTRIBUTE_LIMIT = 64512


def text(value: Any) -> str:
    """A text attribute, which old files hold as bytes and new ones as str."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def write_names(group: Any, name: str, names: Sequence[str]) -> None:
    """Store a list of names as attribute `name`, in chunks `name0`, `name1`, ... when it is too large for one."""
    encoded = [n.encode("utf-8") for n in names]
    too_long = [n for n in encoded if len(n) > ATTRIBUTE_LIMIT]
    if too_long:
        raise FileFormatError(
            f"The name {too_long[0][:60]!r}... has {len(too_long[0])} bytes; HDF5 attributes hold at most "
            f"{ATTRIBUTE_LIMIT}. Give the layer a shorter name."
        )
    array = np.asarray(encoded) if encoded else np.asarray([], dtype="S1")
    chunks = 1
    parts = [array]
    while any(part.nbytes > ATTRIBUTE_LIMIT for part in parts):
        chunks += 1
        parts = np.array_split(array, chunks)
    if chunks == 1:
        group.attrs[name] = array
        return
    for i, part in enumerate(parts):
        group.attrs[f"{name}{i}"] = part


def read_names(group: Any, name: str) -> list[str]:
    """The list of names stored by `write_names`; missing means an error that says what the file lacks."""
    if name in group.attrs:
        return [text(n) for n in np.asarray(group.attrs[name]).reshape(-1)]
    names: list[str] = []
    i = 0
    while f"{name}{i}" in group.attrs:
        names.extend(text(n) for n in np.asarray(group.attrs[f"{name}{i}"]).reshape(-1))
        i += 1
    if not i:
        raise FileFormatError(f"This is no Keras weight file: the group {group.name!r} has no attribute {name!r}.")
    return names


def read_json(group: Any, name: str) -> Any:
    """A JSON attribute; None when the group lacks it."""
    if name not in group.attrs:
        return None
    try:
        return json.loads(text(group.attrs[name]))
    except ValueError as error:
        raise FileFormatError(
            f"The attribute {name!r} of {group.file.filename!r} is not valid JSON: {error}."
        ) from error


def member(group: Any, name: str) -> Any:
    """A subgroup or dataset inside the file itself; refuses links that lead elsewhere."""
    import h5py

    at = group
    for part in [p for p in name.split("/") if p]:
        if not isinstance(at, h5py.Group) or part not in at:
            raise FileFormatError(
                f"{group.file.filename!r} is damaged: {group.name!r} names {name!r}, which is not there."
            )
        link = at.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnsafeFileError(
                f"{group.file.filename!r} holds a {type(link).__name__} at {at.name}/{part}. Model files hold "
                "their data themselves; links that lead elsewhere are not followed."
            )
        at = at[part]
    return at


def dataset(group: Any, name: str) -> Any:
    """An array in the file, not read yet: its shape can be compared first. Refuses object arrays and foreign storage."""
    import h5py

    found = member(group, name)
    where = f"{group.file.filename!r}, {group.name}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(f"{where}: expected an array, found a group.")
    if found.dtype.kind not in "biuf":
        raise UnsafeFileError(f"{where}: weights must be numbers, found dtype {found.dtype}.")
    if found.external or found.is_virtual:
        raise UnsafeFileError(f"{where}: the values lie in another file; such storage is not followed.")
    return found


def read_array(group: Any, name: str) -> np.ndarray:
    """A dataset's values; refuses object arrays and external or virtual storage."""
    return np.asarray(dataset(group, name))


def write_array(group: Any, name: str, value: np.ndarray) -> None:
    """Store an array under a name, whose slashes become groups."""
    group.create_dataset(name, data=np.asarray(value))


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with later duplicates numbered.

    >>> unique_names(["a", "b", "a"])
    ['a', 'b', 'a_2']
    """
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return unique
