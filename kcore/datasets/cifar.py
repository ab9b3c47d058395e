"""What CIFAR-10 and CIFAR-100 share: the format of their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kcore import config
from kcore.datasets import plain_pickle
from kcore.errors import FileFormatError


def load_batch(fpath: str | os.PathLike[str], label_key: str = "labels") -> tuple[np.ndarray, list[int]]:
    """The images of a file, of shape `(n, 3, 32, 32)`, uint8, and their labels.

    Args:
        fpath: the file.
        label_key: which labels: `"labels"`; of CIFAR-100 `"fine_labels"` or `"coarse_labels"`.
    """
    content: Any = plain_pickle.loads(Path(fpath).read_bytes())
    try:
        content = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        return content["data"].reshape(-1, 3, 32, 32), content[label_key]
    except (AttributeError, KeyError, ValueError) as error:
        raise FileFormatError(f"{os.fspath(fpath)!r} is no file of CIFAR images with {label_key!r}.") from error


def arranged(x: np.ndarray, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images with channels where the configuration has them, and labels as a column."""
    last = config.image_data_format() == "channels_last"
    return x.transpose(0, 2, 3, 1) if last else x, np.reshape(y, (len(y), 1))
