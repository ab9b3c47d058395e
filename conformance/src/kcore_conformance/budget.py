"""The time budget: how many examples each unit gets; cheap ones get all, dear ones an equal share of time."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def spread(wants: Mapping[Key, int], costs: Mapping[Key, float], seconds: float) -> dict[Key, int]:
    """How many of the wanted examples each gets within `seconds`.

    Every key may spend the same time; what cheap ones leave over is shared among the others (water filling).

    Args:
        wants: wanted examples by key.
        costs: seconds that one example takes, by key.
        seconds: what may be spent on all.

    >>> spread({"add": 10, "conv": 10}, {"add": 0.1, "conv": 2.0}, 9.0)
    {'add': 10, 'conv': 4}
    """
    if seconds <= 0:
        return dict.fromkeys(wants, 0)
    level, left = math.inf, seconds
    bills = sorted(n * costs[key] for key, n in wants.items())
    for i, bill in enumerate(bills):
        level = left / (len(bills) - i)
        if bill > level:
            break
        left -= bill
        level = math.inf
    return {key: _affordable(n, costs[key], level) for key, n in wants.items()}


def _affordable(wanted: int, cost: float, level: float) -> int:
    if cost <= 0 or wanted * cost <= level:
        return wanted
    return int(level // cost)


def first_turn(minimum: int, wanted: int, *, elapsed: float, done: float, seconds: float) -> int:
    """Examples of a unit in the first turn: the minimum, or one where the run is late.

    Args:
        minimum: what every unit should get.
        wanted: what it should get in all.
        elapsed: seconds since the start.
        done: the part of the turn that is done, from 0 to 1.
        seconds: the budget.
    """
    late = elapsed > seconds * (0.1 + 0.9 * done)
    return min(1 if late else minimum, wanted)
