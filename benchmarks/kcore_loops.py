"""kcore, on the backend that KCORE_BACKEND names."""

from __future__ import annotations

import os
from typing import Any

import kcore
import kcore.layers
import kcore.models
import kcore.optimizers
from benchmarks.keras_style import LazyStep, make_runner
from benchmarks.models import Data, Workload
from benchmarks.runner import Runner


def lazy_step(model: Any) -> LazyStep:
    """kcore's own step, as `fit` runs it: tensors in, loss left on the device, no checks, no float made of it."""
    model._make_train_function()
    steps = model._compiled()
    function = steps.train((False,) * len(steps.plan.fed))
    columns: dict[int, tuple[Any, Any]] = {}  # targets as `fit` feeds them: (batch, 1); made once per batch

    def step(x: Any, y: Any) -> Any:
        known = columns.get(id(y))
        if known is None:
            known = columns[id(y)] = (y, y if len(y.shape) > 1 else y[:, None])
        return function.run_native((x, known[1]), 1)[0]

    return step


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    return make_runner(kcore, os.environ["KCORE_BACKEND"], workload, data, lazy_step)
