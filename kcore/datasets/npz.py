"""The arrays of an `.npz` file; arrays of lists, which NumPy writes as pickles, are read as data."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from typing import IO

import numpy as np

from kcore.datasets import plain_pickle
from kcore.errors import FileFormatError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file, by name.

    Raises:
        FileFormatError: the file is damaged, or holds more than plain data.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return {name.removesuffix(".npy"): _array(file, name) for name in file.namelist()}
    except FileFormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError) as error:
        raise FileFormatError(f"{os.fspath(path)!r} is damaged ({error}). Delete it and fetch it again.") from error


def _array(file: zipfile.ZipFile, name: str) -> np.ndarray:
    with file.open(name) as member:
        shape, fortran, dtype = _header(member)
        if dtype.hasobject:
            values = plain_pickle.loads(member.read())
            if not isinstance(values, np.ndarray) or values.shape != shape:
                raise FileFormatError(f"The array {name!r} is not of the shape {shape} that its header says.")
            return values
        content = member.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise FileFormatError(f"The array {name!r} ends too early.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C").copy()


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise FileFormatError(f"Arrays of the format {version} cannot be read.")
    return _HEADERS[version](member)
