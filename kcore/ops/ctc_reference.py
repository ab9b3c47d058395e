"""CTC in plain Python loops, sample by sample: the references of kcore.ops.ctc, and its cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config
from kcore.ops.cases import FLOATS, Arguments, Distinct, Draw, Ints, Real

NEVER = -1e30


def _log_input(y_pred: Any) -> np.ndarray:
    return np.log(np.asarray(y_pred, "float64") + config.epsilon())


def _log_probabilities(y_pred: Any) -> np.ndarray:
    logits = _log_input(y_pred)
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))


def cost(labels: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The forward algorithm over labels with blanks between and around them."""
    rows = zip(np.asarray(labels), _log_probabilities(y_pred), input_length, label_length, strict=True)
    costs = [_sample_cost(row[: int(m)].astype(int), logp[: max(int(n), 1)]) for row, logp, n, m in rows]
    return np.asarray(costs, np.asarray(y_pred).dtype)


def _sample_cost(labels: np.ndarray, logp: np.ndarray) -> float:
    blank = logp.shape[1] - 1
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    alpha = np.where(np.arange(len(states)) < 2, logp[0, states], NEVER)
    for now in logp[1:]:
        before = alpha
        alpha = before.copy()
        for s in range(1, len(states)):
            alpha[s] = np.logaddexp(alpha[s], before[s - 1])
            if s > 1 and states[s] not in (blank, states[s - 2]):
                alpha[s] = np.logaddexp(alpha[s], before[s - 2])
        alpha = alpha + now[states]
    total = float(np.logaddexp.reduce(alpha[-2:]))
    return -total if total > NEVER / 2 else np.inf


def _padded(rows: list[list[int]], width: int) -> np.ndarray:
    return np.asarray([[*row, *[-1] * (width - len(row))] for row in rows], "int64").reshape(len(rows), width)


def greedy(y_pred: Any, input_length: Any) -> Any:
    """The best class of each step, repeats merged, blanks dropped."""
    y_pred = np.asarray(y_pred)
    blank = y_pred.shape[-1] - 1
    rows, scores = [], []
    for sample, logs, n in zip(y_pred, _log_input(y_pred), input_length, strict=True):
        best = sample[: int(n)].argmax(-1)
        rows.append([int(c) for t, c in enumerate(best) if c != blank and (t == 0 or c != best[t - 1])])
        scores.append([-float(logs[: int(n)].max(-1).sum())])
    return _padded(rows, y_pred.shape[1]), np.asarray(scores, y_pred.dtype)


def beam_search(y_pred: Any, input_length: Any, beam_width: int, top_paths: int, merge_repeated: bool) -> Any:
    """Prefix beam search with a dictionary of prefixes."""
    y_pred = np.asarray(y_pred)
    paths, scores = [], []
    for logp, n in zip(_log_probabilities(y_pred), input_length, strict=True):
        ranked = _search(logp[: int(n)], beam_width)[:top_paths]
        ranked += [((), NEVER)] * (top_paths - len(ranked))
        merged = [[c for i, c in enumerate(path) if not i or c != path[i - 1]] for path, _ in ranked]
        rows = merged if merge_repeated else [list(path) for path, _ in ranked]
        paths.append(_padded(rows, y_pred.shape[1]))
        scores.append([score for _, score in ranked])
    return np.stack(paths), np.asarray(scores, y_pred.dtype)


def _search(logp: np.ndarray, width: int) -> list[tuple[tuple[int, ...], float]]:
    # path -> log p with a blank last, with its last label last
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, NEVER)}
    blank = logp.shape[1] - 1
    for now in logp:
        new: dict[tuple[int, ...], list[float]] = {}
        for path, (ended, spoken) in beams.items():
            total = float(np.logaddexp(ended, spoken))
            _add(new, path, 0, total + now[blank])
            for label in range(blank):
                repeated = bool(path) and path[-1] == label
                if repeated:
                    _add(new, path, 1, spoken + now[label])
                _add(new, (*path, label), 1, (ended if repeated else total) + now[label])
        ranked = sorted(new.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))
        beams = {path: (p[0], p[1]) for path, p in ranked[:width]}
    return sorted(((p, float(np.logaddexp(*v))) for p, v in beams.items()), key=lambda item: -item[1])


def _add(beams: dict[tuple[int, ...], list[float]], path: tuple[int, ...], which: int, logp: float) -> None:
    entry = beams.setdefault(path, [NEVER, NEVER])
    entry[which] = float(np.logaddexp(entry[which], logp))


def without_padding(x: Any, fill: int) -> Any:
    """An array without its last columns that hold nothing but `fill`."""
    used = np.flatnonzero((np.asarray(x) != fill).any(axis=0))
    return np.asarray(x)[:, : used[-1] + 1 if used.size else 0]


# --- cases ------------------------------------------------------------------------------------------------------------


def cost_case(d: Draw) -> Arguments:
    """Labels that fit into the steps."""
    batch, time, classes = d.integer(1, 3), d.integer(2, 5), d.integer(2, 4)
    longest = time // 2
    return {
        "labels": d.array((batch, longest), "int32", Ints(0, classes - 2)),
        "y_pred": d.array((batch, time, classes), d.dtype(FLOATS), Real(0.05, 1.0)),
        "input_length": d.array((batch,), "int32", Ints(2 * longest, time)),
        "label_length": d.array((batch,), "int32", Ints(0, longest)),
    }


def greedy_case(d: Draw) -> Arguments:
    """Predictions without ties."""
    batch, time, classes = d.integer(1, 3), d.integer(1, 5), d.integer(2, 4)
    return {
        "y_pred": d.array((batch, time, classes), d.dtype(FLOATS), Distinct(0.05, 1.0)),
        "input_length": d.array((batch,), "int32", Ints(1, time)),
    }


def beam_case(d: Draw) -> Arguments:
    """Predictions without ties, and a beam that is narrower or wider than what there is to find."""
    return {
        **greedy_case(d), "beam_width": d.integer(2, 6), "top_paths": d.integer(1, 2), "merge_repeated": d.boolean()
    }  # fmt: skip
