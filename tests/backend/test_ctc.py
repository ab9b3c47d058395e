"""CTC against sums over all alignments, written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kcore import backend as K
from kcore.errors import ShapeError

RNG = np.random.default_rng(4)
BATCH, TIME, CLASSES = 4, 5, 3
BLANK = CLASSES - 1
PREDICTED = RNG.dirichlet(np.ones(CLASSES), size=(BATCH, TIME)).astype("float32")
LENGTHS = np.array([5, 3, 4, 5])


def collapse(alignment):
    merged = [c for i, c in enumerate(alignment) if i == 0 or c != alignment[i - 1]]
    return tuple(c for c in merged if c != BLANK)


def probabilities(sample):
    """Of every label sequence, summed over its alignments."""
    total = {}
    for alignment in itertools.product(range(CLASSES), repeat=int(LENGTHS[sample])):
        p = np.prod([PREDICTED[sample, t, c] for t, c in enumerate(alignment)], dtype=float)
        key = collapse(alignment)
        total[key] = total.get(key, 0.0) + p
    return total


@pytest.mark.parametrize("labels", [[[0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 9]]])
def test_the_cost_is_the_sum_over_alignments(labels):
    counts = [3, 2, 0, 2]
    y = K.placeholder(shape=(None, None, CLASSES))
    cost = K.ctc_batch_cost(
        K.constant(labels), y, K.constant(LENGTHS[:, None], dtype="int32"), K.constant(np.array(counts)[:, None])
    )
    got = K.function([y], [cost])([PREDICTED])[0]
    want = [-np.log(probabilities(i)[tuple(row[:n])]) for i, (row, n) in enumerate(zip(labels, counts, strict=True))]
    assert got.shape == (BATCH, 1)
    np.testing.assert_allclose(got[:, 0], want, rtol=1e-4)


def test_the_gradient_of_the_cost():
    y = K.placeholder(shape=(BATCH, TIME, CLASSES), dtype="float64")
    ones = K.constant(np.full((BATCH, 1), 2), dtype="int32")
    cost = K.sum(K.ctc_batch_cost(K.constant([[0, 1]] * BATCH), y, K.constant(LENGTHS[:, None]), ones))
    f = K.function([y], [cost, *K.gradients(cost, [y])])
    start = PREDICTED.astype("float64")
    gradient = f([start])[1]
    for place in [(0, 0, 0), (1, 2, 1), (1, 4, 0), (3, 4, 2)]:
        moved = [start.copy(), start.copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        slope = (f([moved[0]])[0] - f([moved[1]])[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-6)


def test_an_impossible_label_costs_much_but_has_a_finite_gradient():
    y = K.constant(PREDICTED[:1])
    cost = K.ctc_batch_cost(K.constant([[0, 0, 0, 0]]), y, K.constant([[5]]), K.constant([[4]]))
    assert K.eval(cost)[0, 0] > 1e6
    assert np.isfinite(K.eval(K.gradients(cost, [y])[0])).all()


def test_greedy_decoding_collapses_the_best_alignment():
    labels, score = K.ctc_decode(K.constant(PREDICTED), K.constant(LENGTHS, dtype="int32"))
    best = PREDICTED.argmax(-1)
    rows = [collapse(best[i, : LENGTHS[i]]) for i in range(BATCH)]
    width = max(map(len, rows))
    assert K.eval(labels[0]).tolist() == [list(r) + [-1] * (width - len(r)) for r in rows]
    want = [-sum(np.log(PREDICTED[i, t].max()) for t in range(LENGTHS[i])) for i in range(BATCH)]
    np.testing.assert_allclose(K.eval(score)[:, 0], want, rtol=1e-5)


def test_a_wide_beam_finds_the_most_probable_sequences():
    paths, scores = K.ctc_decode(PREDICTED, LENGTHS, greedy=False, beam_width=80, top_paths=3)
    for i in range(BATCH):
        ranking = sorted(probabilities(i).items(), key=lambda item: -item[1])[:3]
        for path, (labels, p), score in zip(paths, ranking, np.asarray(scores)[i], strict=True):
            assert tuple(int(c) for c in np.asarray(path)[i] if c >= 0) == labels
            assert score == pytest.approx(np.log(p), abs=1e-4)


def test_merging_repeats_of_a_result():
    predicted = np.full((1, 3, 3), 0.01, "float32")
    for t, c in enumerate([0, 2, 0]):
        predicted[0, t, c] = 0.98
    for merge, want in ((False, [[0, 0]]), (True, [[0]])):
        (path,), _ = K.ctc_decode(predicted, np.array([3]), greedy=False, beam_width=4, merge_repeated=merge)
        assert np.asarray(path).tolist() == want


def test_labels_stay_padded_inside_a_graph():
    labels, _ = K.ctc_decode(K.constant(PREDICTED), K.constant(LENGTHS, dtype="int32"))
    assert K.eval(K.cast(labels[0], "int32")).shape == (BATCH, TIME)


def test_predictions_of_another_rank_are_refused():
    with pytest.raises(ShapeError, match="batch, time, classes"):
        K.ctc_decode(K.zeros((2, 3)), K.zeros((2,)))


def test_labels_that_no_alignment_gives_cost_infinity_and_pass_no_gradient():
    y = K.placeholder(shape=(2, 2, CLASSES))
    labels, counts = K.constant([[0, 0], [0, 1]]), K.constant([[2], [2]])  # two equal labels need a blank between
    cost = K.ctc_batch_cost(labels, y, K.constant([[2], [2]], dtype="int32"), counts)
    got, gradient = K.function([y], [cost, K.gradients(K.sum(cost), y)[0]])([PREDICTED[:2, :2]])
    assert got[0, 0] == np.inf
    np.testing.assert_allclose(got[1, 0], -np.log(PREDICTED[1, 0, 0] * PREDICTED[1, 1, 1]), rtol=1e-4)
    assert (gradient[0] == 0).all()
    assert np.abs(gradient[1]).max() > 0.1
