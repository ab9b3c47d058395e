"""One array out of whatever a user gave: NumPy, tables, data sets on disk, tensors of any framework.

What fits in memory becomes NumPy; the active backend's own tensors stay where they are; data sets on disk stay unread,
behind `Rows`. Nothing here knows of inputs, targets or models.
"""

from __future__ import annotations

import numbers
from decimal import Decimal
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.backend import active
from kcore.errors import DataError, GraphError, KcoreError, NotAnArrayError
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.ops import dtypes
from kcore.sparse import is_sparse_data

#: Kinds of NumPy dtypes that hold no numbers that a network takes.
_NO_NUMBERS = "OUSMmVc"


class Rows:
    """Some rows of a data set that is read piece by piece: an h5py.Dataset, an HDF5Matrix, or what else slices.

    Args:
        source: has `shape`, `dtype` and `__getitem__` for slices.
        start, stop: the rows that count; all when `stop` is None.

    A data set with one axis looks like a column.
    """

    def __init__(self, source: Any, start: int = 0, stop: int | None = None) -> None:
        self.source = source
        self.start = start
        self.stop = int(source.shape[0]) if stop is None else stop
        self._takes_lists = True

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        rest = tuple(int(n) for n in self.source.shape[1:])
        return (self.stop - self.start, *(rest or (1,)))

    @property
    def dtype(self) -> Any:
        """Of the data set; None when it does not tell."""
        return getattr(self.source, "dtype", None)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.stop - self.start

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def part(self, start: int, stop: int | None = None) -> Rows:
        """These rows, unread."""
        return Rows(self.source, self.start + start, self.stop if stop is None else self.start + stop)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read neighbouring rows."""
        start, stop, _ = rows.indices(len(self))
        return self._shaped(self.source[self.start + start : self.start + stop])

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Read the rows of these indices, in increasing order, as files want it; neighbours as one slice."""
        order = np.argsort(indices)
        found = self._sorted(indices[order] + self.start)
        result = np.empty_like(found)
        result[order] = found
        return result

    def _sorted(self, indices: np.ndarray) -> np.ndarray:
        breaks = np.flatnonzero(np.diff(indices) != 1) + 1
        if len(breaks) and self._takes_lists:
            try:
                return self._shaped(self.source[indices.tolist()])
            except (TypeError, IndexError, KeyError, NotImplementedError):
                self._takes_lists = False  # it slices and no more
        runs = np.split(indices, breaks)
        return np.concatenate([self._shaped(self.source[int(r[0]) : int(r[-1]) + 1]) for r in runs])

    def _shaped(self, found: Any) -> np.ndarray:
        found = np.asarray(found)
        return found.reshape(-1, 1) if found.ndim == 1 else found


def part(array: Any, start: int, stop: int | None = None) -> Any:
    """Some samples: a view of an array, unread rows of a data set."""
    return array.part(start, stop) if isinstance(array, Rows) else array[start:stop]


def is_native(value: Any) -> bool:
    """Whether it is the active backend's own tensor, which is fed without a detour."""
    plain = isinstance(value, (np.ndarray, np.generic, Rows)) or is_sparse_data(value)
    return not plain and bool(active.backend().is_native(value))


def on_host(array: Any) -> Any:
    """NumPy of a native tensor or a data set; NumPy and sparse arrays as they are."""
    if isinstance(array, np.ndarray) or is_sparse_data(array):
        return array
    return active.backend().to_numpy(array) if is_native(array) else np.asarray(array)


def as_array(value: Any, what: str) -> Any:
    """One array with an axis of samples. Data with one axis become a column.

    Args:
        value: what the user gave. None stays None.
        what: "input data" or "target data", for errors.

    Returns:
        A NumPy array, a tensor of the active backend, `Rows` of a data set on disk, or a sparse matrix as it is.

    Raises:
        NotAnArrayError: there is no axis of samples, as in a number.
        DataError: what it holds is no numbers.
    """
    if value is None or isinstance(value, Rows):
        return value
    if type(value) is np.ndarray and value.ndim > 1 and value.dtype.kind in "biuf":
        return value  # by far the most frequent
    if isinstance(value, (str, bytes)):
        raise NotAnArrayError(f"Expected an array of samples as {what}, got the {type(value).__name__} {value!r:.60}.")
    if isinstance(value, Symbolic):
        value = _evaluated(value, what)
    if is_sparse_data(value):
        return value if hasattr(value, "__getitem__") else value.tocsr()
    if is_native(value):
        return _native(value, what)
    array = _host_or_rows(value, what)
    return array.reshape(-1, 1) if isinstance(array, np.ndarray) and array.ndim == 1 else array


def _evaluated(value: Symbolic, what: str) -> np.ndarray:
    """The values of a variable, or of a tensor that needs no data."""
    try:
        return np.asarray(K.eval(value))
    except (GraphError, DataError):
        assert isinstance(value, SymbolicTensor)
        raise DataError(
            f"The {what} is a symbolic tensor, which holds no data; expected arrays. Got {value!r}."
        ) from None


def _native(value: Any, what: str) -> Any:
    """A tensor on the current device, cut off from whatever graph made it."""
    backend = active.backend()
    try:
        spec = backend.spec_of(value)
    except (KcoreError, KeyError, TypeError, ValueError):
        spec = None
    if spec is None or spec.dtype not in dtypes.NAMES:
        raise DataError(f"Expected numbers as {what}, got a tensor of dtype {getattr(value, 'dtype', None)}.")
    if not spec.shape:
        raise NotAnArrayError(f"Expected an array of samples as {what}, got the single number {value}.")
    if spec.sparse:
        return K.eval(value)
    tensor = K.stop_gradient(backend.asarray(value))
    return K.expand_dims(tensor, 1) if len(spec.shape) == 1 else tensor


def _host_or_rows(value: Any, what: str) -> Any:
    array = _host(value, what)
    if isinstance(array, np.ndarray) and array.dtype.kind == "O":
        array = _numbers(array, what)
    kind = getattr(getattr(array, "dtype", None), "kind", "f")
    if kind in _NO_NUMBERS:
        raise DataError(f"Expected numbers as {what}, got an array of dtype {array.dtype}.{_advice(kind)}")
    if len(array.shape) == 0:
        raise NotAnArrayError(
            f"Expected an array of samples as {what}, got "
            + (f"the single number {array}." if isinstance(array, np.ndarray) else f"{value!r:.80}.")
        )
    return array if isinstance(array, np.ndarray) else Rows(array)


def _advice(kind: str) -> str:
    if kind in "US":
        return " Turn classes into integers first: np.unique(y, return_inverse=True)[1]."
    if kind in "Mm":
        return " Turn times into numbers first: x.astype('int64')."
    if kind == "c":
        return " Feed real and imaginary parts as features of their own."
    return ""


def _host(value: Any, what: str) -> Any:
    """NumPy of what is in memory; a data set on disk as it is."""
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # without the subclass: a matrix would have two axes whatever is done to it
    if callable(getattr(value, "to_numpy", None)):  # tables
        return np.asarray(value.to_numpy())
    owner = next((b for b in active.loaded() if b.is_native(value)), None)
    if owner is not None:
        return np.asarray(owner.to_numpy(value))
    if hasattr(value, "__dlpack__") or callable(getattr(value, "detach", None)):
        return _foreign(value, what)
    if hasattr(value, "shape") and hasattr(value, "__getitem__") and not isinstance(value, np.generic):
        return value
    return _listed(value, what)


def _foreign(value: Any, what: str) -> np.ndarray:
    """A tensor of a framework whose backend this process has not loaded."""
    for step in ("", "detach", "cpu", "float"):  # away from its gradients, its device, a dtype that NumPy lacks
        if step and callable(getattr(value, step, None)):
            value = getattr(value, step)()
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError):
            continue
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    raise DataError(f"Cannot read the {what}, a {type(value).__name__}, as an array. Convert it to NumPy first.")


def _listed(value: Any, what: str) -> np.ndarray:
    """An array of nested lists. Their numbers may be tensors."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"The {what} cannot be made an array: {error}. Rows of different lengths are made equally long by "
            "keras.preprocessing.sequence.pad_sequences."
        ) from None


def _numbers(array: np.ndarray, what: str) -> np.ndarray:
    """An array of Python objects as numbers, as tables with columns of several types give it."""
    odd = [item for item in array.flat if not isinstance(item, (numbers.Real, Decimal, np.bool_))]
    if not odd:
        return array.astype(np.float64)
    advice = _advice("U") if isinstance(odd[0], (str, bytes)) else (
        " Are its rows of different lengths? Use pad_sequences. Are values missing? Fill them in."
    )  # fmt: skip
    raise DataError(f"Expected numbers as {what}, got an array of dtype object with {odd[0]!r:.60} in it.{advice}")


def as_weights(value: Any) -> np.ndarray:
    """Sample weights as NumPy, with the axes that they have. Raises DataError."""
    if is_native(value) or isinstance(value, Symbolic):
        array = np.asarray(K.eval(value))
    else:
        array = np.asarray(_host(value, "sample_weight"))
    if array.dtype.kind == "O":
        array = _numbers(array, "sample_weight")
    if array.dtype.kind in _NO_NUMBERS:
        raise DataError(f"Expected numbers as sample_weight, got an array of dtype {array.dtype}.")
    return array
