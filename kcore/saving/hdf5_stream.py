"""HDF5 files written through a stream of Python's, so that a write that fails is an ordinary error.

The HDF5 library does not get over a full disk: a file that it could not write can neither be closed nor forgotten, the
errors of later attempts hide the first one, and some of them crash the process. Here the library never learns of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


@contextmanager
def new_hdf5(stream: IO[bytes], name: str) -> Iterator[Any]:
    """An `h5py.File` that is written to a stream; the first error of the stream is raised, whatever came of it.

    Args:
        stream: binary, with `write`, `read`, `seek`, `truncate`.
        name: what the file calls itself.

    >>> import io
    >>> stream = io.BytesIO()
    >>> with new_hdf5(stream, "a.h5") as file:
    ...     file.attrs["x"] = 1
    >>> stream.getvalue()[1:4]
    b'HDF'
    """
    import h5py

    guard = _Guard(stream, name)
    try:
        with h5py.File(guard, "w") as file:
            yield file
    except BaseException as error:
        if guard.error is not None and guard.error is not error:
            raise guard.error from None
        raise
    if guard.error is not None:
        raise guard.error


class _Guard:
    """A stream that keeps its first error to itself, and from then on only pretends to write."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._at = 0
        self._end = 0
        self.error: BaseException | None = None

    def __repr__(self) -> str:
        return self._name  # h5py makes the file's name of it

    def _do(self, operation: str, *arguments: Any) -> Any:
        """What the stream answers; None after an error."""
        if self.error is None:
            try:
                self._stream.seek(self._at)
                return getattr(self._stream, operation)(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised when HDF5 is done
                self.error = error
        return None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._do("write", data)
        self._at += size
        self._end = max(self._end, self._at)
        return size

    def read(self, size: int = -1) -> bytes:
        size = self._end - self._at if size < 0 else size
        data = self._do("read", size) or b""
        self._at += size
        return data.ljust(size, b"\0")

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = self.read(len(view))
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self._end = self._at if size is None else size
        self._do("truncate", self._end)
        return self._end

    def flush(self) -> None:
        self._do("flush")
