"""HDF5 data as arrays and as dictionaries, and questions to the user about files."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final, Self

import numpy as np

from kcore.errors import ArgumentError, DTypeError, MissingFileError, UnsafeFileError


class HDF5Matrix:
    """A data set in an HDF5 file, or a range of its rows, in place of an array: rows are read when they are asked for.

    Args:
        datapath: the file.
        dataset: the data set's name in it.
        start, end: the range; all when not given.
        normalizer: called with what was read, returns what is given on.

    Matrices of one file share it; it is closed when the last of them is gone. Shuffled training reads single rows:
    `shuffle="batch"` is faster.

    Raises:
        MissingFileError: there is no such file.
        ArgumentError: the range is not inside the data set.

    >>> import h5py, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "data.h5")
    >>> with h5py.File(path, "w") as file:
    ...     file["x"] = np.arange(10)
    >>> matrix = HDF5Matrix(path, "x", start=2, end=8, normalizer=lambda x: x * 10)
    >>> matrix.shape, matrix[1:3].tolist(), matrix[[4, 0]].tolist()
    ((6,), [30, 40], [60, 20])
    """

    #: Open files by path.
    refs: Final[weakref.WeakValueDictionary[str, Any]] = weakref.WeakValueDictionary()

    def __init__(
        self,
        datapath: str | os.PathLike[str],
        dataset: str,
        start: int = 0,
        end: int | None = None,
        normalizer: Callable[[Any], Any] | None = None,
    ) -> None:
        self._file = self._open(os.path.abspath(datapath))
        self.data = self._file[dataset]
        rows = self.data.shape[0]
        self.start = start
        self.end = rows if end is None else end
        if not 0 <= self.start <= self.end <= rows:
            raise ArgumentError(f"Rows {start} to {end} of {dataset!r} were asked for, which has {rows}.")
        self.normalizer = normalizer
        first = self._normalized(self.data[:1])
        self._base_shape = first.shape[1:]
        self._base_dtype = first.dtype

    @classmethod
    def _open(cls, path: str) -> Any:
        import h5py

        file = cls.refs.get(path)
        if file is None or not file:  # files that somebody closed are false
            try:
                file = cls.refs[path] = h5py.File(path, "r")
            except FileNotFoundError as error:
                raise MissingFileError(f"There is no file {path!r}.") from error
        return file

    def _normalized(self, values: Any) -> Any:
        return values if self.normalizer is None else self.normalizer(values)

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, key: Any) -> Any:
        """Rows by a slice, a number, or numbers in any order. Raises IndexError outside of the range."""
        if isinstance(key, slice):
            if key.stop is not None and key.stop > len(self):
                raise IndexError(f"Rows up to {key.stop} were asked for; there are {len(self)}.")
            first, stop, step = key.indices(len(self))
            if step > 0:
                return self._normalized(self.data[first + self.start : max(first, stop) + self.start : step])
            return self[np.arange(first, stop, step)]
        if isinstance(key, (int, np.integer)):
            return self._normalized(self.data[self._rows(np.array([key]))[0]])
        rows = self._rows(np.asarray(key if hasattr(key, "__len__") else list(key)))
        # Files are read in increasing order, each row once.
        increasing, back = np.unique(rows, return_inverse=True)
        return self._normalized(self.data[increasing.tolist()][back])

    def _rows(self, key: np.ndarray) -> np.ndarray:
        """Numbers within the range, negative ones from its end, as numbers of rows in the data set."""
        if key.dtype == bool:
            if key.shape != (len(self),):
                raise IndexError(f"A mask of shape {key.shape} does not fit {len(self)} rows.")
            key = np.flatnonzero(key)
        key = key.astype(np.int64)
        if key.size and (key.max() >= len(self) or key.min() < -len(self)):
            raise IndexError(f"Row {int(key[np.argmax(abs(key))])} was asked for; there are {len(self)}.")
        rows: np.ndarray = np.where(key < 0, key + len(self), key) + self.start
        return rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, with the rows of the range."""
        return (len(self), *self._base_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of what is given on."""
        return self._base_dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))


class H5Dict:
    """An HDF5 file or group, or a plain dictionary, as Keras' saving code sees it: by keys.

    In HDF5, arrays are data sets, other values attributes, and a missing key is a new group. In a dictionary, arrays
    are kept as they are; dictionaries in which Keras pickled arrays are refused.

    Args:
        path: a path, an `h5py.Group`, or a dictionary.
        mode: `"r"`, `"w"` or `"a"`, as for files.

    Raises:
        DTypeError: `path` is none of these.

    >>> with H5Dict({}) as store:
    ...     store["layer"]["kernel"] = np.ones(2)
    ...     store["layer"]["kernel"].tolist(), "bias" in store["layer"]
    ([1.0, 1.0], False)
    """

    def __init__(self, path: Any, mode: str = "a") -> None:
        import h5py

        if not self.is_supported_type(path):
            raise DTypeError(f"Expected a path, an h5py.Group or a dictionary, got {type(path).__name__}.")
        self._is_file = isinstance(path, (str, os.PathLike))
        self.data: Any = h5py.File(path, mode) if self._is_file else path
        self.read_only = mode == "r"
        if isinstance(self.data, dict):
            if mode == "w":
                self.data.clear()
            if not self.read_only:
                self.data["_is_group"] = True  # tells groups from dictionaries that are values

    @staticmethod
    def is_supported_type(path: Any) -> bool:
        """Whether an H5Dict can be made of it."""
        import h5py

        return isinstance(path, (h5py.Group, dict, str, os.PathLike))

    def __setitem__(self, attr: Any, val: Any) -> None:
        if self.read_only:
            raise ArgumentError(f"{attr!r} cannot be stored: this H5Dict was opened for reading.")
        attr = attr.decode("utf-8") if isinstance(attr, bytes) else attr
        if isinstance(self.data, dict):
            self.data[attr] = val
        elif attr in self.data:
            raise KeyError(f"There is a group or an array {attr!r} already.")
        elif isinstance(val, (np.ndarray, np.generic)):
            self.data.create_dataset(attr, data=val)
        elif isinstance(val, (list, tuple)) and val and all(isinstance(v, (str, bytes)) for v in val):
            from kcore.saving.hdf5 import write_names

            write_names(self.data, attr, [v.decode("utf-8") if isinstance(v, bytes) else v for v in val])
        else:
            self.data.attrs[attr] = val

    def __getitem__(self, attr: Any) -> Any:
        attr = attr.decode("utf-8") if isinstance(attr, bytes) else attr
        if isinstance(self.data, dict):
            return self._from_dict(attr)
        if attr in self.data.attrs:
            value = self.data.attrs[attr]
            return value.tolist() if isinstance(value, (np.ndarray, np.bytes_)) and value.dtype.kind == "S" else value
        if attr in self.data:
            return self._from_group(attr)
        if f"{attr}0" in self.data.attrs:  # a list in several parts
            from kcore.saving.hdf5 import read_names

            return read_names(self.data, attr)
        self._refuse_new_group(attr)
        return H5Dict(self.data.create_group(attr))

    def _from_dict(self, attr: str) -> Any:
        if f"_{attr}_pickled" in self.data:
            raise UnsafeFileError(
                f"{attr!r} is a pickle, which runs code when it is read. Make the dictionary again with kcore, or "
                "replace its pickles by arrays."
            )
        if attr not in self.data:
            self._refuse_new_group(attr)
            self.data[attr] = {}
            return H5Dict(self.data[attr])
        value = self.data[attr]
        is_group = isinstance(value, dict) and value.get("_is_group")
        return H5Dict(value, "r" if self.read_only else "a") if is_group else value

    def _from_group(self, attr: str) -> Any:
        import h5py

        from kcore.saving.hdf5 import member

        value = member(self.data, attr)
        return np.asarray(value) if isinstance(value, h5py.Dataset) else H5Dict(value, "r" if self.read_only else "a")

    def _refuse_new_group(self, attr: str) -> None:
        if self.read_only:
            raise ArgumentError(f"There is no {attr!r}, and it cannot be made: this H5Dict was opened for reading.")

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def iter(self) -> Iterator[str]:
        """Its keys."""
        return iter(self.data)

    def __getattr__(self, attr: str) -> Any:
        """What the group or dictionary has."""
        if attr == "data":  # before __init__, as in copying
            raise AttributeError(attr)
        return getattr(self.data, attr)

    def close(self) -> None:
        """Write what is to be written; close the file if it was opened here."""
        if isinstance(self.data, dict):
            return
        self.data.file.flush()
        if self._is_file:
            self.data.close()

    def update(self, *args: Any) -> None:
        """Store what dictionaries hold."""
        for values in args:
            for key, value in (values.items() if isinstance(values, Mapping) else values):
                self[key] = value

    def __contains__(self, key: Any) -> bool:
        return key in self.data or (not isinstance(self.data, dict) and key in self.data.attrs)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        return self[key] if key in self else default  # noqa: SIM401 - this is that `get`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        self.close()


h5dict = H5Dict


def load_from_binary_h5py(load_function: Callable[[Any], Any], stream: IO[bytes]) -> Any:
    """Call a function with the HDF5 file that a binary stream holds, read-only; what it returns."""
    import h5py

    with h5py.File(io.BytesIO(stream.read()), "r") as file:
        return load_function(file)


def save_to_binary_h5py(save_function: Callable[[Any], Any], stream: IO[bytes]) -> Any:
    """Call a function with an empty HDF5 file, then write that file to a binary stream; what the function returned."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        result = save_function(file)
    stream.write(memory.getvalue())
    return result


def ask_to_proceed_with_overwrite(filepath: str | os.PathLike[str]) -> bool:
    """Ask the user whether a file may be replaced; True when the answer is yes."""
    prompt = f"[WARNING] {os.fspath(filepath)} already exists - overwrite? [y/n] "
    answer = input(prompt).strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel). ').strip().lower()
    if answer == "n":
        return False
    print("[TIP] Next time specify overwrite=True!")  # noqa: T201 - a dialogue
    return True
