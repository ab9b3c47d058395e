"""Reuters: 11,228 newswires in 46 topics."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.datasets import npz
from kcore.datasets.public import public_file
from kcore.datasets.words import Choice, renamed, shuffled, word_index

Split = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """Newswires as lists of word numbers, and the number of their topic.

    Args:
        test_split: the part that is for testing.
        path, num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: see `imdb.load_data`.
    """
    choice = Choice(renamed(num_words, kwargs), skip_top, maxlen, start_char, oov_char, index_from)
    arrays = npz.read(public_file("reuters.npz", path))
    x, y = shuffled(np.random.RandomState(seed), arrays["x"], arrays["y"])
    xs, ys = choice.apply([*x], y)
    split = int(len(xs) * (1 - test_split))
    return (xs[:split], ys[:split]), (xs[split:], ys[split:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Words to numbers, without `index_from`.

    Args:
        path: where to keep the file, relative to the cache's `datasets`.
    """
    return word_index("reuters_word_index.json", path)
