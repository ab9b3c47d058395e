"""HDF5 as Keras 2 uses it: text and lists in attributes (cut into chunks when large), arrays in datasets.

Reading is strict: links that leave the file, object arrays, plug-ins and missing parts are errors of ours. Files were
checked as a whole before (`hdf5_check`); these checks also hold for groups that callers have opened.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import limits
from kcore.saving.hdf5_check.messages import FILTERS
from kcore.saving.text import parse_json

#: HDF5 keeps attributes in object headers of at most 64 KiB; Keras 2 leaves room for the rest of the header.
ATTRIBUTE_LIMIT = 64512


def text(value: Any) -> str:
    """A text attribute, which old files hold as bytes and new ones as str. Raises FileFormatError for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, (bytes, str)):
        raise FileFormatError(f"Expected text in the file, found {str(value)[:60]!r} ({type(value).__name__}).")
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise FileFormatError(f"The text {value[:60]!r} of the file is not UTF-8: {error}.") from error


def attribute(group: Any, name: str) -> Any:
    """The value of an attribute: text, numbers, or an array of either.

    Raises:
        UnsafeFileError: it is of another type (references, records, opaque bytes).
        FileFormatError: it is larger than any attribute of a model file (`limits.ATTRIBUTE_BYTES`), or damaged.
    """
    import h5py

    where = f"{group.file.filename!r}, attribute {name!r} of {group.name}"
    found = group.attrs.get_id(name)
    kind = found.get_type()
    plain = kind.get_class() in (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
    if not plain:
        raise UnsafeFileError(f"{where}: expected text or numbers, found the type {found.dtype}; it is not read.")
    if math.prod(found.shape or ()) * kind.get_size() > limits.ATTRIBUTE_BYTES:
        raise FileFormatError(f"{where}: it declares the shape {found.shape}, more than an attribute can hold.")
    try:
        return group.attrs[name]
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise FileFormatError(f"{where}: it is damaged ({error}).") from error


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
    chunks = [name]
    if name not in group.attrs:
        chunks = list(itertools.takewhile(group.attrs.__contains__, (f"{name}{i}" for i in itertools.count())))
    if not chunks:
        raise FileFormatError(f"This is no Keras weight file: the group {group.name!r} has no attribute {name!r}.")
    names = [text(n) for chunk in chunks for n in np.asarray(attribute(group, chunk)).reshape(-1)]
    if len(set(names)) < len(names):  # each is the name of a member
        raise FileFormatError(f"{group.file.filename!r} is damaged: {name!r} of {group.name!r} says a name twice.")
    return names


def read_json(group: Any, name: str) -> Any:
    """A JSON attribute, within the limits of configurations; None when the group lacks it."""
    if name not in group.attrs:
        return None
    return parse_json(text(attribute(group, name)), f"{name} of {group.file.filename}")


def member(group: Any, name: str) -> Any:
    """A subgroup or dataset inside the file itself; refuses links that lead elsewhere."""
    import h5py

    parts = name.split("/")
    if name.startswith("/") or "\0" in name or ".." in parts or "." in parts:
        raise UnsafeFileError(f"{group.file.filename!r}: {group.name!r} names {name[:200]!r}, a path out of the group.")
    at = group
    for part in filter(None, parts):
        encoded = part.encode("utf-8")
        try:
            link = at.id.links.get_info(encoded) if isinstance(at, h5py.Group) else None
        except (KeyError, RuntimeError):
            link = None
        if link is None:
            raise FileFormatError(
                f"{group.file.filename!r} is damaged: {group.name!r} names {name!r}, which is not there."
            )
        if link.type != h5py.h5l.TYPE_HARD:
            kind = type(at.get(part, getlink=True)).__name__
            raise UnsafeFileError(
                f"{group.file.filename!r} holds a {kind} at {at.name}/{part}. Model files hold "
                "their data themselves; links that lead elsewhere are not followed."
            )
        at = _object(h5py.h5o.open(at.id, encoded))
    return at


def _object(found: Any) -> Any:
    """What `group[name]` gives, without its detours (models have hundreds of arrays)."""
    import h5py

    wrappers = {h5py.h5g.GroupID: h5py.Group, h5py.h5d.DatasetID: h5py.Dataset, h5py.h5t.TypeID: h5py.Datatype}
    return next(wrapper(found) for kind, wrapper in wrappers.items() if isinstance(found, kind))


def dataset(group: Any, name: str) -> Any:
    """An array in the file, not read yet: its shape can be compared first.

    Raises:
        UnsafeFileError: it is no array of numbers, lies in another file, or needs a plug-in of libhdf5 to be read.
        FileFormatError: it declares more than it stores.
    """
    import h5py

    found = member(group, name)

    def where() -> str:
        return f"{group.file.filename!r}, {group.name}/{name}"

    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(f"{where()}: expected an array, found a group.")
    dtype, shape, settings = found.dtype, found.shape, found.id.get_create_plist()
    if dtype.kind not in "biuf" and not is_bfloat16(found):
        raise UnsafeFileError(f"{where()}: weights must be numbers, found dtype {dtype}.")
    layout = settings.get_layout()
    if layout == h5py.h5d.VIRTUAL or settings.get_external_count():
        raise UnsafeFileError(f"{where()}: the values lie in another file; such storage is not followed.")
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    if unknown := [number for number in filters if number not in FILTERS]:
        raise UnsafeFileError(
            f"{where()}: compressed by filter {unknown[0]}, which needs a plug-in of libhdf5; none is loaded. Known: "
            f"{', '.join(FILTERS.values())}. Write the file again without it."
        )
    stored, declared = found.id.get_storage_size(), 0 if shape is None else math.prod(shape) * dtype.itemsize
    most = max(limits.UNPACKED_BYTES, stored * limits.COMPRESSION_RATIO) if layout == h5py.h5d.CHUNKED else stored
    if declared > most:
        raise FileFormatError(f"{where()}: it declares the shape {shape} and stores {stored} bytes.")
    return found


def is_bfloat16(found: Any) -> bool:
    """Whether a dataset holds bfloat16 as Keras 3 keeps it: two opaque bytes, and an attribute that says so."""
    return found.dtype == np.dtype("V2") and "dtype" in found.attrs and attribute(found, "dtype") == "bfloat16"


def too_large(stored: Sequence[Any], weights: Sequence[Any]) -> bool:
    """Whether arrays hold so much more than weights that no conversion makes them fit: they need not be read.

    Args:
        stored: arrays or unread datasets.
        weights: variables.
    """
    needed = sum(math.prod(weight.shape) for weight in weights)
    return sum(math.prod(array.shape or ()) for array in stored) > 4 * needed + 1024


def read_array(group: Any, name: str) -> np.ndarray:
    """The values of a `dataset`, in memory of their own; bfloat16 as float32."""
    return in_memory(dataset(group, name))


def in_memory(found: Any) -> np.ndarray:
    """The values of what `dataset` gave, in memory of their own; anything else as an array."""
    import h5py
    from h5py import h5s

    if not isinstance(found, h5py.Dataset):
        return np.asarray(found)
    try:
        if found.dtype.kind not in "biuf" or not found.size:
            values = np.asarray(found)
            return (values.view("<u2").astype("u4") << 16).view("f4") if is_bfloat16(found) else values
        values = np.empty(found.shape, found.dtype)
        found.id.read(h5s.ALL, h5s.ALL, values)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise FileFormatError(f"{found.file.filename!r}, {found.name}: the values are damaged ({error}).") from error
    return values


def write_array(group: Any, name: str, value: np.ndarray) -> None:
    """Store an array under a name, whose slashes become groups."""
    from h5py import h5d, h5s, h5t

    value = np.asarray(value, order="C")
    space = h5s.create_simple(value.shape) if value.shape else h5s.create(h5s.SCALAR)
    links, storage = _write_settings(name.isascii())
    kind = h5t.py_create(value.dtype, logical=True)
    stored = h5d.create(group.id, name.encode("utf-8"), kind, space, dcpl=storage, lcpl=links)
    if value.size:
        stored.write(h5s.ALL, h5s.ALL, value)


@functools.cache
def _write_settings(ascii_name: bool) -> tuple[Any, Any]:
    """How `group.create_dataset` makes links and datasets: groups on the way, no times, so that files repeat."""
    from h5py import h5p, h5t

    links, storage = h5p.create(h5p.LINK_CREATE), h5p.create(h5p.DATASET_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5t.CSET_ASCII if ascii_name else h5t.CSET_UTF8)
    storage.set_obj_track_times(False)
    return links, storage


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
