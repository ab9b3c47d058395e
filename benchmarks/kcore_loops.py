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
    """kcore's own step: tensors in, loss left on the device.

    `train_on_batch` accepts the backend's tensors; it is what a user has. Where the trainer offers the step
    below it (no argument checks, no float made of the loss), this is the one place to name it.
    """
    return model.train_on_batch


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    return make_runner(kcore, os.environ["KCORE_BACKEND"], workload, data, lazy_step)
