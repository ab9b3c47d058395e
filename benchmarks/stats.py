"""Medians, quartiles and ratios of timings. Pure functions on lists of seconds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Time relative to another's: `value` of the medians, `low` to `high` the middle half of the rounds."""

    value: float
    low: float
    high: float


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """The first and third quartile; of one sample, that sample twice."""
    if len(samples) < 2:
        return samples[0], samples[0]
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return first, third


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """Ratio of the medians, with the spread of the rounds' ratios; None where a side has no samples."""
    if not ours or not theirs:
        return None
    rounds = [a / b for a, b in zip(ours, theirs, strict=False)]
    low, high = quartiles(rounds)
    return Ratio(statistics.median(ours) / statistics.median(theirs), low, high)
