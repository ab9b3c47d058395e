"""Fashion-MNIST: 70,000 pictures of clothes in ten classes, in the shape of MNIST."""

from __future__ import annotations

import gzip
import os
import zlib

import numpy as np

from kcore.datasets.public import public_file
from kcore.errors import FileFormatError

Split = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Split, Split]:
    """Gray images of shape `(28, 28)`, uint8, and their classes: 60,000 for training, 10,000 for testing.

    The classes: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.
    """
    parts = []
    for part in ("train", "t10k"):
        labels = _numbers(f"{part}-labels-idx1-ubyte.gz", 8)
        images = _numbers(f"{part}-images-idx3-ubyte.gz", 16)
        if images.size != labels.size * 28 * 28:
            raise FileFormatError(
                f"The files of the part {part!r} hold {images.size / 784:g} images, but {labels.size} labels. Delete "
                "them, and they are fetched again."
            )
        parts.append((images.reshape(-1, 28, 28), labels))
    return parts[0], parts[1]


def _numbers(name: str, offset: int) -> np.ndarray:
    """The bytes of a file after its header."""
    path = public_file(name, cache_subdir=os.path.join("datasets", "fashion-mnist"))
    try:
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileFormatError(f"{path!r} is damaged ({error}). Delete it, and it is fetched again.") from error
