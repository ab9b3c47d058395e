"""What kcore and Keras 3 have in common: one compiled model, driven through its public methods.

The two contenders differ only in the module they bring and in how one step is made without waiting for the
loss. May import NumPy and a framework named by the caller (to put batches where the framework keeps them).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.models import Array, Data, Workload, batches, build_keras_model
from benchmarks.runner import Runner

LazyStep = Callable[[Any, Any], Any]


def to_native(backend: str) -> Callable[[Array], Any]:
    """The function that makes a backend's own tensor of a NumPy array, so that step inputs are resident."""
    if backend == "torch":
        import torch

        return torch.from_numpy
    if backend == "jax":
        import jax.numpy as jnp

        return jnp.asarray
    import tensorflow as tf

    return tf.constant


def count_parameters(model: Any) -> int:
    """Trainable values of a Keras-like model."""
    return sum(int(np.prod(tuple(weight.shape))) for weight in model.trainable_weights)


def make_runner(
    keras: ModuleType,
    backend: str,
    workload: Workload,
    data: Data,
    lazy_step: Callable[[Any], LazyStep],
    settle: Callable[[], None] = lambda: None,
) -> Runner:
    """The workload through a Keras-like module, ready to be timed.

    `lazy_step(model)` gives the function (x, y) -> loss that does not wait for its result; `settle()` is
    called before any other method of the model, after steps made that way.
    """
    model = build_keras_model(keras, workload)
    host = batches(workload, data)
    host_batches = itertools.cycle(host)
    native = to_native(backend)
    resident = itertools.cycle([(native(x), native(y)) for x, y in host])
    sample = data.x[:1]
    step_on = lazy_step(model)

    def train_on_batch() -> float:
        settle()
        x, y = next(host_batches)
        return as_float(model.train_on_batch(x, y))

    def epoch() -> float:
        settle()
        history = model.fit(data.x, data.y, batch_size=workload.batch, epochs=1, shuffle=True, verbose=0)
        return float(history.history["loss"][-1])

    def predict_one() -> Array:
        settle()
        return model.predict(sample, verbose=0)

    return Runner(
        parameters=count_parameters(model),
        step=lambda: step_on(*next(resident)),
        train_on_batch=train_on_batch,
        epoch=epoch,
        predict_one=predict_one,
        wait=wait,
    )


def as_float(loss: Any) -> float:
    """A loss (float, array or tensor on the host) as a float."""
    return float(np.ravel(np.asarray(loss))[0])


def wait(value: Any) -> Any:
    """Wait for a step's loss; a prediction is on the host already."""
    return value if isinstance(value, np.ndarray) and value.size > 1 else as_float(value)
