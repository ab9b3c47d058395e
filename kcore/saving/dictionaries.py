"""Models in dictionaries, as Keras 2's pickling kept them: groups are dictionaries, the rest is their values."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import hdf5

#: Marks a dictionary as a group.
_GROUP = "_is_group"


def as_stream(content: Mapping[str, Any]) -> io.BytesIO:
    """A dictionary as an HDF5 file in memory; see `fill_group` for what it may hold."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill_group(file, content)
    return stream


@contextmanager
def filling(target: dict[str, Any]) -> Iterator[Any]:
    """An empty HDF5 file in memory, whose content becomes that of the dictionary when all of it is there."""
    import h5py

    with h5py.File(io.BytesIO(), "w") as file:
        yield file
        content = as_dictionary(file)
    target.clear()
    target.update(content)


def unwrapped(given: Any) -> Any:
    """The group or dictionary inside of an `H5Dict`; anything else as it is."""
    from kcore.utils.io_utils import H5Dict

    return given.data if isinstance(given, H5Dict) else given


def fill_group(group: Any, content: Mapping[str, Any]) -> None:
    """Put what a dictionary holds into an HDF5 group.

    Raises:
        UnsafeFileError: it holds a pickle.
        FileFormatError: it holds something that is neither text, names, numbers nor a group.
    """
    for key, value in content.items():
        if key == _GROUP:
            continue
        if not isinstance(key, str) or f"_{key}_pickled" in content or key.endswith("_pickled"):
            raise UnsafeFileError(
                f"{key!r} is a pickle, which runs code when it is read. Make the dictionary again with kcore."
            )
        if isinstance(value, Mapping):
            fill_group(group.require_group(key), value)
        elif isinstance(value, (str, bytes)):
            group.attrs[key] = value.encode("utf-8") if isinstance(value, str) else value
        elif isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
            hdf5.write_array(group, key, np.asarray(value))
        elif isinstance(value, (list, tuple, np.ndarray)) and all(isinstance(v, (str, bytes)) for v in value):
            hdf5.write_names(group, key, [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in value])
        else:
            raise FileFormatError(f"{key!r} of a dictionary is {str(value)[:80]!r}: no model is stored so.")


def as_dictionary(group: Any) -> dict[str, Any]:
    """What an HDF5 group holds, in the form in which Keras 2 keeps it."""
    import h5py

    content: dict[str, Any] = {_GROUP: True}
    chunked: list[str] = []
    for key in group.attrs:
        base = key.rstrip("0123456789")
        if base in ("layer_names", "weight_names"):
            if base not in chunked:
                chunked.append(base)
        else:
            content[key] = group.attrs[key]
    for key in chunked:
        content[key] = [name.encode("utf-8") for name in hdf5.read_names(group, key)]
    if "weight_names" in chunked:  # names with slashes are keys there
        return {**content, **{n: hdf5.read_array(group, n) for n in hdf5.read_names(group, "weight_names")}}
    for key, value in group.items():
        content[key] = as_dictionary(value) if isinstance(value, h5py.Group) else hdf5.read_array(group, key)
    return content
