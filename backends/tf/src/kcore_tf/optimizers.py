"""Optimizers of TensorFlow's libraries: `tf.compat.v1.train`, and objects in the form of `tf.keras.optimizers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def adapter(optimizer: Any) -> TFNativeOptimizer | None:
    """For an optimizer object of either kind; None for anything else."""
    if isinstance(optimizer, tf.compat.v1.train.Optimizer):
        return TFNativeOptimizer(optimizer)
    keras_like = all(hasattr(optimizer, name) for name in ("apply_gradients", "build", "variables"))
    return TFNativeOptimizer(optimizer) if keras_like and not isinstance(optimizer, type) else None


class TFNativeOptimizer:
    """The optimizer on variables of its own, which each step sets before and reads afterwards."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self._params: list[Any] = []
        self._state: list[Any] = []

    def init(self, params: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Make the variables, eagerly."""
        with tf.init_scope():
            self._params = [tf.Variable(p, name=f"param_{i}") for i, p in enumerate(params)]
            if isinstance(self.optimizer, tf.compat.v1.train.Optimizer):
                self.optimizer._prepare()
                self.optimizer._create_slots(self._params)
                self._state = list(self.optimizer.variables())
            else:
                self.optimizer.build(self._params)
                found = self.optimizer.variables
                found = found() if callable(found) else found
                self._state = [getattr(v, "value", v) if not isinstance(v, tf.Variable) else v for v in found]
            return [np.asarray(v) for v in self._state]

    def step(self, params: list[Any], grads: list[Any], state: list[Any]) -> tuple[list[Any], list[Any]]:
        """One step."""
        for variable, value in zip([*self._params, *self._state], [*params, *state], strict=True):
            variable.assign(value)
        self.optimizer.apply_gradients(list(zip(grads, self._params, strict=True)))
        return [tf.identity(v) for v in self._params], [tf.identity(v) for v in self._state]
