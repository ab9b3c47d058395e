"""Where files come from and go to: paths, bytes, binary file objects, open HDF5 groups; recognised by their content."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Any, Final

from kcore.errors import ArgumentTypeError, FileFormatError, MissingFileError, UnsafeFileError
from kcore.saving import dictionaries, hdf5_check
from kcore.saving.atomic import writing
from kcore.saving.description import Finding
from kcore.saving.hdf5_stream import new_hdf5

_HDF5_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")
_EXPECTED: Final = "a path, bytes, a binary file object, an open h5py file or group, an H5Dict or a dictionary"


class Source:
    """What is to be read.

    Args:
        given: a path (`str` or `os.PathLike`), the content as `bytes`, a seekable binary file object, an open
            `h5py.File` or `h5py.Group`, or a dictionary or `H5Dict` as Keras 2 keeps models in.
        name: what errors call it, where that is not what it is called itself.

    Attributes:
        name: what errors call it.
        group: the open HDF5 group that was given, else None.

    Raises:
        MissingFileError: there is no file at the path.
        ArgumentTypeError: `given` is something else.

    >>> Source(b"PK" + bytes([3, 4])).is_zip
    True
    """

    def __init__(self, given: Any, name: str | None = None) -> None:
        self.group: Any = None
        self._path: str | None = None
        self._stream: Any = None
        given = dictionaries.unwrapped(given)
        if isinstance(given, dict):
            self._stream, self.name = dictionaries.as_stream(given), "<dictionary>"
        elif isinstance(given, (str, os.PathLike)):
            self._path = self.name = os.fspath(given)
            if not os.path.exists(self._path):
                raise MissingFileError(f"There is no file {self._path!r}.")
            if os.path.isdir(self._path):
                saved = os.path.exists(os.path.join(self._path, "saved_model.pb"))
                more = " It holds a SavedModel, a program for its framework: save it there as .h5 or .keras."
                raise FileFormatError(f"{self._path!r} is a folder, not a file.{more if saved else ''}")
        elif isinstance(given, (bytes, bytearray, memoryview)):
            self._stream, self.name = io.BytesIO(given), "<bytes>"
        elif hasattr(given, "read") and hasattr(given, "seek"):
            self._stream, self.name = given, str(getattr(given, "name", "<file object>"))
        elif _is_group(given):
            self.group, self.name = given, f"{given.file.filename}:{given.name}"
        else:
            raise ArgumentTypeError(f"Expected {_EXPECTED} to read from, got {given!r}.")
        self.name = name or self.name

    def beside(self, name: str) -> Source:
        """Another file of this one's folder. Raises UnsafeFileError for names that lead out of it."""
        if self._path is None:
            raise FileFormatError(f"{self.name!r} goes with other files, {name!r} for one: give its path.")
        path = os.path.join(os.path.dirname(self._path), name)
        if os.path.basename(name) != name or os.path.islink(path):
            raise UnsafeFileError(f"{self.name!r} names the file {name!r}, which leads out of its folder.")
        return Source(path)

    @cached_property
    def is_hdf5(self) -> bool:
        """Whether an HDF5 file begins here (its signature may follow a user block of 512, 1024, ... bytes)."""
        if self.group is not None:
            return True
        with self.binary() as stream:
            return any(_at(stream, offset, 8) == _HDF5_SIGNATURE for offset in (0, *(512 << i for i in range(8))))

    @cached_property
    def is_zip(self) -> bool:
        """Whether a zip archive begins here."""
        return self.group is None and self.start(4) in _ZIP_SIGNATURES

    def start(self, count: int) -> bytes:
        """The first bytes; none of an open HDF5 group."""
        if self.group is not None:
            return b""
        with self.binary() as stream:
            return _at(stream, 0, count)

    @contextmanager
    def binary(self) -> Iterator[IO[bytes]]:
        """The content as a seekable stream at its start."""
        if self._path is not None:
            with open(self._path, "rb") as file:
                yield file
            return
        if self._stream is None:
            raise FileFormatError(f"{self.name!r} is an open HDF5 group: this format is read from files or bytes.")
        self._stream.seek(0)
        yield self._stream

    @cached_property
    def hdf5_findings(self) -> Sequence[Finding]:
        """What is in an HDF5 file that a reader must not follow. Raises FileFormatError when the file is damaged.

        An open group is its owner's: libhdf5 has read it already, and nothing is found in it here.
        """
        if self.group is not None:
            return ()
        with self.binary() as stream:
            return hdf5_check.check(stream, self.name)

    @contextmanager
    def hdf5(self, *, allow_unsafe: bool = False) -> Iterator[Any]:
        """The content as an open HDF5 group, after its whole structure was checked (`kcore.saving.hdf5_check`).

        Args:
            allow_unsafe: open files with `hdf5_findings` too, for those who tell about them and read no arrays.

        Raises:
            FileFormatError: it is no whole HDF5 file.
            UnsafeFileError: links, storage or types in it lead out of the file or of what model files hold.
        """
        import h5py

        if self.group is not None:
            yield self.group
            return
        if self.hdf5_findings and not allow_unsafe:
            first = self.hdf5_findings[0]
            raise UnsafeFileError(
                f"{self.name!r} holds at {first.where} {first.what}. Model files hold their data themselves, as plain "
                "numbers and text; `python -m kcore inspect FILE` lists what is in it."
            )
        if self._stream is not None:
            self._stream.seek(0)
        try:
            file = h5py.File(self._path if self._path is not None else self._stream, "r")
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise FileFormatError(f"{self.name!r} is not a whole HDF5 file: {error}.") from error
        with file:
            yield file


class Target:
    """What is to be written. Files at paths are replaced atomically: see `kcore.saving.atomic`.

    Args:
        given: a path, a writable binary file object, an open `h5py.File` or `h5py.Group`, or a dictionary or `H5Dict`
            to be filled.

    Attributes:
        name: what errors call it; for paths it decides the format.
        is_path: whether it is a path.
    """

    def __init__(self, given: Any) -> None:
        given = dictionaries.unwrapped(given)
        self.is_path = isinstance(given, (str, os.PathLike))
        self.group = given if _is_group(given) else None
        if not self.is_path and self.group is None and not hasattr(given, "write") and not isinstance(given, dict):
            raise ArgumentTypeError(f"Expected {_EXPECTED.replace('bytes, ', '')} to write to, got {given!r}.")
        self._given = given
        self.name = os.fspath(given) if self.is_path else str(getattr(given, "name", "<file object>"))

    @contextmanager
    def binary(self) -> Iterator[IO[bytes]]:
        """A stream to write the content to."""
        if self.group is not None:
            raise FileFormatError(f"{self.name!r} is an open HDF5 group: this format is written to files.")
        if isinstance(self._given, dict):
            raise FileFormatError("A dictionary holds models of Keras 2's layout alone.")
        if not self.is_path:
            yield self._given
            return
        with writing(self._given) as file:
            yield file

    @contextmanager
    def hdf5(self) -> Iterator[Any]:
        """An open HDF5 group to write to."""
        if self.group is not None:
            yield self.group
            return
        if isinstance(self._given, dict):
            with dictionaries.filling(self._given) as file:
                yield file
            return
        with self.binary() as stream, new_hdf5(stream, self.name) as file:
            yield file


def _is_group(given: Any) -> bool:
    import h5py

    return isinstance(given, h5py.Group)


def _at(stream: IO[bytes], offset: int, count: int) -> bytes:
    stream.seek(offset)
    return stream.read(count)
