"""IMDB: 50,000 film reviews, good or bad."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.datasets import npz
from kcore.datasets.public import public_file
from kcore.datasets.words import Choice, renamed, shuffled, word_index

Split = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """Reviews as lists of word numbers, and 1 for good or 0 for bad ones: 25,000 for training, as many for testing.

    Words are numbered by their frequency. 0 is left for padding.

    Args:
        path: where to keep the file, relative to the cache's `datasets`.
        num_words: larger numbers are replaced by `oov_char`; None for the largest one in use.
        skip_top: so are smaller ones.
        maxlen: only reviews shorter than this are used. As in Keras, the first 25,000 of them are for training.
        seed: of the shuffle.
        start_char: begins each review; None for nothing.
        oov_char: stands for words that are left out; None for nothing.
        index_from: added to the numbers of words.

    Raises:
        DataError: no review is shorter than `maxlen`.
    """
    choice = Choice(renamed(num_words, kwargs), skip_top, maxlen, start_char, oov_char, index_from)
    arrays = npz.read(public_file("imdb.npz", path))
    random = np.random.RandomState(seed)
    x_train, y_train = shuffled(random, arrays["x_train"], arrays["y_train"])
    x_test, y_test = shuffled(random, arrays["x_test"], arrays["y_test"])
    xs, ys = choice.apply([*x_train, *x_test], np.concatenate([y_train, y_test]))
    split = len(x_train)
    return (xs[:split], ys[:split]), (xs[split:], ys[split:])


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Words to numbers, without `index_from`.

    Args:
        path: where to keep the file, relative to the cache's `datasets`.
    """
    return word_index("imdb_word_index.json", path)
