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
    """kcore's own step as `fit` runs it: tensors in, loss left on the device, no argument checks, no float made of it."""
    model._make_train_function()
    steps = model._compiled()
    function = steps.train((False,) * len(steps.plan.fed))

    def step(x: Any, y: Any) -> Any:
        return function.run_native((x, y), 1)[0]

    return step


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    return make_runner(kcore, os.environ["KCORE_BACKEND"], workload, data, lazy_step)
