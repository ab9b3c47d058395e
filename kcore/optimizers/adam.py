"""Adam and its relatives: running means of the gradient and of its size, corrected for their start at zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.ops.optimizer import adam_update
from kcore.optimizers.adaptive import _epsilon
from kcore.optimizers.base import Hyperparameter, Optimizer, constrained, multi_tensor_updates


class _Adaptive(Optimizer):
    """The two running means' rates, shared by the three optimizers below."""

    beta_1 = Hyperparameter()
    beta_2 = Hyperparameter()
    decay = Hyperparameter()


class Adam(_Adaptive):
    """`m = b1 * m + (1 - b1) * g`, `v = b2 * v + (1 - b2) * g^2`, `p = p - lr_t * m / (sqrt(v) + epsilon)`.

    `lr_t = lr * sqrt(1 - b2^t) / (1 - b1^t)` corrects the means' start at zero.

    Args:
        learning_rate: step size (also `lr=`).
        beta_1, beta_2: how slowly the means move.
        amsgrad: divide by the largest `v` so far.
        epsilon, decay, clipnorm, clipvalue: keyword only.
    """

    def __init__(self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, amsgrad: bool = False,
                 **kwargs: Any) -> None:  # fmt: skip
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(
            iterations=0, learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, decay=self.initial_decay
        )
        self.amsgrad = amsgrad

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        ms, vs = self._slots("m", params), self._slots("v", params)
        if self.amsgrad:
            vhats = self._slots("vhat", params)
        else:  # files hold one number in place of each
            vhats = [K.zeros((1,), name=f"vhat_{i}") for i in range(len(params))]
        self.weights = [self.iterations, *ms, *vs, *vhats]
        t = self._step()
        rate = self._decayed_rate() * (K.sqrt(1.0 - K.pow(self.beta_2, t)) / (1.0 - K.pow(self.beta_1, t)))

        def step(p: list[Any], g: list[Any], m: list[Any], v: list[Any], *vhat: list[Any]) -> Sequence[Any]:
            return adam_update(p, g, m, v, vhat[0] if vhat else [], rate, self.beta_1, self.beta_2, self.epsilon)

        slots = (ms, vs, vhats) if self.amsgrad else (ms, vs)
        self.updates = [*self._count(), *multi_tensor_updates(step, params, grads, *slots)]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        values = self._values("learning_rate", "beta_1", "beta_2", "decay")
        return {**super().get_config(), **values, "epsilon": self.epsilon, "amsgrad": self.amsgrad}


class Adamax(_Adaptive):
    """Adam with the largest recent gradient in place of the mean square: `u = max(b2 * u, |g|)`."""

    def __init__(self, learning_rate: float = 0.002, beta_1: float = 0.9, beta_2: float = 0.999,
                 **kwargs: Any) -> None:  # fmt: skip
        self.initial_decay = kwargs.pop("decay", 0.0)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(
            iterations=0, learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, decay=self.initial_decay
        )

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        ms, us = self._slots("m", params), self._slots("u", params)
        self.weights = [self.iterations, *ms, *us]
        rate = self._decayed_rate() / (1.0 - K.pow(self.beta_1, self._step()))
        self.updates = self._count()
        for p, g, m, u in zip(params, grads, ms, us, strict=True):
            new_m = self.beta_1 * m + (1.0 - self.beta_1) * g
            new_u = K.maximum(self.beta_2 * u, K.abs(g))
            new_p = p - rate * new_m / (new_u + self.epsilon)
            self.updates += [K.update(m, new_m), K.update(u, new_u), K.update(p, constrained(p, new_p))]
        return self.updates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        values = self._values("learning_rate", "beta_1", "beta_2", "decay")
        return {**super().get_config(), **values, "epsilon": self.epsilon}


class Nadam(_Adaptive):
    """Adam with Nesterov momentum, whose weight follows the schedule of the original paper.

    Args:
        learning_rate, beta_1, beta_2: as of Adam.
        schedule_decay, epsilon, clipnorm, clipvalue: keyword only.
    """

    m_schedule: Any

    def __init__(self, learning_rate: float = 0.002, beta_1: float = 0.9, beta_2: float = 0.999,
                 **kwargs: Any) -> None:  # fmt: skip
        self.schedule_decay = kwargs.pop("schedule_decay", 0.004)
        self.epsilon = _epsilon(kwargs)
        learning_rate = kwargs.pop("lr", learning_rate)
        super().__init__(**kwargs)
        self._variables(iterations=0, m_schedule=1.0, learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2)

    def _momentum(self, t: Any) -> Any:
        """Momentum of step `t`."""
        return self.beta_1 * (1.0 - 0.5 * K.exp(t * (self.schedule_decay * float(np.log(0.96)))))

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        grads = self.get_gradients(loss, params)
        ms, vs = self._slots("m", params), self._slots("v", params)
        self.weights = [self.iterations, self.m_schedule, *ms, *vs]
        t = self._step()
        now, then = self._momentum(t), self._momentum(t + 1.0)
        schedule = self.m_schedule * now
        ahead = schedule * then
        self.updates = [*self._count(), K.update(self.m_schedule, schedule)]
        for p, g, m, v in zip(params, grads, ms, vs, strict=True):
            new_m = self.beta_1 * m + (1.0 - self.beta_1) * g
            new_v = self.beta_2 * v + (1.0 - self.beta_2) * K.square(g)
            mean = (1.0 - now) * (g / (1.0 - schedule)) + then * (new_m / (1.0 - ahead))
            size = new_v / (1.0 - K.pow(self.beta_2, t))
            new_p = p - self.learning_rate * mean / (K.sqrt(size) + self.epsilon)
            self.updates += [K.update(m, new_m), K.update(v, new_v), K.update(p, constrained(p, new_p))]
        return self.updates

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As in the base; files older than the momentum schedule lack its entry, which is then 1."""
        if len(weights) == len(self.weights) - 1:
            weights = [weights[0], np.array(1.0), *weights[1:]]
        super().set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        values = self._values("learning_rate", "beta_1", "beta_2")
        return {**super().get_config(), **values, "epsilon": self.epsilon, "schedule_decay": self.schedule_decay}
