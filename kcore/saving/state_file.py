"""Nests of plain data and arrays in one file, exactly: what a run needs to go on after a restart.

The file is NumPy's `.npz`: one entry of JSON text, and one for each array. Nothing in it can run.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, FileFormatError
from kcore.saving.atomic import writing

_TREE = "tree"
#: What reading a damaged file raises, at one stage or another.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error)


def write_state(path: str | os.PathLike[str], state: Any) -> None:
    """Write dicts, lists, tuples, text, numbers, None, NumPy scalars and arrays; atomically.

    Raises ArgumentError for anything else, and for arrays of objects.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_encode(state, arrays, "state"))
    arrays[_TREE] = np.frombuffer(tree.encode("utf-8"), "uint8")
    with writing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]


def read_state(path: str | os.PathLike[str]) -> Any:
    """What `write_state` wrote, with equal types and bits. Raises FileFormatError for a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _decode(json.loads(arrays[_TREE].tobytes().decode("utf-8")), arrays)
    except _DAMAGE as error:
        raise FileFormatError(f"{os.fspath(path)!r} is damaged, or no file of a training's state: {error}") from error


def _encode(value: Any, arrays: dict[str, np.ndarray], where: str) -> Any:
    """JSON for a value; whatever JSON has no form for becomes an object with one key that starts with `$`."""
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if isinstance(value, dict):
        pairs = [(_encode(k, arrays, where), _encode(v, arrays, f"{where}[{k!r}]")) for k, v in value.items()]
        if all(isinstance(k, str) and not k.startswith("$") for k, _ in pairs):
            return dict(pairs)
        return {"$dict": pairs}
    if isinstance(value, (list, tuple)):
        items = [_encode(x, arrays, f"{where}[{i}]") for i, x in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.name == "bfloat16":  # NumPy's files have no name for it; float32 holds its values
            value = value.astype("float32")
        if value.dtype.kind in "biuf":
            if isinstance(value, np.generic):
                return {"$scalar": [value.dtype.name, value.item()]}
            key = f"a{len(arrays)}"
            arrays[key] = value
            return {"$array": key}
    raise ArgumentError(
        f"{where} is {value!r} ({type(value).__name__}), which cannot be kept. Expected numbers, text, None, arrays of "
        "numbers, and lists, tuples and dicts of those."
    )


def _decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(x, arrays) for x in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value)) if len(value) == 1 else ""
    if not kind.startswith("$"):
        return {k: _decode(v, arrays) for k, v in value.items()}
    content = value[kind]
    if kind == "$dict":
        return {_decode(k, arrays): _decode(v, arrays) for k, v in content}
    if kind == "$tuple":
        return tuple(_decode(x, arrays) for x in content)
    if kind == "$scalar":
        return np.dtype(content[0]).type(content[1])
    return arrays[content]
