"""MNIST: 70,000 handwritten digits."""

from __future__ import annotations

import numpy as np

from kcore.datasets import npz
from kcore.datasets.public import public_file

Split = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """Gray images of shape `(28, 28)`, uint8, and their digits: 60,000 for training, 10,000 for testing.

    Args:
        path: where to keep the file, relative to the cache's `datasets`.
    """
    arrays = npz.read(public_file("mnist.npz", path))
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
