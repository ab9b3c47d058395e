"""CIFAR-10: 60,000 small colour photographs in ten classes."""

from __future__ import annotations

import os

import numpy as np

from kcore.datasets.cifar import arranged, load_batch
from kcore.datasets.public import public_file

Split = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Split, Split]:
    """Images of 32 by 32 pixels, uint8, and labels of shape `(n, 1)`: 50,000 for training, 10,000 for testing.

    The classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.
    """
    folder = public_file("cifar-10-batches-py", untar=True)
    batches = [load_batch(os.path.join(folder, f"data_batch_{i}")) for i in range(1, 6)]
    x = np.concatenate([images for images, _ in batches])
    y = np.concatenate([labels for _, labels in batches]).astype("uint8")
    return arranged(x, y), arranged(*load_batch(os.path.join(folder, "test_batch")))
