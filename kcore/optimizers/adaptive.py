"""Optimizers that scale each gradient by a running size of its own: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops.optimizer import rmsprop_update
from kcore.optimizers.base import Hyperparameter, StepCounting, constrained, multi_tensor_updates


class RMSprop(StepCounting):
    """`a = rho * a + (1 - rho) * g^2`, `p = p - lr * g / (sqrt(a) + epsilon)`.

    Args:
        learning_rate: step size (also `lr=`).
        rho: how slowly the running average moves.
        momentum: part of the last step that is kept (keyword only, as are the following).
        centered: divide by the gradient's running standard deviation in place of its size.
        epsilon_inside: divide by `sqrt(a + epsilon)`, as Keras 3 does.
        epsilon, decay, clipnorm, clipvalue.
    """

    rho = Hyperparameter()
    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 0.001, rho: float = 0.9, **kwargs: Any) -> None:
        self.momentum = kwargs.pop("momentum", 0.0)
        self.centered = kwargs.pop("centered", False)
        self.epsilon_inside = kwargs.pop("epsilon_inside", False)
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(learning_rate=learning_rate, rho=rho, decay=self.initial_decay, iterations=0)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        accumulators = self._slots("accumulator", params)
        self.weights = [self.iterations, *accumulators]
        rate = self._decayed_rate()
        if self.momentum or self.centered or self.epsilon_inside:
            return self._written_out(params, grads, accumulators, rate)

        def step(p: list[Any], g: list[Any], a: list[Any]) -> Sequence[Any]:
            return rmsprop_update(p, g, a, rate, self.rho, self.epsilon)

        self.updates = [*self._count(), *multi_tensor_updates(step, params, grads, accumulators)]
        return self.updates

    def _written_out(self, params: Sequence[Any], grads: Sequence[Any], sizes: list[Any], rate: Any) -> list[Any]:
        """The updates with what Keras 2 does not have."""
        moments = self._slots("momentum", params) if self.momentum else [None] * len(params)
        means = self._slots("average", params) if self.centered else [None] * len(params)
        self.weights += [v for v in (*moments, *means) if v is not None]
        self.updates = self._count()
        for p, g, a, m, c in zip(params, grads, sizes, moments, means, strict=True):
            new_a = self.rho * a + (1.0 - self.rho) * K.square(g)
            size = new_a
            if c is not None:
                new_c = self.rho * c + (1.0 - self.rho) * g
                size = new_a - K.square(new_c)
                self.updates.append(K.update(c, new_c))
            root = K.sqrt(size + self.epsilon) if self.epsilon_inside else K.sqrt(size) + self.epsilon
            step = rate * g / root
            if m is not None:
                step = self.momentum * m + step
                self.updates.append(K.update(m, step))
            self.updates += [K.update(a, new_a), K.update(p, constrained(p, p - step))]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; those that Keras 2 does not have only where they are used."""
        more = _used(momentum=self.momentum, centered=self.centered, epsilon_inside=self.epsilon_inside)
        values = self._values("learning_rate", "rho", "decay")
        return {**super().get_config(), **values, "epsilon": self.epsilon, **more}


class Adagrad(StepCounting):
    """`a = a + g^2`, `p = p - lr * g / (sqrt(a) + epsilon)`.

    Args:
        learning_rate: step size (also `lr=`).
        initial_accumulator_value: what `a` starts with (keyword only, as are the following).
        epsilon_inside: divide by `sqrt(a + epsilon)`, as Keras 3 does.
        epsilon, decay, clipnorm, clipvalue.
    """

    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 0.01, **kwargs: Any) -> None:
        self.initial_accumulator_value = kwargs.pop("initial_accumulator_value", 0.0)
        self.epsilon_inside = kwargs.pop("epsilon_inside", False)
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(learning_rate=learning_rate, decay=self.initial_decay, iterations=0)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        accumulators = self._slots("accumulator", params)
        for variable in accumulators if self.initial_accumulator_value else ():
            K.set_value(variable, np.full(K.int_shape(variable), self.initial_accumulator_value))
        self.weights = [self.iterations, *accumulators]
        rate = self._decayed_rate()
        self.updates = self._count()
        for p, g, a in zip(params, grads, accumulators, strict=True):
            new_a = a + K.square(g)
            root = K.sqrt(new_a + self.epsilon) if self.epsilon_inside else K.sqrt(new_a) + self.epsilon
            new_p = p - rate * g / root
            self.updates += [K.update(a, new_a), K.update(p, constrained(p, new_p))]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; those that Keras 2 does not have only where they are used."""
        more = _used(
            initial_accumulator_value=self.initial_accumulator_value, epsilon_inside=self.epsilon_inside
        )  # fmt: skip
        return {**super().get_config(), **self._values("learning_rate", "decay"), "epsilon": self.epsilon, **more}


class Adadelta(StepCounting):
    """Steps as large as recent steps were, over gradients as large as recent gradients were.

    `a = rho * a + (1 - rho) * g^2`, `step = g * sqrt(d + epsilon) / sqrt(a + epsilon)`, `p = p - lr * step`,
    `d = rho * d + (1 - rho) * step^2`.
    """

    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 1.0, rho: float = 0.95, **kwargs: Any) -> None:
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(learning_rate=learning_rate, decay=self.initial_decay, iterations=0)
        self.rho = rho

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        accumulators = self._slots("accumulator", params)
        deltas = self._slots("delta_accumulator", params)
        self.weights = [self.iterations, *accumulators, *deltas]
        rate, rho = self._decayed_rate(), self.rho
        self.updates = self._count()
        for p, g, a, d in zip(params, grads, accumulators, deltas, strict=True):
            new_a = rho * a + (1.0 - rho) * K.square(g)
            step = g * K.sqrt(d + self.epsilon) / K.sqrt(new_a + self.epsilon)
            new_d = rho * d + (1.0 - rho) * K.square(step)
            self.updates += [
                K.update(a, new_a), K.update(p, constrained(p, p - rate * step)), K.update(d, new_d)
            ]  # fmt: skip
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        values = self._values("learning_rate", "decay")
        return {**super().get_config(), **values, "rho": self.rho, "epsilon": self.epsilon}


def _used(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not zero or False."""
    return {name: value for name, value in arguments.items() if value}


def _epsilon(kwargs: dict[str, Any]) -> float:
    """The `epsilon` argument, K.epsilon() when absent or None."""
    given = kwargs.pop("epsilon", None)
    return K.epsilon() if given is None else given
