"""Where the public files are, and what must be in them."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from kcore import config
from kcore.utils.download import get_file, validate_file

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"


class Source(NamedTuple):
    """A published file.

    Attributes:
        origin: its URL.
        file_hash: of what is there; None where nobody has published one.
        earlier: the hash of another version with the same content, which Keras 2 fetched; caches may hold it.
    """

    origin: str
    file_hash: str | None = None
    earlier: str | None = None


SOURCES = {
    "mnist.npz": Source(
        _KERAS + "mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        "8a61469f7ea1b51cbae51d4f78837e45",
    ),
    "boston_housing.npz": Source(
        _KERAS + "boston_housing.npz", "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    ),
    "imdb.npz": Source(
        _KERAS + "imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
        "599dadb1135973df5b59232a0e9a887c",
    ),
    "imdb_word_index.json": Source(_KERAS + "imdb_word_index.json", "bfafd718b763782e994055a2d397834f"),
    "reuters.npz": Source(
        _KERAS + "reuters.npz",
        "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
        "87aedbeb0cb229e378797a632c1997b6",
    ),
    "reuters_word_index.json": Source(_KERAS + "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921"),
    "cifar-10-batches-py": Source(
        _TORONTO + "cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    ),
    "cifar-100-python": Source(
        _TORONTO + "cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
    ),
    "train-labels-idx1-ubyte.gz": Source(_KERAS + "train-labels-idx1-ubyte.gz"),
    "train-images-idx3-ubyte.gz": Source(_KERAS + "train-images-idx3-ubyte.gz"),
    "t10k-labels-idx1-ubyte.gz": Source(_KERAS + "t10k-labels-idx1-ubyte.gz"),
    "t10k-images-idx3-ubyte.gz": Source(_KERAS + "t10k-images-idx3-ubyte.gz"),
}


def public_file(name: str, path: str | None = None, **options: Any) -> str:
    """The path of a published file in the cache, fetched when it is not there.

    Args:
        name: its row in `SOURCES`.
        path: where to keep it: a name in the cache's folder `datasets`, or an absolute path; `name` when None.
        options: further arguments of `get_file`.
    """
    source = SOURCES[name]
    path = path or name
    if source.earlier is not None:
        cached = os.path.join(config.config_folder(), "datasets", path)
        with contextlib.suppress(OSError):
            if validate_file(cached, source.earlier):
                return cached
    return get_file(path, source.origin, file_hash=source.file_hash, **options)
