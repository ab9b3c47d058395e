"""What a contender hands to the harness for one workload, and how the harness times it.

A contender's module has one function, `make(workload, data) -> Runner`. Timing happens here only, so
that every contender is timed by the same loop. Imports no framework.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MEASURES = ("step", "train_on_batch", "fit", "predict_one")


@dataclass(frozen=True)
class Runner:
    """One workload, ready to run.

    - `step()`: one training step on the next batch, already where the framework wants it; returns the loss
      without waiting for it.
    - `train_on_batch()`: the same from the next NumPy batch to a float.
    - `epoch()`: one shuffled epoch over the whole data set.
    - `predict_one()`: from one NumPy sample (a batch of one) to its NumPy prediction.
    - `wait(value)`: waits until a value that one of these returned is there; a loss becomes a float.

    `parameters` counts the trainable values.
    """

    parameters: int
    step: Callable[[], Any]
    train_on_batch: Callable[[], Any]
    epoch: Callable[[], Any]
    predict_one: Callable[[], Any]
    wait: Callable[[Any], Any]

    def action(self, measure: str) -> Callable[[], Any]:
        """The callable that a measure repeats."""
        return {
            "step": self.step,
            "train_on_batch": self.train_on_batch,
            "fit": self.epoch,
            "predict_one": self.predict_one,
        }[measure]


def time_block(runner: Runner, measure: str, count: int, warmup: int) -> float:
    """Seconds for `count` repetitions of a measure, waiting only at the end, after untimed warm-up ones."""
    action = runner.action(measure)
    value = None
    for _ in range(warmup):
        value = action()
    if warmup:
        runner.wait(value)
    start = time.perf_counter()
    for _ in range(count):
        value = action()
    runner.wait(value)
    return time.perf_counter() - start


def probe_loss(runner: Runner, steps: int) -> tuple[float, float]:
    """Loss of the first and of the last of `steps` steps."""
    first = float(runner.wait(runner.step()))
    value: Any = first
    for _ in range(steps - 1):
        value = runner.wait(runner.step())
    return first, float(value)
