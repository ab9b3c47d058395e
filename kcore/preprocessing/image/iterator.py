"""Batches by index, in order or shuffled, forever: what all image iterators share."""

from __future__ import annotations

import threading
from collections.abc import Iterator as AnyIterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.errors import ArgumentError
from kcore.preprocessing.image.listing import EXTENSIONS
from kcore.utils.data_utils import Sequence

#: The attributes in which an iterator changes.
_PLACE = ("index_array", "total_batches_seen", "batch_index")


class Iterator(Sequence):
    """Base of image iterators: a Sequence that can also be iterated, without end.

    Several threads may ask for batches at once. Subclasses write `_get_batches_of_transformed_samples`.

    Args:
        n: number of samples.
        batch_size: number of samples in a batch; the last of an epoch may have fewer.
        shuffle: whether each epoch has its own random order.
        seed: `np.random` is seeded with `seed + number of batches so far` before each batch. None leaves it alone.
    """

    white_list_formats = EXTENSIONS

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None
        self.index_generator = self._flow_index()

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return (self.n + self.batch_size - 1) // self.batch_size

    def __getitem__(self, idx: int) -> Any:
        """Batch `idx` of this epoch."""
        if idx >= len(self):
            raise ArgumentError(f"There is no batch {idx}: the Sequence has the length {len(self)}.")
        with self.lock:
            self._seed_next_batch()
            self.total_batches_seen += 1
            order = self._set_index_array() if self.index_array is None else self.index_array
        return self._get_batches_of_transformed_samples(order[self.batch_size * idx : self.batch_size * (idx + 1)])

    def _seed_next_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)  # noqa: NPY002 - transformations draw from it

    def _set_index_array(self) -> np.ndarray:
        """Choose the order of the next epoch."""
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)  # noqa: NPY002
        return self.index_array

    def on_epoch_end(self) -> None:
        """Choose the order of the next epoch."""
        with self.lock:
            self._set_index_array()

    def reset(self) -> None:
        """Let the next batch be the first of a new epoch."""
        self.batch_index = 0

    def _flow_index(self) -> AnyIterator[np.ndarray]:
        """The sample indices of batch after batch, without end."""
        while True:
            self._seed_next_batch()
            if self.batch_index == 0 or self.index_array is None:
                self._set_index_array()
            order = self.index_array
            assert order is not None
            start = self.batch_index * self.batch_size % self.n if self.n else 0
            self.batch_index = self.batch_index + 1 if self.n > start + self.batch_size else 0
            self.total_batches_seen += 1
            yield order[start : start + self.batch_size]

    def __iter__(self) -> AnyIterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """The next batch."""
        with self.lock:
            index_array = next(self.index_generator)
        # Outside of the lock: threads read and transform images at the same time.
        return self._get_batches_of_transformed_samples(index_array)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        """The batch of the samples with these indices."""
        raise NotImplementedError(f"{type(self).__name__} does not define _get_batches_of_transformed_samples.")

    def __getstate__(self) -> dict[str, Any]:
        # For worker processes: locks and running generators cannot be sent.
        return {name: value for name, value in vars(self).items() if name not in ("lock", "index_generator")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.lock = threading.Lock()
        self.reset()
        self.index_generator = self._flow_index()

    def get_state(self) -> dict[str, Any]:
        """Where it is: the order of this epoch's samples, and the batches so far. `BackupAndRestore` keeps it."""
        with self.lock:
            return {name: getattr(self, name) for name in _PLACE}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on where an iterator over the same samples was. Raises ArgumentError when they are not as many."""
        order = state["index_array"]
        if order is not None and len(order) != self.n:
            raise ArgumentError(f"it was made with {len(order)} images, now there are {self.n}.")
        with self.lock:
            vars(self).update({name: state[name] for name in _PLACE})
