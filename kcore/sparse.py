"""Sparse data on the host: `SparseArray`, the one form in which sparse values cross from users to backends and back.

It is plain data over NumPy: SciPy is never imported here, only asked for its coordinates where a user gives one of its
matrices. What a sparse value is in a graph is said by `TensorSpec.sparse`; the ops on it are in `kcore.ops.sparse`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kcore.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class SparseArray:
    """The entries of an array of which most are zero, in canonical form: row-major order, no position twice.

    `SparseArray.of` makes the form canonical; the constructor trusts.

    Attributes:
        indices: int64 array (entries, rank): the position of each entry.
        values: array (entries,). Zeros may be among them.
        shape: of the whole array.

    >>> SparseArray.of([[1, 0], [0, 2], [1, 0]], [1., 2., 3.], (2, 3)).toarray()
    array([[0., 0., 2.],
           [4., 0., 0.]])
    """

    indices: np.ndarray
    values: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, indices: Any, values: Any, shape: Any) -> SparseArray:
        """The canonical form of entries in any order; entries at one position are summed.

        Raises:
            ShapeError: indices, values and shape that do not fit, or an index outside the shape.
        """
        sizes = tuple(int(n) for n in shape)
        values = np.asarray(values)
        indices = np.asarray(indices, np.int64).reshape((-1, len(sizes)) if len(values) == 0 else np.shape(indices))
        if values.ndim != 1 or indices.shape != (len(values), len(sizes)):
            raise ShapeError(
                f"A sparse array of shape {sizes} takes indices of shape (entries, {len(sizes)}) and values of shape "
                f"(entries,); got {indices.shape} and {values.shape}."
            )
        if ((indices < 0) | (indices >= np.asarray(sizes, np.int64))).any():
            raise ShapeError(f"A sparse array of shape {sizes} has an entry outside it.")
        flat = np.ravel_multi_index(tuple(indices.T), sizes) if len(values) else np.zeros(0, np.int64)
        if (np.diff(flat) > 0).all():
            return cls(indices, values, sizes)
        order = np.argsort(flat, kind="stable")
        starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
        add = np.logical_or if values.dtype == bool else np.add
        return cls(indices[order][starts], add.reduceat(values[order], starts).astype(values.dtype), sizes)

    @classmethod
    def from_dense(cls, array: Any) -> SparseArray:
        """The entries of an array that are not zero."""
        array = np.asarray(array)
        indices = np.argwhere(array)
        return cls(indices, array[tuple(indices.T)], array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.values.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return len(self.values)

    @property
    def dense_shape(self) -> tuple[int, ...]:
        """The shape, by the name that TensorFlow's sparse values have for it."""
        return self.shape

    @cached_property
    def row_starts(self) -> np.ndarray:
        """Where the entries of each row (index along the first axis) begin, and the number of all."""
        return np.searchsorted(self.indices[:, 0], np.arange(self.shape[0] + 1))

    def astype(self, dtype: Any) -> SparseArray:
        """The same entries in another dtype."""
        return self if self.dtype == dtype else SparseArray(self.indices, self.values.astype(dtype), self.shape)

    def toarray(self) -> np.ndarray:
        """The dense array."""
        dense = np.zeros(self.shape, self.dtype)
        dense[tuple(self.indices.T)] = self.values
        return dense

    def __getitem__(self, rows: Any) -> SparseArray:
        """Some of the rows: a slice, or an array of indices.

        >>> SparseArray.from_dense(np.eye(3))[np.array([2, 2, 0])].toarray()
        array([[0., 0., 1.],
               [0., 0., 1.],
               [1., 0., 0.]])
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.shape[0])
            if step == 1:
                return self._block(start, max(start, stop))
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        rows = np.where(rows < 0, rows + self.shape[0], rows)
        starts, counts = self.row_starts[rows], np.diff(self.row_starts)[rows]
        ends = np.cumsum(counts)
        taken = np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
        indices = self.indices[taken]
        indices[:, 0] = np.repeat(np.arange(len(rows)), counts)
        return SparseArray(indices, self.values[taken], (len(rows), *self.shape[1:]))

    def _block(self, start: int, stop: int) -> SparseArray:
        first, last = self.row_starts[start], self.row_starts[stop]
        indices = self.indices[first:last].copy()
        indices[:, 0] -= start
        return SparseArray(indices, self.values[first:last], (stop - start, *self.shape[1:]))

    def dot(self, dense: np.ndarray, adjoint: bool = False) -> np.ndarray:
        """The product of this matrix, or of its transpose, with a dense one."""
        into, out_of = (1, 0) if adjoint else (0, 1)
        product = np.zeros((self.shape[into], dense.shape[1]), np.result_type(self.dtype, dense.dtype))
        np.add.at(product, self.indices[:, into], self.values[:, None] * dense[self.indices[:, out_of]])
        return product

    def __repr__(self) -> str:
        return f"<SparseArray shape={self.shape} dtype={self.dtype} with {self.nnz} entries>"


def concatenate(arrays: list[SparseArray], axis: int) -> SparseArray:
    """Sparse arrays joined along an axis.

    >>> concatenate([SparseArray.from_dense(np.eye(2)), SparseArray.from_dense(np.ones((2, 1)))], 1).toarray()
    array([[1., 0., 1.],
           [0., 1., 1.]])
    """
    sizes = [a.shape[axis] for a in arrays]
    moved = [a.indices + offset * (np.arange(a.ndim) == axis) for a, offset in zip(arrays, np.cumsum([0, *sizes]))]
    shape = (*arrays[0].shape[:axis], sum(sizes), *arrays[0].shape[axis + 1 :])
    return SparseArray.of(np.concatenate(moved), np.concatenate([a.values for a in arrays]), shape)


def is_sparse_data(value: Any) -> bool:
    """Whether the value is sparse data on the host: a `SparseArray`, or a matrix of SciPy."""
    return isinstance(value, SparseArray) or hasattr(value, "tocoo")


def as_sparse(value: Any) -> SparseArray:
    """Sparse data from a `SparseArray`, a SciPy matrix, a triple (indices, values, shape), or a dense array.

    Raises:
        DataError: it is none of them.

    >>> as_sparse(([[0, 1]], [5.], (2, 2))).toarray()
    array([[0., 5.],
           [0., 0.]])
    """
    if isinstance(value, SparseArray):
        return value
    if hasattr(value, "tocoo"):
        coo = value.tocoo()
        return SparseArray.of(np.stack((coo.row, coo.col), axis=1), coo.data, coo.shape)
    if isinstance(value, tuple) and len(value) == 3 and np.ndim(value[0]) == 2:
        return SparseArray.of(*value)
    try:
        return SparseArray.from_dense(value)
    except (TypeError, ValueError):
        raise DataError(
            "Expected sparse data: a SciPy sparse matrix, a kcore.sparse.SparseArray, a triple (indices, values, "
            f"shape) or a dense array; got {type(value).__name__}."
        ) from None


def to_native(backend: Any, value: SparseArray, dtype: str) -> Any:
    """The backend's sparse tensor; a dense one where it declares no sparse tensors (`capabilities.sparse`)."""
    if backend.capabilities.sparse:
        return backend.from_sparse(value, dtype)
    return backend.asarray(value.toarray(), dtype)


def to_host(backend: Any, value: Any) -> SparseArray:
    """The entries of what a backend has for a sparse tensor."""
    return backend.to_sparse(value) if backend.capabilities.sparse else SparseArray.from_dense(backend.to_numpy(value))  # type: ignore[no-any-return]
