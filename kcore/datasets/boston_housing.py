"""Boston housing: prices of houses in the 1970s, from 13 numbers about their neighbourhoods.

One of the numbers was made from the share of Black inhabitants: fit for learning about bias, not for anything else.
"""

from __future__ import annotations

import numpy as np

from kcore.datasets import npz
from kcore.datasets.public import public_file
from kcore.errors import ArgumentError

Split = tuple[np.ndarray, np.ndarray]


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Split, Split]:
    """Features of shape `(13,)` and prices in thousands of dollars, of 506 places, shuffled.

    Args:
        path: where to keep the file, relative to the cache's `datasets`.
        test_split: the part that is for testing.
        seed: of the shuffle.
    """
    if not 0 <= test_split < 1:
        raise ArgumentError(f"test_split is at least 0 and below 1, got {test_split!r}.")
    arrays = npz.read(public_file("boston_housing.npz", path))
    order = np.arange(len(arrays["x"]))
    np.random.RandomState(seed).shuffle(order)
    x, y = arrays["x"][order], arrays["y"][order]
    split = int(len(x) * (1 - test_split))
    return (x[:split], y[:split]), (x[split:], y[split:])
