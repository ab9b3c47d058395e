"""Words, numbers, matrices."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore.preprocessing.text import Tokenizer, hashing_trick, one_hot, text_to_word_sequence, tokenizer_from_json

texts = st.lists(st.text("abc AB,\n", max_size=12), min_size=1, max_size=4)


def fitted(corpus, **options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(corpus)
    return tokenizer


@given(texts)
def test_known_words_survive_the_way_to_numbers_and_back(corpus):
    tokenizer = fitted(corpus)
    expected = [" ".join(text_to_word_sequence(text)) for text in corpus]
    assert tokenizer.sequences_to_texts(tokenizer.texts_to_sequences(corpus)) == expected


@given(texts)
def test_numbers_follow_frequency(corpus):
    tokenizer = fitted(corpus)
    counts = [tokenizer.word_counts[tokenizer.index_word[i]] for i in range(1, len(tokenizer.word_index) + 1)]
    assert counts == sorted(counts, reverse=True)


def test_rare_and_unknown_words_are_left_out_or_replaced():
    corpus = ["a a a b b c"]
    assert fitted(corpus, num_words=3).texts_to_sequences(["c a z b"]) == [[1, 2]]
    marked = fitted(corpus, num_words=3, oov_token="?")
    assert marked.texts_to_sequences(["c a z b"]) == [[1, 2, 1, 1]]
    assert marked.sequences_to_texts([[2, 3, 99]]) == ["a ? ?"]


def test_lists_are_words_already_and_characters_can_be_words():
    assert fitted([["A b", "a B"]]).word_index == {"a b": 1}
    assert fitted(["aBa"], char_level=True).word_index == {"a": 1, "b": 2}
    assert fitted(["aA"], char_level=True, lower=False).word_index == {"a": 1, "A": 2}


@given(texts, st.sampled_from(["binary", "count", "freq", "tfidf"]))
def test_matrices_count_the_numbers(corpus, mode):
    tokenizer = fitted([*corpus, "a b"])
    matrix = tokenizer.texts_to_matrix(corpus, mode)
    for row, numbers in zip(matrix, tokenizer.texts_to_sequences(corpus), strict=True):
        counts = np.bincount(numbers, minlength=matrix.shape[1]) if numbers else np.zeros(matrix.shape[1])
        documents = np.array([tokenizer.index_docs.get(i, 0) for i in range(matrix.shape[1])])
        with np.errstate(divide="ignore"):
            idf = np.log(1 + tokenizer.document_count / (1 + documents))
            tfidf = np.where(counts > 0, (1 + np.log(counts)) * idf, 0)
        expected = {
            "binary": counts > 0, "count": counts, "freq": counts / max(1, len(numbers)), "tfidf": tfidf,
        }  # fmt: skip
        np.testing.assert_allclose(row, expected[mode])


def test_matrices_of_numbers_alone_need_num_words():
    tokenizer = Tokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 2, 1], [2, 9]])
    assert dict(tokenizer.index_docs) == {1: 1, 2: 2, 9: 1}
    assert tokenizer.sequences_to_matrix([[1, 1, 9]], "count").tolist() == [[0, 2, 0, 0]]
    with pytest.raises(ValueError, match="give `num_words`"):
        Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="needs to know documents"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf")
    with pytest.raises(ValueError, match="Unknown mode: 'counts'.*Did you mean 'count'"):
        tokenizer.sequences_to_matrix([[1]], "counts")


@given(texts, texts)
def test_json_brings_back_a_tokenizer_that_can_learn_more(first, second):
    original = fitted(first, oov_token="?")
    copy = tokenizer_from_json(original.to_json())
    assert copy.texts_to_sequences(second) == original.texts_to_sequences(second)
    for tokenizer in (original, copy):
        tokenizer.fit_on_texts(second)
    assert json.loads(copy.to_json()) == json.loads(original.to_json())


def test_a_foreign_text_is_no_tokenizer():
    for text in ("{}", "[]", "null", '{"config": {"word_counts": "[1]"}}', "no json"):
        with pytest.raises(ValueError, match="does not describe a Tokenizer"):
            tokenizer_from_json(text)


def test_hashes_lie_in_the_space_and_md5_does_not_change():
    assert hashing_trick("The cat", 50, "md5") == hashing_trick("the CAT!", 50, "md5") == [43, 32]
    assert one_hot("a b a", 5) == hashing_trick("a b a", 5, hash)
    assert all(1 <= i < 5 for i in one_hot("a b c d e f", 5))
    with pytest.raises(ValueError, match="hash_function is None, 'md5' or a function, got 'sha1'"):
        hashing_trick("a", 5, "sha1")


def test_old_and_wrong_arguments():
    with pytest.warns(UserWarning, match="`num_words`"):
        assert Tokenizer(nb_words=7).num_words == 7
    with pytest.raises(TypeError, match="no arguments 'numwords'"):
        Tokenizer(numwords=7)
