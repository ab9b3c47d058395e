"""Weights that Keras 3 wrote into several files: a map in JSON (`.weights.json`), and HDF5 files beside it.

The map names, for each group of weights, the file (or files) that hold it. Shards lie in the map's own folder.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from typing import Any, Final

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import hdf5
from kcore.saving.description import Description
from kcore.saving.formats import WeightOptions
from kcore.saving.keras3 import describing, weights
from kcore.saving.limits import JSON_BYTES
from kcore.saving.source import Source
from kcore.saving.text import parse_json

_SHARD_LIMIT: Final = 10_000
_NAME: Final = re.compile(r"[^/\\:\0]+\.weights\.h5")


def is_map(source: Source) -> bool:
    """Whether this is the map of sharded weights."""
    if source.start(1) != b"{" or b'"weight_map"' not in source.start(4096):
        return False
    with contextlib.suppress(FileFormatError):
        return isinstance(_parsed(source), dict)
    return False


def _parsed(source: Source) -> Any:
    return parse_json(source.start(JSON_BYTES + 1), source.name)


def load(model: Any, source: Source, options: WeightOptions) -> None:
    """Set a model's weights from all shards."""
    with _joined(source) as group:
        weights.read(group, model, options)


def describe(source: Source) -> Description:
    """The arrays of all shards."""
    with _joined(source) as group:
        return describing.describe_group(group, "Keras 3's sharded .weights.json", {})


@contextlib.contextmanager
def _joined(source: Source) -> Any:
    """All shards as one group: copied, in memory, so that nothing needs to know of the parts."""
    import h5py

    with h5py.File(io.BytesIO(), "w") as whole:
        for name in _shards(source):
            with source.beside(name).hdf5() as shard:
                _copy(shard, whole)
        yield whole


def _shards(source: Source) -> list[str]:
    found = _parsed(source)
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, Mapping):
        raise FileFormatError(f"{source.name!r} is damaged: 'weight_map' should be a dictionary.")
    listed: dict[str, None] = {}
    for value in places.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise UnsafeFileError(
                    f"{source.name!r} names the shard {name!r}; shards are files called *.weights.h5 in its own folder."
                )
            listed[name] = None
    if len(listed) > _SHARD_LIMIT:
        raise UnsafeFileError(f"{source.name!r} names {len(listed)} shards.")
    return list(listed)


def _copy(shard: Any, whole: Any) -> None:
    """Copy groups and arrays; each is checked first, links are refused."""
    stack = [""]
    while stack:
        path = stack.pop()
        group = hdf5.member(shard, path) if path else shard
        inside = whole.require_group(path) if path else whole
        for key, value in group.attrs.items():
            inside.attrs[key] = value
        for name in group:
            full = f"{path}/{name}" if path else name
            if hasattr(hdf5.member(shard, full), "keys"):
                stack.append(full)
                continue
            dataset = weights.checked(group, name)
            if name in inside:
                raise FileFormatError(f"{shard.file.filename!r} holds {full!r}, which another shard holds as well.")
            shard.copy(dataset, inside, name=name)
