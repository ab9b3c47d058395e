"""What IMDB and Reuters share: texts as lists of word numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kcore.datasets.public import public_file
from kcore.errors import DataError, DTypeError
from kcore.preprocessing.sequence import _remove_long_seq


def renamed(num_words: int | None, kwargs: dict[str, Any]) -> int | None:
    """`num_words`, which was once called `nb_words`. Raises DTypeError for other arguments."""
    if "nb_words" in kwargs:
        warnings.warn("The argument `nb_words` is now called `num_words`.", stacklevel=3)
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise DTypeError(f"load_data has no arguments {', '.join(map(repr, kwargs))}.")
    return num_words


@dataclass(frozen=True)
class Choice:
    """Which words and texts are wanted; see `imdb.load_data`."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int

    def apply(self, texts: Sequence[Any], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The texts that are short enough, with the numbers that were asked for; and their labels."""
        start = [] if self.start_char is None else [self.start_char]
        shift = self.index_from or 0
        lists = [start + [word + shift for word in text] for text in texts]
        if self.maxlen:
            lists, kept = _remove_long_seq(self.maxlen, lists, labels)
            if not lists:
                raise DataError(f"No text is shorter than maxlen={self.maxlen}; give a larger one.")
            labels = np.array(kept)
        first, end = self.skip_top, self.num_words or max(max(text, default=0) for text in lists)
        if self.oov_char is None:
            lists = [[word for word in text if first <= word < end] for text in lists]
        else:
            lists = [[word if first <= word < end else self.oov_char for word in text] for text in lists]
        # Always an array of lists, also where all have one length.
        return np.fromiter(lists, dtype=object, count=len(lists)), labels


def shuffled(random: np.random.RandomState, *arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays in one new order."""
    order = np.arange(len(arrays[0]))
    random.shuffle(order)
    return [array[order] for array in arrays]


def word_index(name: str, path: str) -> dict[str, int]:
    """The numbers of words, from a published JSON file."""
    numbers: dict[str, int] = json.loads(Path(public_file(name, path)).read_text(encoding="utf-8"))
    return numbers
