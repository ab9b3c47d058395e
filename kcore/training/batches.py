"""Slices of arrays: which samples make a batch, and cutting them out cheaply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.ops import dtypes
from kcore.sparse import SparseArray
from kcore.training.arrays import Rows, is_native

#: An array whose cast copy is at most this large is cast once, before the first batch.
_CAST_AT_ONCE = 64 * 2**20


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Start and end of each batch.

    >>> make_batches(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(i, min(size, i + batch_size)) for i in range(0, size, batch_size)]


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """The indices with whole batches in a new order; a last, smaller batch stays last."""
    whole = len(index_array) // batch_size * batch_size
    blocks = index_array[:whole].reshape(-1, batch_size)
    np.random.shuffle(blocks)  # noqa: NPY002 - the global state is Keras 2's contract
    return np.append(blocks.reshape(-1), index_array[whole:])


class Order:
    """The order of samples in each epoch: as they lie, shuffled, or shuffled in blocks.

    Shuffles accumulate over epochs and come from `np.random`, as in Keras 2.
    """

    def __init__(self, size: int, batch_size: int, shuffle: Any) -> None:
        if shuffle not in (True, False, None, 0, 1, "batch"):
            raise ArgumentError(f"shuffle is True, False or 'batch', got {shuffle!r}.")
        self.size = size
        self.batch_size = batch_size
        self.shuffle = shuffle
        self._indices = np.arange(size) if shuffle else None

    def get_state(self) -> dict[str, Any]:
        """The number of samples, and their present order."""
        return {"size": self.size, "batch_size": self.batch_size, "indices": self._indices}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on with an order that `get_state` gave. Raises ArgumentError when it is of other data."""
        own = self.get_state()
        if "size" not in state:
            raise ArgumentError("it was made with a generator or Sequence; now there are arrays.")
        if any(own[key] != state[key] for key in ("size", "batch_size")) or (
            (self._indices is None) != (state["indices"] is None)
        ):
            raise ArgumentError(
                f"it was made with {state['size']} samples in batches of {state['batch_size']}; now there are "
                f"{self.size} in batches of {self.batch_size}, {'not ' if self._indices is None else ''}shuffled."
            )
        self._indices = state["indices"]

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Nothing else changes the order."""
        return nullcontext()

    def present(self) -> np.ndarray | None:
        """The indices of the epoch under way; None for 0, 1, 2, ..."""
        return self._indices

    def epoch(self) -> np.ndarray | None:
        """The indices of the next epoch; None for 0, 1, 2, ..."""
        if self._indices is None:
            return None
        if self.shuffle == "batch":
            self._indices = batch_shuffle(self._indices, self.batch_size)
        else:
            np.random.shuffle(self._indices)  # noqa: NPY002
        return self._indices


class Slicer:
    """Cuts batches out of several arrays of the same length.

    Args:
        arrays: NumPy arrays, the active backend's tensors, `Rows` of data sets on disk, `SparseArray`s, or SciPy's
            sparse matrices (whose batches become dense).
        types: the dtype that each is fed as.

    Attributes:
        plain: whether all are NumPy arrays, so that parts are views.
        prepared: whether what comes out is ready for `Function.prepared`.
    """

    def __init__(self, arrays: Sequence[Any], types: Sequence[str]) -> None:
        self.arrays = [_cast_early(a, t) for a, t in zip(arrays, types, strict=True)]
        self._takers = [_taker(a) for a in self.arrays]
        self.plain = all(isinstance(a, np.ndarray) for a in self.arrays)
        self.prepared = not any(is_native(a) for a in self.arrays)

    def part(self, start: int, stop: int) -> list[Any]:
        """Samples `start` to `stop`; views of NumPy arrays."""
        if self.plain:
            return [a[start:stop] for a in self.arrays]
        return [_dense(a[start:stop]) for a in self.arrays]

    def take(self, indices: np.ndarray) -> list[Any]:
        """The samples of these indices."""
        return [take(indices) for take in self._takers]

    def everything(self) -> list[Any]:
        """All samples."""
        return [a if isinstance(a, (np.ndarray, SparseArray)) or is_native(a) else _dense(a[:]) for a in self.arrays]


def _cast_early(array: Any, dtype: str) -> Any:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        return K.cast(array, dtype) if is_native(array) else array
    target = dtypes.numpy_dtype(dtype)
    if array.dtype == target or dtype == "bfloat16":
        return array
    size = array.size * target.itemsize
    return array.astype(target) if size <= max(array.nbytes, _CAST_AT_ONCE) else array


def _taker(array: Any) -> Callable[[np.ndarray], Any]:
    if isinstance(array, np.ndarray):
        return lambda indices: array.take(indices, 0)
    if isinstance(array, SparseArray):
        return lambda indices: array[indices]
    if hasattr(array, "tocoo"):
        return lambda indices: array[indices].toarray()
    if isinstance(array, Rows):
        return array.take
    return lambda indices: K.gather(array, indices)


def _dense(part: Any) -> Any:
    if isinstance(part, SparseArray) or is_native(part):
        return part
    return part.toarray() if hasattr(part, "toarray") else np.asarray(part)
