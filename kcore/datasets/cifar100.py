"""CIFAR-100: 60,000 small colour photographs in a hundred classes, or in twenty."""

from __future__ import annotations

import os

import numpy as np

from kcore.datasets.cifar import arranged, load_batch
from kcore.datasets.public import public_file
from kcore.errors import unknown_name

Split = tuple[np.ndarray, np.ndarray]


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """Images of 32 by 32 pixels, uint8, and labels of shape `(n, 1)`: 50,000 for training, 10,000 for testing.

    Args:
        label_mode: `"fine"` for the hundred classes, `"coarse"` for the twenty groups of them.
    """
    if label_mode not in ("fine", "coarse"):
        raise unknown_name("label_mode", label_mode, ("fine", "coarse"))
    folder = public_file("cifar-100-python", untar=True)
    train, test = (load_batch(os.path.join(folder, part), f"{label_mode}_labels") for part in ("train", "test"))
    return arranged(*train), arranged(*test)
