"""Connectionist temporal classification as K offers it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend.tensors import ndim
from kcore.graph.ir import Symbolic
from kcore.ops import comparison, creation, ctc, ctc_reference, shaping, sparse
from kcore.ops.slicing import shape_of
from kcore.ops.structural import cast


def _vector(lengths: Any) -> Any:
    lengths = cast(lengths, "int32")
    return shaping.squeeze(lengths, -1) if ndim(lengths) == 2 else lengths


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The CTC loss of each sample: minus the log probability of its labels, summed over all alignments.

    Args:
        y_true: tensor of labels, of shape (samples, longest label).
        y_pred: tensor of probabilities, of shape (samples, time, classes); the last class is the blank.
        input_length: tensor of shape (samples, 1): how many steps of `y_pred` count.
        label_length: tensor of shape (samples, 1): how many entries of `y_true` count.

    Returns:
        A tensor of shape (samples, 1).

    >>> pred = K.constant([[[0.5, 0.5], [0.5, 0.5]]])
    >>> K.eval(K.ctc_batch_cost(K.constant([[0.]]), pred, K.constant([[2.]]), K.constant([[1.]]))).round(4)
    array([[0.2877]], dtype=float32)
    """
    cost = ctc.ctc_cost(cast(y_true, "int32"), y_pred, _vector(input_length), _vector(label_length))
    return shaping.expand_dims(cost, 1)


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1,
    merge_repeated: bool = False,
) -> tuple[list[Any], Any]:  # fmt: skip
    """The most probable labels of CTC predictions.

    Args:
        y_pred: tensor of probabilities, of shape (samples, time, classes); the last class is the blank.
        input_length: tensor of shape (samples,): how many steps of `y_pred` count.
        greedy: take the best class of each step; otherwise search with a beam.
        beam_width: of the search.
        top_paths: how many results the search returns, the most probable first.
        merge_repeated: whether the search merges equal neighbours in its results.

    Returns:
        A list of integer tensors (samples, longest label), padded with -1; one from the greedy way. And scores: minus
        the log probability of the greedy path (samples, 1), or the log probabilities (samples, top_paths). Used inside
        a graph, instead of computed, the labels are padded to (samples, time).

    >>> pred = K.constant([[[0.9, 0., 0.1], [0.1, 0., 0.9], [0., 0.8, 0.2]]])
    >>> labels, scores = K.ctc_decode(pred, K.constant([3], dtype="int32"))
    >>> K.eval(labels[0])
    array([[0, 1]])
    """
    if greedy:
        labels, scores = ctc.ctc_greedy(y_pred, _vector(input_length))
        return [_without_padding(labels)], scores
    paths, scores = ctc.ctc_beam_search(y_pred, _vector(input_length), int(beam_width), int(top_paths), merge_repeated)
    rows = [shaping.strided_slice(paths, (slice(None), i)) for i in range(int(top_paths))]
    return [_without_padding(row) for row in rows], scores


def _without_padding(labels: Any) -> Any:
    if isinstance(labels, Symbolic):
        return ctc.drop_padding(labels, -1)
    from kcore.backend import active

    backend = active.backend()
    return backend.asarray(ctc_reference.without_padding(backend.to_numpy(labels), -1))


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """Labels as a sparse tensor, whose entries are those that count; `K.ctc_batch_cost` takes dense ones.

    Args:
        labels: tensor of labels, of shape (samples, longest label).
        label_lengths: tensor of shape (samples,): how many entries of each row count.

    >>> labels = K.ctc_label_dense_to_sparse(K.constant([[1, 0, 9]], dtype="int32"), K.constant([2], dtype="int32"))
    >>> K.get_value(labels).indices
    array([[0, 0],
           [0, 1]])
    """
    longest = shape_of(labels)[1]
    places = np.arange(longest) if isinstance(longest, int) else creation.arange(0, longest, 1, "int32")
    lengths = shaping.expand_dims(_vector(label_lengths), 1)
    return sparse.sparse_mask(labels, comparison.greater(lengths, places))
