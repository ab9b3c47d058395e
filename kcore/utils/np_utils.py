"""NumPy helpers for data: one-hot targets and normalised vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.errors import DataError


def to_categorical(y: Any, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Class indices as one-hot vectors, for use with categorical_crossentropy.

    Args:
        y: integers from 0 to num_classes - 1, of any shape; a last axis of size 1 is dropped.
        num_classes: number of classes; the largest index plus one without.
        dtype: of the result.

    Returns:
        An array of y's shape with an axis of `num_classes` behind it.

    Raises:
        DataError: an index is negative or not below `num_classes`, or there is nothing to count classes in.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    indices = np.array(y, dtype="int64")
    shape = indices.shape
    if shape and shape[-1] == 1 and len(shape) > 1:
        shape = shape[:-1]
    indices = indices.ravel()
    if not num_classes:
        if not indices.size:
            raise DataError("to_categorical got no class indices; say num_classes.")
        num_classes = int(indices.max()) + 1
    if indices.size and not (-num_classes <= indices.min() and indices.max() < num_classes):
        raise DataError(
            f"to_categorical expects class indices from 0 to {num_classes - 1}, got {int(indices.min())} to "
            f"{int(indices.max())}."
        )
    categorical = np.zeros((indices.size, num_classes), dtype)
    categorical[np.arange(indices.size), indices] = 1
    return categorical.reshape((*shape, num_classes))


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """The array divided by its norm along an axis; zero vectors stay zero.

    Args:
        x: array.
        axis: along which vectors lie.
        order: of the norm (2 for Euclidean).

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return np.asarray(x / np.expand_dims(norm, axis))
