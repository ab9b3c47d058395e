"""Copies of transformed images in a folder, for looking at."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kcore.preprocessing.image.loading import array_to_img


def save_batch(iterator: Any, batch: np.ndarray, index_array: np.ndarray, names: int) -> None:
    """Save a batch in the iterator's `save_to_dir`, as prefix, sample index and one of `names` random numbers."""
    for image, j in zip(batch, index_array):
        number = np.random.randint(names)  # noqa: NPY002 - part of the sequence that a seed gives
        file = f"{iterator.save_prefix}_{j}_{number}.{iterator.save_format}"
        array_to_img(image, iterator.data_format, scale=True).save(os.path.join(iterator.save_to_dir, file))
