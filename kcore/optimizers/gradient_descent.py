"""Plain gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore.ops.optimizer import sgd_update
from kcore.optimizers.base import Hyperparameter, Optimizer, multi_tensor_updates


class SGD(Optimizer):
    """Stochastic gradient descent: `v = momentum * v - lr * g`, `p = p + v` (Nesterov: `p + momentum * v - lr * g`).

    Args:
        learning_rate: step size (also `lr=`).
        momentum: part of the last step that is kept.
        nesterov: look ahead along the momentum.
        decay: the rate is divided by `1 + decay * steps` (keyword only, as are clipnorm and clipvalue).
    """

    momentum = Hyperparameter()
    decay = Hyperparameter()

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False,
                 **kwargs: Any) -> None:  # fmt: skip
        learning_rate = kwargs.pop("lr", learning_rate)
        self.initial_decay = kwargs.pop("decay", 0.0)
        super().__init__(**kwargs)
        self._variables(iterations=0, learning_rate=learning_rate, momentum=momentum, decay=self.initial_decay)
        self.nesterov = nesterov

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        moments = self._slots("moment", params)
        self.weights = [self.iterations, *moments]
        rate = self._decayed_rate()

        def step(p: list[Any], g: list[Any], m: list[Any]) -> Sequence[Any]:
            return sgd_update(p, g, m, rate, self.momentum, self.nesterov)

        self.updates = [*self._count(), *multi_tensor_updates(step, params, grads, moments)]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self._values("learning_rate", "momentum", "decay"), "nesterov": self.nesterov}


