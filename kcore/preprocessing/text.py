"""Texts to words, words to numbers."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, DTypeError, FileFormatError, unknown_name

#: All punctuation but the apostrophe, tabs, line ends.
_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "freq", "tfidf")


def text_to_word_sequence(
    text: str, filters: Iterable[str] = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text.

    Args:
        text: the text.
        filters: characters that end words as `split` does.
        lower: whether words are turned into lower case.
        split: what stands between words.

    >>> text_to_word_sequence("It's the cat, the CAT!")
    ["it's", 'the', 'cat', 'the', 'cat']
    """
    if lower:
        text = text.lower()
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: str | Callable[[str], int] | None = None,
    filters: Iterable[str] = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """The words of a text as numbers from 1 to n - 1, by their hash; different words may share a number.

    Args:
        text: the text.
        n: size of the space; 0 is no word's number.
        hash_function: `"md5"`, a function of a word, or None for Python's `hash`, which differs from run to run.
        filters, lower, split: as in `text_to_word_sequence`.

    >>> hashing_trick("the cat sat", 100, "md5")
    [51, 3, 10]
    """
    function = _hash_function(hash_function)
    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _hash_function(given: str | Callable[[str], int] | None) -> Callable[[str], int]:
    if given is None:
        return hash
    if given == "md5":
        return lambda word: int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)
    if not callable(given):
        raise ArgumentError(f"hash_function is None, 'md5' or a function, got {given!r}.")
    return given


def one_hot(
    text: str, n: int, filters: Iterable[str] = _FILTERS, lower: bool = True, split: str = " "
) -> list[int]:
    """`hashing_trick` with Python's `hash`. The numbers differ between runs unless PYTHONHASHSEED is set."""
    return hashing_trick(text, n, hash, filters, lower, split)


class Tokenizer:
    """Learns the words of texts, and turns texts into lists of word numbers, or into rows of a matrix, and back.

    Words are numbered from 1 in the order of their frequency; 0 is no word's number.

    Args:
        num_words: only the `num_words - 1` most frequent words are used; all when None.
        filters, lower, split: as in `text_to_word_sequence`.
        char_level: whether characters are used as words.
        oov_token: stands for words that are unknown or too rare, and has the number 1; those are left out when None.
        document_count: number of texts seen so far.

    Attributes:
        word_counts: how often each word occurred, in the order of first occurrence.
        word_docs, index_docs: in how many texts each word (by its name, by its number) occurred.
        word_index, index_word: word to number, number to word.

    >>> tokenizer = Tokenizer(num_words=3, oov_token="?")
    >>> tokenizer.fit_on_texts(["the cat", "the dog"])
    >>> tokenizer.word_index
    {'?': 1, 'the': 2, 'cat': 3, 'dog': 4}
    >>> tokenizer.texts_to_sequences(["the dog"])
    [[2, 1]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: Iterable[str] = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warnings.warn("Tokenizer's argument `nb_words` is now called `num_words`.", stacklevel=2)
            num_words = kwargs.pop("nb_words")
        if kwargs:
            raise DTypeError(f"Tokenizer has no arguments {', '.join(map(repr, kwargs))}.")
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.filters = filters
        self.split = split
        self.lower = lower
        self.num_words = num_words
        self.document_count = document_count
        self.char_level = char_level
        self.oov_token = oov_token
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Learn the words of texts, or of lists of words. May be called again with more."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] += 1
        # The sort is stable: words that are equally frequent stay in the order of their first occurrence.
        by_frequency = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        ranked = ([] if self.oov_token is None else [self.oov_token]) + by_frequency
        self.word_index = dict(zip(ranked, range(1, len(ranked) + 1)))
        self.index_word = {index: word for word, index in self.word_index.items()}
        for word, documents in self.word_docs.items():
            self.index_docs[self.word_index[word]] = documents

    def _words(self, text: Any) -> Any:
        """The words (or characters) of a text; a list is taken as words already."""
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_sequences(self, sequences: Any) -> None:
        """Count in how many sequences each number occurs, for `sequences_to_matrix` without any texts."""
        self.document_count += len(sequences)
        for numbers in sequences:
            for number in dict.fromkeys(numbers):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Each text (or list of words) as the list of its words' numbers."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one by one."""
        for text in texts:
            yield self._frequent([self.word_index.get(word, math.inf) for word in self._words(text)])

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The texts that lists of numbers stand for; words are joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one by one."""
        for numbers in sequences:
            known = [number if number in self.index_word else math.inf for number in numbers]
            yield " ".join(self.index_word[number] for number in self._frequent(known))

    def _frequent(self, numbers: list[Any]) -> list[int]:
        """The numbers, infinity being an unknown word's; rare and unknown words are left out, or replaced."""
        limit = self.num_words or math.inf
        replacement = None if self.oov_token is None else self.word_index.get(self.oov_token)
        if replacement is None:
            return [number for number in numbers if number < limit]
        return [number if number < limit else replacement for number in numbers]

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """Each text as a row with one column for each word; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> np.ndarray:
        """Each list of numbers as a row with one column for each word.

        Args:
            sequences: lists of numbers; those of `num_words` and above are left out.
            mode: what the row holds for a word that occurs `c` times: `"binary"` 1, `"count"` c, `"freq"` c / length,
                `"tfidf"` (1 + log c) log(1 + documents / (1 + documents with the word)).

        Raises:
            ArgumentError: an unknown mode, or nothing was learned yet.
        """
        if mode not in _MODES:
            raise unknown_name("mode", mode, _MODES)
        if not self.num_words and not self.word_index:
            raise ArgumentError("The number of columns is not known: give `num_words`, or call `fit_on_texts` first.")
        if mode == "tfidf" and not self.document_count:
            raise ArgumentError("The mode 'tfidf' needs to know documents: call `fit_on_texts` first.")
        matrix = np.zeros((len(sequences), self.num_words or len(self.word_index) + 1))
        for row, numbers in zip(matrix, sequences):
            for number, count in Counter(j for j in numbers if j < len(row)).items():
                row[number] = self._coefficient(mode, number, count, len(numbers))
        return matrix

    def _coefficient(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "binary":
            return 1.0
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        documents = self.index_docs.get(number, 0)
        return (1 + np.log(count)) * np.log(1 + self.document_count / (1 + documents))

    def get_config(self) -> dict[str, Any]:
        """The arguments, and what was learned as JSON text."""
        arguments = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        learned = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        return {
            **{name: getattr(self, name) for name in arguments},
            **{name: json.dumps(getattr(self, name)) for name in learned},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Class and configuration as JSON text, for `tokenizer_from_json`; `kwargs` are those of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described.

    Raises:
        FileFormatError: the text describes none.
    """
    try:
        config = dict(json.loads(json_string)["config"])
        counts, word_docs, word_index = (
            dict(json.loads(config.pop(name))) for name in ("word_counts", "word_docs", "word_index")
        )
        # JSON has text keys only.
        index_docs, index_word = (
            {int(key): value for key, value in json.loads(config.pop(name)).items()}
            for name in ("index_docs", "index_word")
        )
        tokenizer = Tokenizer(**config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"The text does not describe a Tokenizer ({error!r}).") from error
    # The same kinds of tables as a new tokenizer has, so that it can learn more.
    tokenizer.word_counts.update(counts)
    tokenizer.word_docs.update(word_docs)
    tokenizer.index_docs.update(index_docs)
    tokenizer.word_index = word_index
    tokenizer.index_word = index_word
    return tokenizer
