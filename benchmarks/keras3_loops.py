"""Keras 3, on the backend that KERAS_BACKEND names for this process.

The `step` measure drives the compiled train function as Keras 3's own `fit` does, which spares it
`train_on_batch`'s conversions: the fastest step that Keras 3 has.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from benchmarks.keras_style import LazyStep, make_runner
from benchmarks.models import Data, Workload
from benchmarks.runner import Runner

STATE = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")


class JaxStep:
    """A step that hands the donated state on to the next one, and back to the variables only when asked."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.state: Any = None

    def __call__(self, x: Any, y: Any) -> Any:
        """One training step; the loss (running mean) stays on the device."""
        if self.state is None:
            self.state = self.model._get_jax_state(**dict.fromkeys(STATE, True), purge_model_variables=False)
        logs, self.state = self.model.train_function(self.state, iter([(x, y, None)]))
        return logs["loss"]

    def settle(self) -> None:
        """Give the state back to the model's variables."""
        if self.state is None:
            return
        self.model._jax_state = dict(zip(STATE, self.state, strict=True))
        self.model._jax_state_synced = False
        self.model.jax_state_sync()
        self.state = None


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    backend = keras.backend.backend()
    steps: list[JaxStep] = []

    def lazy_step(model: Any) -> LazyStep:
        model.train_on_batch(data.x[: workload.batch], data.y[: workload.batch])  # builds and compiles
        if backend == "jax":
            steps.append(JaxStep(model))
            return steps[0]
        return lambda x, y: ops.convert_to_tensor(model.train_function(iter_of(backend, x, y))["loss"])

    def settle() -> None:
        for step in steps:
            step.settle()

    return make_runner(keras, backend, workload, data, lazy_step, settle)


def iter_of(backend: str, x: Any, y: Any) -> Any:
    """One batch, in the form that the backend's train function expects."""
    return [(x, y, None)] if backend == "torch" else iter([(x, y, None)])
