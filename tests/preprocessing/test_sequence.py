"""Padding, skip-grams and windows over time series."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore.preprocessing.sequence import (
    TimeseriesGenerator,
    make_sampling_table,
    pad_sequences,
    skipgrams,
    timeseries_generator_from_json,
)

sequences = st.lists(st.lists(st.integers(1, 99), max_size=6), min_size=1, max_size=5)
sides = st.sampled_from(["pre", "post"])


@given(sequences, st.none() | st.integers(0, 8), sides, sides)
def test_padding_keeps_an_end_of_each_sequence_and_fills_the_rest(data, maxlen, padding, truncating):
    padded = pad_sequences(data, maxlen, padding=padding, truncating=truncating, value=-1)
    width = max(map(len, data)) if maxlen is None else maxlen
    assert padded.shape == (len(data), width)
    for row, items in zip(padded.tolist(), data, strict=True):
        kept = items[:width] if truncating == "post" else items[len(items) - min(width, len(items)) :]
        fill = [-1] * (width - len(kept))
        assert row == (kept + fill if padding == "post" else fill + kept)


def test_padding_keeps_the_shape_of_items_and_takes_text():
    assert pad_sequences([np.ones((1, 2)), np.ones((3, 2))]).shape == (2, 3, 2)
    assert pad_sequences([["a"], ["b", "cde"]], dtype="object", value="-").tolist() == [["-", "a"], ["b", "cde"]]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([1, 2], {}, "its item 0 is 1"),
        (iter([[1]]), {}, "must be a list of sequences, got list_iterator"),
        ([], {}, "give `maxlen`"),
        ([[[1, 2]], [[1, 2, 3]]], {}, r"sequence 1 have the shape \(3,\)"),
        ([[1]], {"padding": "left"}, "padding is 'pre' or 'post', got 'left'"),
        ([[1]], {"truncating": "left"}, "truncating is 'pre' or 'post', got 'left'"),
        ([["a"]], {"value": "x"}, "use dtype=object"),
    ],
)
def test_padding_says_what_is_wrong(data, options, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(data, **options)


def test_frequent_words_are_sampled_less():
    table = make_sampling_table(1000, 1e-3)
    assert (np.diff(table) >= 0).all()
    assert 0 < table[1] < table[-1] <= 1
    assert make_sampling_table(0).shape == (0,)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4), st.sampled_from([0, 0.5, 1.0]), st.booleans())
def test_true_pairs_are_those_within_the_window(words, window, negative, shuffle):
    random.seed(1)
    pairs, labels = skipgrams(words, 10, window_size=window, negative_samples=negative, shuffle=shuffle)
    expected = [
        [a, b] for i, a in enumerate(words) for j, b in enumerate(words) if i != j and abs(i - j) <= window and a and b
    ]
    assert sorted(pair for pair, label in zip(pairs, labels, strict=True) if label) == sorted(expected)
    false = [pair for pair, label in zip(pairs, labels, strict=True) if not label]
    assert len(false) == int(len(expected) * negative)
    assert all(1 <= b <= 9 for _, b in false)


def test_a_seed_repeats_the_shuffle_and_labels_follow_their_pairs():
    def pairs():
        return skipgrams(range(20), 20, negative_samples=0, categorical=True, seed=3)

    assert pairs() == pairs()
    assert pairs()[1][0] == [0, 1]


@given(
    st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4), st.integers(12, 19),
    st.integers(1, 7), st.booleans(),
)  # fmt: skip
def test_windows_hold_the_steps_before_their_target(length, rate, stride, start, end, size, reverse):
    data = np.arange(20)
    batches = TimeseriesGenerator(data, data * 10, length, rate, stride, start, end, False, reverse, size)
    windows = [(x.tolist(), int(y)) for batch in batches for x, y in zip(*batch, strict=True)]
    rows = list(range(start + length, end + 1, stride))
    steps = [list(range(row - length, row, rate)) for row in rows]
    assert windows == [(s[::-1] if reverse else s, row * 10) for s, row in zip(steps, rows, strict=True)]
    assert len(batches) == -(-len(rows) // size)


def test_json_brings_the_same_windows_back():
    data = np.arange(12).reshape(6, 2)
    original = TimeseriesGenerator(data, data[:, 0], length=2, start_index=1, batch_size=3)
    copy = timeseries_generator_from_json(original.to_json())
    assert len(copy) == len(original) == 1
    for got, want in zip(copy[0], original[0], strict=True):
        np.testing.assert_array_equal(got, want)


def test_bad_time_series_are_refused():
    with pytest.raises(ValueError, match="3 steps of data, but 2 targets"):
        TimeseriesGenerator([1, 2, 3], [1, 2], 1)
    with pytest.raises(ValueError, match="no window has a target"):
        TimeseriesGenerator([1, 2, 3], [1, 2, 3], 3)
    with pytest.raises(TypeError, match="The data of type list cannot be written as JSON"):
        TimeseriesGenerator([{1}, {2}], [1, 2], 1).get_config()
    with pytest.raises(ValueError, match="does not describe a TimeseriesGenerator"):
        timeseries_generator_from_json('{"config": {"data": "[1]"}}')
