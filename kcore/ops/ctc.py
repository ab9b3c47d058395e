"""Connectionist temporal classification: the loss, and decoding of its predictions.

Predictions are probabilities (batch, time, classes); the last class is the blank. Everything is in logarithms, with
`NEVER` for log 0, so that gradients stay finite. A path is a row of labels, padded with -1.
"""

from __future__ import annotations

import math
from typing import Any

from kcore import config
from kcore.errors import ShapeError
from kcore.graph.ir import TensorSpec
from kcore.ops import control, creation, rules
from kcore.ops import ctc_reference as reference
from kcore.ops.activation import log_softmax
from kcore.ops.cases import Cases
from kcore.ops.ctc_reference import NEVER
from kcore.ops.dtypes import HALVES
from kcore.ops.elementwise import (
    add,
    equal,
    exp,
    floor_divide,
    greater,
    less,
    log,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    mod,
    multiply,
    negative,
    not_equal,
    subtract,
    where,
    zeros_of,
)
from kcore.ops.indexing import gather, one_hot, top_k
from kcore.ops.linalg import matmul, swap_last
from kcore.ops.reduction import all_, any_, argmax, cumsum, max_, sum_
from kcore.ops.shaping import concatenate, expand_dims, pad, reshape, shape_of, squeeze, stack, strided_slice, transpose
from kcore.ops.spec import Tensor, composite, spec_of
from kcore.ops.structural import cast, stop_gradient, zeros_like

_ALL = slice(None)


def _log_sum(parts: list[Any]) -> Any:
    """log of the sum of what the parts are logarithms of, elementwise."""
    top = parts[0]
    for part in parts[1:]:
        top = maximum(top, part)
    top = stop_gradient(top)
    total = exp(subtract(parts[0], top))
    for part in parts[1:]:
        total = add(total, exp(subtract(part, top)))
    return add(top, log(total))


def _log_input(y_pred: Any) -> Any:
    return log(add(y_pred, config.epsilon()))


def _classes(spec: TensorSpec) -> int:
    if spec.rank != 3 or spec.shape[-1] is None:
        raise ShapeError(f"CTC expects predictions (batch, time, classes), their number known; got shape {spec.shape}.")
    return spec.shape[-1]


# --- the loss ---------------------------------------------------------------------------------------------------------


def _cost_spec(
    labels: TensorSpec, y_pred: TensorSpec, input_length: TensorSpec, label_length: TensorSpec
) -> TensorSpec:
    _classes(y_pred)
    if labels.rank != 2 or input_length.rank != 1 or label_length.rank != 1:
        raise ShapeError(
            f"ctc_cost expects labels (batch, longest label) and lengths (batch,); got shapes {labels.shape}, "
            f"{input_length.shape} and {label_length.shape}."
        )
    return TensorSpec(rules.broadcast_shapes(labels.shape[:1], y_pred.shape[:1]), y_pred.dtype)


@composite(infer=_cost_spec, static=("y_pred",), promote=(), reference=reference.cost, cases=Cases(reference.cost_case))
def ctc_cost(labels: Tensor, y_pred: Tensor, input_length: Tensor, label_length: Tensor) -> Any:
    """Minus the logarithm of the probability of the labels, summed over all alignments.

    Args:
        labels: integers (batch, longest label); entries behind a label's length are not looked at.
        y_pred: probabilities (batch, time, classes).
        input_length: integers (batch,), steps of y_pred that count.
        label_length: integers (batch,).

    Returns:
        Tensor (batch,); infinity, and no gradient, where no alignment of the length gives the labels.

    >>> predicted = np.array([[[0.25, 0.75], [0.5, 0.5]]])  # the first label or the blank, twice
    >>> ctc_cost(np.array([[0]]), predicted, np.array([2]), np.array([1])).round(4)
    array([0.47])
    """
    dtype = spec_of(y_pred).dtype
    if dtype in HALVES:
        return cast(ctc_cost(labels, cast(y_pred, "float32"), input_length, label_length), dtype)
    classes = _classes(spec_of(y_pred))
    logp = log_softmax(_log_input(y_pred))
    extended, skips = _extended(cast(labels, "int32"), classes)
    hits = one_hot(extended, classes, spec_of(logp).dtype)
    emitted = transpose(matmul(logp, swap_last(hits)), (1, 0, 2))  # (time, batch, states)
    first = _start(strided_slice(emitted, (0,)))

    def step(carry: list[Any], xs: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
        (alpha,), (now,) = carry, xs
        skipped = where(skips, _behind(alpha, 2), _never_like(alpha))
        new = add(_log_sum([alpha, _behind(alpha, 1), skipped]), now)
        running = expand_dims(less(add(i, 1), input_length), 1)
        return [where(running, new, alpha)], []

    (alpha,), _ = control.loop(step, [first], [strided_slice(emitted, (slice(1, None),))])
    at = multiply(cast(label_length, "int32"), 2)
    states = creation.arange(0, shape_of(extended)[1])
    ends = logical_or(equal(states, expand_dims(at, 1)), equal(states, expand_dims(subtract(at, 1), 1)))
    total = _log_sum_last(where(ends, alpha, _never_like(alpha)))
    return where(less(total, NEVER / 2), math.inf, negative(total))


def _extended(labels: Any, blank_after: int) -> tuple[Any, Any]:
    """Labels with blanks between and around them, and where a state may be reached from the one before the blank."""
    blank = blank_after - 1
    blanks = add(zeros_like(labels), blank)
    pairs = stack([blanks, labels], 2)
    samples, longest = shape_of(labels)
    flat = reshape(pairs, (samples, longest * 2))
    extended = concatenate([flat, strided_slice(blanks, (_ALL, slice(0, 1)))], 1)
    before = pad(strided_slice(extended, (_ALL, slice(0, -2))), ((0, 0), (2, 0)), blank)
    return extended, logical_and(not_equal(extended, blank), not_equal(extended, before))


def _start(first: Any) -> Any:
    """Alpha of the first step: only the first blank and the first label are reached."""
    states = creation.arange(0, shape_of(first)[1])
    return where(less(states, 2), first, _never_like(first))


def _behind(alpha: Any, distance: int) -> Any:
    return pad(strided_slice(alpha, (_ALL, slice(0, -distance))), ((0, 0), (distance, 0)), NEVER)


def _never_like(x: Any) -> Any:
    return add(zeros_like(x), NEVER)


def _log_sum_last(x: Any) -> Any:
    top = stop_gradient(max_(x, axis=-1, keepdims=True))
    return squeeze(add(top, log(sum_(exp(subtract(x, top)), axis=-1, keepdims=True))), -1)


# --- decoding ---------------------------------------------------------------------------------------------------------


@composite(infer=lambda x, fill: x.with_shape((x.shape[0], None)), differentiable=False,
           fetched=lambda x, arguments: reference.without_padding(x, arguments["fill"]))  # fmt: skip
def drop_padding(x: Tensor, fill: int) -> Any:
    """A matrix without its last columns that hold nothing but `fill`.

    How many these are depends on the values, which compiled graphs cannot express: there the padding stays, and
    a K.function drops it from its results (`fetched`).

    >>> K.eval(drop_padding(K.constant([[5, -1, -1], [7, 8, -1]], dtype="int32"), -1))
    array([[ 5, -1],
           [ 7,  8]], dtype=int32)
    """
    return x


def _greedy_spec(y_pred: TensorSpec, input_length: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    _classes(y_pred)
    return TensorSpec(y_pred.shape[:2], "int64"), TensorSpec((y_pred.shape[0], 1), y_pred.dtype)


@composite(infer=_greedy_spec, static=("y_pred",), promote=(), multiple=True, differentiable=False,
           reference=reference.greedy, cases=Cases(reference.greedy_case, smooth=False))  # fmt: skip
def ctc_greedy(y_pred: Tensor, input_length: Tensor) -> Any:
    """The path of the most probable class at each step: repeats merged, blanks dropped; and minus its log probability.

    Args:
        y_pred: probabilities (batch, time, classes).
        input_length: integers (batch,).

    Returns:
        int64 labels (batch, time) padded with -1, and scores (batch, 1).

    >>> labels, score = ctc_greedy(np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]]), np.array([3]))
    >>> labels
    array([[ 0,  0, -1]])
    """
    blank = _classes(spec_of(y_pred)) - 1
    steps = creation.arange(0, shape_of(y_pred)[1])
    running = less(steps, expand_dims(cast(input_length, "int32"), 1))
    best = cast(argmax(y_pred, -1), "int32")
    before = pad(strided_slice(best, (_ALL, slice(0, -1))), ((0, 0), (1, 0)), -1)
    kept = logical_and(logical_and(not_equal(best, blank), not_equal(best, before)), running)
    score = max_(_log_input(y_pred), axis=-1)
    score = sum_(where(running, score, zeros_of(score)), axis=1, keepdims=True)
    return cast(_compacted(best, kept, steps), "int64"), negative(score)


def _compacted(labels: Any, kept: Any, steps: Any) -> Any:
    """The kept labels of each row moved to its start, -1 behind them."""
    place = subtract(cumsum(cast(kept, "int32"), 1), 1)
    at = logical_and(equal(expand_dims(place, -1), steps), expand_dims(kept, -1))
    return subtract(sum_(multiply(cast(at, "int32"), expand_dims(add(labels, 1), -1)), axis=1), 1)


def _beam_spec(
    y_pred: TensorSpec, input_length: TensorSpec, beam_width: int, top_paths: int, merge_repeated: bool
) -> tuple[TensorSpec, TensorSpec]:
    _classes(y_pred)
    batch, time, _ = y_pred.shape
    return TensorSpec((batch, top_paths, time), "int64"), TensorSpec((batch, top_paths), y_pred.dtype)


@composite(infer=_beam_spec, static=("y_pred",), promote=(), multiple=True, differentiable=False,
           reference=reference.beam_search, cases=Cases(reference.beam_case, smooth=False))  # fmt: skip
def ctc_beam_search(
    y_pred: Tensor, input_length: Tensor, beam_width: int = 100, top_paths: int = 1, merge_repeated: bool = False
) -> Any:
    """The most probable label sequences, summed over their alignments as far as the beam sees them.

    Args:
        y_pred: probabilities (batch, time, classes).
        input_length: integers (batch,).
        beam_width: sequences kept at each step.
        top_paths: sequences returned.
        merge_repeated: whether equal neighbours in a result become one.

    Returns:
        int64 labels (batch, top_paths, time) padded with -1, and log probabilities (batch, top_paths).

    >>> predicted = np.array([[[0.25, 0.75], [0.5, 0.5]]])
    >>> paths, scores = ctc_beam_search(predicted, np.array([2]), beam_width=4, top_paths=2)
    >>> paths.tolist(), np.exp(scores).round(3).tolist()
    ([[[0, -1], [-1, -1]]], [[0.625, 0.375]])
    """
    dtype = spec_of(y_pred).dtype
    if dtype in HALVES:
        found, scores = ctc_beam_search(cast(y_pred, "float32"), input_length, beam_width, top_paths, merge_repeated)
        return [found, cast(scores, dtype)]
    classes = _classes(spec_of(y_pred))
    batch, time, _ = shape_of(y_pred)
    steps = creation.arange(0, time)
    logp = transpose(log_softmax(_log_input(y_pred)), (1, 0, 2))
    paths = creation.full((batch, beam_width, time), -1, "int32")
    lengths = creation.full((batch, beam_width), 0, "int32")
    never = creation.full((batch, beam_width), NEVER, spec_of(logp).dtype)
    ended = where(equal(creation.arange(0, beam_width), 0), zeros_like(never), never)  # log p, last step a blank
    spoken = never  # log p, last step the last label

    def step(carry: list[Any], xs: list[Any], i: Any) -> tuple[list[Any], list[Any]]:
        new = _beam_step(_Beams(carry, steps, beam_width, classes), xs[0])
        running = less(i, cast(input_length, "int32"))
        return [where(_expand(running, spec_of(a).rank), a, b) for a, b in zip(new, carry, strict=True)], []

    (paths, lengths, ended, spoken), _ = control.loop(step, [paths, lengths, ended, spoken], [logp])
    scores, order = top_k(_log_sum([ended, spoken]), top_paths)
    paths = _picked(paths, order, beam_width)
    if merge_repeated:
        flat = reshape(paths, (-1, time))
        before = pad(strided_slice(flat, (_ALL, slice(0, -1))), ((0, 0), (1, 0)), -1)
        flat = _compacted(flat, logical_and(not_equal(flat, before), greater(flat, -1)), steps)
        paths = reshape(flat, (batch, top_paths, time))
    return cast(paths, "int64"), scores


class _Beams:
    """The beams at one step, with what follows from them."""

    def __init__(self, state: list[Any], steps: Any, width: int, classes: int) -> None:
        self.paths, self.lengths, self.ended, self.spoken = paths, lengths, ended, spoken = state
        self.steps, self.width, self.classes = steps, width, classes
        self.total = _log_sum([ended, spoken])
        self.active = greater(self.total, NEVER / 2)
        self.at_end = equal(steps, expand_dims(subtract(lengths, 1), -1))
        last = where(self.at_end, add(paths, 1), zeros_like(paths))
        self.last = subtract(sum_(last, axis=-1), 1)  # -1 for the empty path

    def parents(self) -> Any:
        """(batch, child, parent): where a beam is another one plus one label."""
        start = where(self.at_end, add(zeros_like(self.paths), -1), self.paths)
        equal_paths = all_(equal(expand_dims(start, 2), expand_dims(self.paths, 1)), axis=-1)
        longer = equal(expand_dims(self.lengths, 2), add(expand_dims(self.lengths, 1), 1))
        alive = logical_and(expand_dims(self.active, 2), expand_dims(self.active, 1))
        return logical_and(logical_and(equal_paths, longer), alive)


def _beam_step(beams: _Beams, logp: Any) -> list[Any]:
    """One step of time: every beam stays or grows by a label, and the best of all these are kept."""
    labels = beams.classes - 1
    hit = one_hot(beams.last, beams.classes, spec_of(logp).dtype)
    own = sum_(multiply(hit, expand_dims(logp, 1)), axis=-1)
    blank = strided_slice(logp, (_ALL, slice(labels, None)))
    parents = beams.parents()
    same = equal(expand_dims(beams.last, 2), expand_dims(beams.last, 1))
    source = where(same, expand_dims(beams.ended, 1), expand_dims(beams.total, 1))
    source = where(parents, source, _never_like(source))
    stay_spoken = add(_log_sum([beams.spoken, max_(source, axis=-1)]), own)
    stay_spoken = where(logical_and(beams.active, greater(beams.lengths, 0)), stay_spoken, _never_like(stay_spoken))
    stay_ended = where(beams.active, add(beams.total, blank), _never_like(beams.total))

    words = creation.arange(0, labels)
    repeats = equal(expand_dims(beams.last, -1), words)
    grown = where(repeats, expand_dims(beams.ended, -1), expand_dims(beams.total, -1))
    grown = add(grown, expand_dims(strided_slice(logp, (_ALL, slice(0, labels))), 1))
    child_words = cast(one_hot(beams.last, labels, "float32"), "bool")  # (batch, child, label)
    taken = any_(logical_and(expand_dims(parents, -1), expand_dims(child_words, 2)), axis=1)  # (batch, parent, label)
    open_ = logical_and(expand_dims(beams.active, -1), logical_not(taken))
    grown = where(open_, grown, _never_like(grown))

    batch = shape_of(grown)[0]
    stay = _log_sum([stay_ended, stay_spoken])
    scores = concatenate([stay, reshape(grown, (batch, beams.width * labels))], 1)
    best, order = top_k(scores, beams.width)
    stays = less(order, beams.width)
    rest = subtract(order, beams.width)
    beam = where(stays, order, floor_divide(rest, labels))
    word = where(stays, add(zeros_like(order), -1), mod(rest, labels))
    paths, lengths = _picked(beams.paths, beam, beams.width), _picked_rows(beams.lengths, beam, beams.width)
    here = logical_and(equal(beams.steps, expand_dims(lengths, -1)), expand_dims(logical_not(stays), -1))
    paths = where(here, expand_dims(word, -1), paths)
    lengths = add(lengths, cast(logical_not(stays), "int32"))
    ended = where(stays, _picked_rows(stay_ended, beam, beams.width), _never_like(best))
    spoken = where(stays, _picked_rows(stay_spoken, beam, beams.width), best)
    return [paths, lengths, ended, spoken]


def _picked_rows(x: Any, order: Any, width: int) -> Any:
    """`x[b, order[b, i]]` for a matrix x of `width` columns."""
    batch = shape_of(x)[0]
    flat = add(order, multiply(expand_dims(creation.arange(0, batch), 1), width))
    return gather(reshape(x, (-1,)), flat)


def _picked(x: Any, order: Any, width: int) -> Any:
    """`x[b, order[b, i]]` for x of shape (batch, width, n)."""
    batch, _, n = shape_of(x)
    flat = add(order, multiply(expand_dims(creation.arange(0, batch), 1), width))
    return gather(reshape(x, (-1, n)), flat)


def _expand(x: Any, rank: int) -> Any:
    for _ in range(rank - spec_of(x).rank):
        x = expand_dims(x, -1)
    return x
