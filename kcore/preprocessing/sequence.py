"""Sequences: padding, skip-gram pairs, windows over time series.

Random choices come from Python's `random` (skip-grams) and from `np.random` (windows), as in Keras 2.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence as AnySequence
from typing import Any

import numpy as np

from kcore.errors import ArgumentError, DataError, DTypeError, FileFormatError
from kcore.utils.data_utils import Sequence


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: a list of sequences, whose items are numbers or arrays of one shape.
        maxlen: length of the result; that of the longest sequence when None.
        dtype: of the result; `object` for text of any length.
        padding: `"pre"` or `"post"`: where short sequences are filled up.
        truncating: `"pre"` or `"post"`: where long sequences are cut.
        value: what they are filled with.

    Returns:
        An array of shape `(len(sequences), maxlen, *shape of an item)`.

    Raises:
        DataError: something that is not a sequence, or items of different shapes.
        ArgumentError: another padding, truncating or value than allowed.

    >>> pad_sequences([[1], [2, 3, 4]])
    array([[0, 0, 1],
           [2, 3, 4]], dtype=int32)
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2, padding="post", value=9).tolist()
    [[1, 9], [3, 4]]
    """
    _one_of("padding", padding)
    _one_of("truncating", truncating)
    if isinstance(value, str) and np.dtype(dtype).kind not in "OUS":
        raise ArgumentError(f"value={value!r} is text, which dtype={dtype!r} cannot hold; use dtype=object.")
    lengths = _lengths(sequences)
    if maxlen is None:
        if not lengths:
            raise DataError("`sequences` is empty, so it has no longest sequence; give `maxlen`.")
        maxlen = max(lengths)
    first: Any = next((s for s, length in zip(sequences, lengths) if length), [])
    item_shape = np.asarray(first).shape[1:]

    padded = np.full((len(lengths), maxlen, *item_shape), value, dtype=dtype)
    for row, (items, length) in enumerate(zip(sequences, lengths)):
        if not length:
            continue
        kept = items[max(0, length - maxlen) :] if truncating == "pre" else items[:maxlen]
        kept = np.asarray(kept, dtype=dtype)
        if len(kept) and kept.shape[1:] != item_shape:
            raise DataError(
                f"The items of sequence {row} have the shape {kept.shape[1:]}; those before it have {item_shape}."
            )
        start = maxlen - len(kept) if padding == "pre" else 0
        padded[row, start : start + len(kept)] = kept
    return padded


def _one_of(name: str, value: str) -> None:
    if value not in ("pre", "post"):
        raise ArgumentError(f"{name} is 'pre' or 'post', got {value!r}.")


def _lengths(sequences: Any) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise DataError(
            f"`sequences` must be a list of sequences, got {type(sequences).__name__}; `list(...)` makes one."
        )
    lengths = []
    for i, items in enumerate(sequences):
        try:
            lengths.append(len(items))
        except TypeError:
            raise DataError(f"`sequences` must be a list of sequences; its item {i} is {items!r}.") from None
    return lengths


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """With which probability the words of a dictionary, sorted by frequency, are kept by `skipgrams`.

    word2vec keeps a word of frequency f with probability `min(1, sqrt(f / s) / (f / s))`, s being `sampling_factor`.
    Frequencies are assumed to follow Zipf's law, `1 / f(rank) ~ rank (log(rank) + gamma) + 1/2 - 1 / (12 rank)`.

    Args:
        size: of the dictionary. Entry i is for the word of rank i; entry 0, which is no word, is that of rank 1.
        sampling_factor: the smaller, the fewer frequent words are kept.
    """
    gamma = 0.577  # Euler's constant, with the digits that Keras gave it
    rank = np.arange(size)
    rank[:1] = 1
    inverse_frequency = rank * (np.log(rank) + gamma) + 0.5 - 1.0 / (12.0 * rank)
    return np.minimum(1.0, np.sqrt(sampling_factor * inverse_frequency))


def skipgrams(
    sequence: AnySequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of words that are close to each other, and of words that need not be, to train word vectors with.

    Args:
        sequence: word indices; 0 stands for no word and is skipped.
        vocabulary_size: the largest index plus 1.
        window_size: how far apart the words of a pair may be.
        negative_samples: how many random pairs there are for each true one.
        shuffle: whether the pairs come in random order.
        categorical: whether labels are `[0, 1]` and `[1, 0]` instead of 1 and 0.
        sampling_table: probability of each word to be used; see `make_sampling_table`.
        seed: of the shuffle. Python's `random` supplies all other choices.

    Returns:
        Pairs `[word, other word]`, and their labels: 1 for words of one window, 0 for random words.

    >>> pairs, labels = skipgrams([1, 2, 3], vocabulary_size=4, window_size=1, negative_samples=0, shuffle=False)
    >>> pairs
    [[1, 2], [2, 1], [2, 3], [3, 2]]
    """
    couples = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):  # noqa: S311
            continue
        window = range(max(0, i - window_size), min(len(sequence), i + window_size + 1))
        couples += [[word, sequence[j]] for j in window if j != i and sequence[j]]
    positive, negative = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [positive] * len(couples)

    if negative_samples > 0:
        words = [word for word, _ in couples]
        random.shuffle(words)
        number = int(len(labels) * negative_samples)
        couples += [
            [words[i % len(words)], random.randint(1, vocabulary_size - 1)]  # noqa: S311
            for i in range(number)
        ]
        labels += [negative] * number

    if shuffle:
        seed = random.randint(0, 10_000_000) if seed is None else seed  # noqa: S311
        for items in (couples, labels):
            random.seed(seed)
            random.shuffle(items)
    return couples, labels


def _remove_long_seq(maxlen: int, seq: Any, label: Any) -> tuple[list[Any], list[Any]]:
    """The sequences that are shorter than `maxlen`, and their labels."""
    kept = [(s, y) for s, y in zip(seq, label) if len(s) < maxlen]
    return [s for s, _ in kept], [y for _, y in kept]


class TimeseriesGenerator(Sequence):
    """Batches of windows over a time series, each with the target that follows it.

    The window for row t holds `data[t - length], data[t - length + sampling_rate], ...`, up to row t - 1; its target is
    `targets[t]`.

    Args:
        data: the steps, along axis 0.
        targets: one for each step.
        length: number of steps that a window spans.
        sampling_rate: distance between the steps that are taken from a window.
        stride: distance between windows.
        start_index: earlier steps are not used.
        end_index: later steps are not used as targets; the last step when None.
        shuffle: whether windows are drawn at random (with `np.random`, with repetition) instead of in order.
        reverse: whether windows run backward in time.
        batch_size: number of windows in a batch; the last may have fewer.

    Raises:
        ArgumentError: no window fits.
        DataError: data and targets differ in length.

    >>> batches = TimeseriesGenerator(np.arange(6), 10 * np.arange(6), length=3, batch_size=2)
    >>> len(batches)
    2
    >>> x, y = batches[0]
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3]], [30, 40])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        if len(data) != len(targets):
            raise DataError(f"There are {len(data)} steps of data, but {len(targets)} targets; each step needs one.")
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ArgumentError(
                f"start_index + length = {self.start_index} lies after end_index = {self.end_index}, so no window has "
                "a target. Give more data, or a smaller length."
            )

    def __len__(self) -> int:
        """The number of batches."""
        per_batch = self.batch_size * self.stride
        return (self.end_index - self.start_index + per_batch) // per_batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch `index`: windows of shape `(samples, steps, ...)` and their targets."""
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)  # noqa: NPY002
        else:
            per_batch = self.batch_size * self.stride
            first = self.start_index + per_batch * index
            rows = np.arange(first, min(first + per_batch, self.end_index + 1), self.stride)
        samples = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """The arguments; data and targets as JSON text. `start_index` is the first row that has a whole window."""
        return {
            "data": _as_json(self.data, "data"),
            "targets": _as_json(self.targets, "targets"),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """Class and configuration as JSON text; `kwargs` are those of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _as_json(values: Any, name: str) -> str:
    if isinstance(values, np.ndarray):
        values = values.tolist()
    try:
        return json.dumps(values)
    except TypeError as error:
        raise DTypeError(
            f"The {name} of type {type(values).__name__} cannot be written as JSON ({error}); use arrays or lists."
        ) from error


def timeseries_generator_from_json(json_string: str) -> TimeseriesGenerator:
    """The generator that `to_json` described.

    Its windows are those of the original. (Keras 2 added `length` to `start_index` once more on the way back.)

    Raises:
        FileFormatError: the text describes none.
    """
    try:
        config = dict(json.loads(json_string)["config"])
        data, targets = json.loads(config.pop("data")), json.loads(config.pop("targets"))
        config["start_index"] -= config["length"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"The text does not describe a TimeseriesGenerator ({error!r}).") from error
    return TimeseriesGenerator(data, targets, **config)
