"""Optimizers that scale each gradient by a running size of its own: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import backend as K
from kcore.ops.optimizer import rmsprop_update
from kcore.optimizers.base import Hyperparameter, StepCounting, constrained, multi_tensor_updates


class RMSprop(StepCounting):
    """`a = rho * a + (1 - rho) * g^2`, `p = p - lr * g / (sqrt(a) + epsilon)`.

    Args:
        learning_rate: step size (also `lr=`).
        rho: how slowly the running average moves.
        epsilon, decay, clipnorm, clipvalue: keyword only.
    """

    rho = Hyperparameter()
    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 0.001, rho: float = 0.9, **kwargs: Any) -> None:
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

        def step(p: list[Any], g: list[Any], a: list[Any]) -> Sequence[Any]:
            return rmsprop_update(p, g, a, rate, self.rho, self.epsilon)

        self.updates = [*self._count(), *multi_tensor_updates(step, params, grads, accumulators)]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self._values("learning_rate", "rho", "decay"), "epsilon": self.epsilon}


class Adagrad(StepCounting):
    """`a = a + g^2`, `p = p - lr * g / (sqrt(a) + epsilon)`."""

    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 0.01, **kwargs: Any) -> None:
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(learning_rate=learning_rate, decay=self.initial_decay, iterations=0)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        accumulators = self._slots("accumulator", params)
        self.weights = [self.iterations, *accumulators]
        rate = self._decayed_rate()
        self.updates = self._count()
        for p, g, a in zip(params, grads, accumulators, strict=True):
            new_a = a + K.square(g)
            new_p = p - rate * g / (K.sqrt(new_a) + self.epsilon)
            self.updates += [K.update(a, new_a), K.update(p, constrained(p, new_p))]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self._values("learning_rate", "decay"), "epsilon": self.epsilon}


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


def _epsilon(kwargs: dict[str, Any]) -> float:
    """The `epsilon` argument, K.epsilon() when absent or None."""
    given = kwargs.pop("epsilon", None)
    return K.epsilon() if given is None else given
