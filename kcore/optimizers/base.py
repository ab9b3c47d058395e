"""What every optimizer shares: hyperparameters that live in variables, gradients with clipping, state, configuration.

An optimizer is a formula for updates: `get_updates(loss, params)` builds graph nodes and computes nothing. Formulas of
particular optimizers are in the other modules of this room; who runs the updates is `kcore.training`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError, GraphError, ShapeError
from kcore.graph.clone import Cloner
from kcore.graph.updates import as_pairs, hidden

#: Entries that configurations written by other Keras versions carry and that say nothing here.
_FOREIGN_KEYS = frozenset({
    "name", "is_legacy_optimizer", "jit_compile", "use_ema", "ema_momentum", "ema_overwrite_frequency",
    "global_clipnorm", "weight_decay", "loss_scale_factor", "gradient_accumulation_steps", "schedule_decay_steps",
})  # fmt: skip

#: Arguments that all optimizers take.
_CLIPPING = ("clipnorm", "clipvalue", "clip_each")


class Hyperparameter:
    """A number of an optimizer, kept in a variable: `optimizer.lr = 0.1` sets it, reading gives the variable."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        try:
            return instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__} has no attribute {self.name!r} yet.") from None

    def __set__(self, instance: Any, value: Any) -> None:
        current = instance.__dict__.get(self.name)
        if current is not None and not K.is_tensor(value) and not K.is_variable(value):
            K.set_value(current, value)
        else:
            instance.__dict__[self.name] = value


def takes_old_order(get_updates: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Also take `get_updates(params, constraints, loss)`, as before Keras 2; constraints belong to weights now."""

    @functools.wraps(get_updates)
    def method(self: Any, *args: Any, **kwargs: Any) -> list[Any]:
        kwargs.pop("constraints", None)
        if len(args) == 3:
            params, _, loss = args
            args = (loss, params)
        return get_updates(self, *args, **kwargs)

    return method


class Optimizer:
    """Base of all optimizers. Subclasses write `get_updates(loss, params)`.

    Args:
        clipnorm: gradients are scaled down together so that their global norm is at most this.
        clipvalue: each gradient entry is clipped to [-clipvalue, clipvalue].
        clip_each: the norm of each gradient by itself is at most `clipnorm`, as in tf.keras and Keras 3.
    """

    learning_rate = Hyperparameter()
    #: The step count, and the decay that the constructor was given; subclasses make them.
    iterations: Any
    decay: Any
    initial_decay: float

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "get_updates" in cls.__dict__:
            cls.get_updates = takes_old_order(cls.__dict__["get_updates"])  # type: ignore[method-assign]

    def __init__(self, **kwargs: Any) -> None:
        for key in kwargs:
            if key not in _CLIPPING:
                raise TypeError(
                    f"{type(self).__name__} got an unexpected argument {key!r}. Besides its own arguments an optimizer "
                    "takes 'clipnorm', 'clipvalue' and 'clip_each'."
                )
        self.__dict__.update(kwargs)
        self.updates: list[Any] = []
        self.weights: list[Any] = []

    def _variables(self, **values: float) -> None:
        """Make a variable of each named number."""
        with K.name_scope(type(self).__name__):
            for name, value in values.items():
                integer = name == "iterations"
                setattr(self, name, K.variable(value, dtype="int64" if integer else K.floatx(), name=name))

    @property
    def lr(self) -> Any:
        """The learning rate's variable, by its short name."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    # --- building updates ---------------------------------------------------------------------------------------------

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """Updates of `params` and of the optimizer's own state that take one step down the gradient of `loss`."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_updates(loss, params).")

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """Gradients of `loss` by each of `params`, clipped as the constructor was told.

        Raises GraphError when the loss does not depend on a parameter through differentiable ops.
        """
        grads = K.gradients(loss, list(params))
        missing = [p.name for p, g in zip(params, grads, strict=True) if g is None]
        if missing:
            raise GraphError(
                f"The loss has no gradient by {', '.join(missing)}: either it does not depend on them, or only through "
                "ops without a gradient (K.argmax, K.round, K.equal, ...). Freeze those layers (layer.trainable = "
                "False) before compile(), or use differentiable ops."
            )
        return self._clipped(grads)

    def _clipped(self, grads: list[Any]) -> list[Any]:
        clipnorm, clipvalue = getattr(self, "clipnorm", None), getattr(self, "clipvalue", None)
        if clipnorm is not None and clipnorm > 0 and getattr(self, "clip_each", False):
            grads = [clip_norm(g, clipnorm, K.sqrt(K.sum(K.square(g)))) for g in grads]
        elif clipnorm is not None and clipnorm > 0:
            norm = K.sqrt(sum(K.sum(K.square(g)) for g in grads))
            grads = [clip_norm(g, clipnorm, norm) for g in grads]
        if clipvalue is not None and clipvalue > 0:
            grads = [K.clip(g, -clipvalue, clipvalue) for g in grads]
        return grads

    def minimize(self, loss: Any, var_list: Sequence[Any]) -> list[Any]:
        """One step down the gradient of `loss`: updates of the variables and of the optimizer's state.

        For custom training steps: in a model's `train_step` the updates are made without further ado; elsewhere pass
        them to `K.function(updates=...)`. Calls for the same variables share one state.
        """
        return self._updates_for(self.get_gradients(loss, var_list), var_list)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> list[Any]:
        """The same from gradients of one's own: pairs `(gradient, variable)`. They are clipped as others are."""
        pairs = list(grads_and_vars)
        if not pairs or any(g is None for g, _ in pairs):
            missing = ", ".join(v.name for g, v in pairs if g is None)
            raise GraphError(f"No gradients to apply{': none by ' + missing if missing else ''}.")
        return self._updates_for(self._clipped([g for g, _ in pairs]), [v for _, v in pairs])

    def prepare(self, params: Sequence[Any]) -> None:
        """Make the state for these variables, if there is none yet."""
        self._template(params)

    def _updates_for(self, grads: Sequence[Any], params: Sequence[Any]) -> list[Any]:
        stand_ins, pairs = self._template(params)
        replaced: list[tuple[Any, Any]] = list(zip(stand_ins, grads, strict=True))
        replaced += [(v, v.pending) for v, _ in pairs if v.pending is not None]  # a second step in one run
        values = Cloner(replaced).values([value for _, value in pairs])
        return [K.update(v, value) for (v, _), value in zip(pairs, values, strict=True)]

    def _template(self, params: Sequence[Any]) -> tuple[list[Any], list[tuple[Any, Any]]]:
        """The updates for placeholders in place of gradients; made once, with the state."""
        templates = self.__dict__.setdefault("_templates", {})
        key = tuple(id(p) for p in params)
        if key not in templates:
            grads = [K.placeholder(shape=K.int_shape(p), dtype=K.dtype(p)) for p in params]
            self.__dict__["get_gradients"] = lambda loss, params: list(grads)
            try:
                with hidden(params), K.name_scope("training"), K.name_scope(type(self).__name__):
                    pairs = as_pairs(self.get_updates(loss=None, params=list(params)))
            finally:
                del self.__dict__["get_gradients"]
            templates[key] = (grads, pairs, list(params))
        return templates[key][:2]  # type: ignore[no-any-return]

    def _slots(self, name: str, params: Sequence[Any]) -> list[Any]:
        """One variable of zeros like each parameter, named `name_0`, `name_1`, ..."""
        return [K.zeros(K.int_shape(p), dtype=K.dtype(p), name=f"{name}_{i}") for i, p in enumerate(params)]

    def _decayed_rate(self) -> Any:
        """The learning rate after time-based decay: lr / (1 + decay * iterations)."""
        if not self.initial_decay > 0:
            return self.learning_rate
        iterations = K.cast(self.iterations, K.dtype(self.decay))
        return self.learning_rate * (1.0 / (1.0 + self.decay * iterations))

    def _step(self) -> Any:
        """The number of this step, from 1 on, as a float."""
        return K.cast(self.iterations, K.floatx()) + 1.0

    def _count(self) -> list[Any]:
        """The update that counts the step."""
        return [K.update_add(self.iterations, 1)]

    # --- state and configuration --------------------------------------------------------------------------------------

    def get_weights(self) -> list[np.ndarray]:
        """The state (step count, moments, ...) as arrays."""
        return list(K.batch_get_value(self.weights))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the state from arrays in the order of `get_weights()`. Raises ArgumentError, ShapeError."""
        if len(weights) != len(self.weights):
            raise ArgumentError(
                f"{type(self).__name__} has {len(self.weights)} state arrays, got {len(weights)}. The state exists "
                "once the model is compiled and has made its train function (one train_on_batch, or loading)."
            )
        for variable, value in zip(self.weights, weights, strict=True):
            if K.int_shape(variable) != np.shape(value):
                raise ShapeError(
                    f"State {variable.name!r} of {type(self).__name__} has shape {K.int_shape(variable)}; got an array "
                    f"of shape {np.shape(value)}."
                )
        K.batch_set_value(list(zip(self.weights, weights, strict=True)))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, hyperparameters with their present values."""
        return {key: getattr(self, key) for key in _CLIPPING if hasattr(self, key)}

    def _values(self, *names: str) -> dict[str, float]:
        return {name: float(K.get_value(getattr(self, name))) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimizer of a `get_config()`, also of one that another Keras version wrote."""
        known = {
            k: v for k, v in config.items()
            if k not in _FOREIGN_KEYS and not (k in ("clipnorm", "clipvalue") and v is None)
        }  # fmt: skip
        return cls(**known)


class StepCounting(Optimizer):
    """An optimizer whose first state array is its step count; older files lack that entry."""

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As in the base; a missing step count is taken for 0."""
        if len(weights) == len(self.weights) - 1:
            weights = [np.array(0), *weights]
        super().set_weights(weights)


def clip_norm(g: Any, c: float, n: Any) -> Any:
    """The gradient `g` scaled by `c / n` where the norm `n` reaches `c`."""
    if c <= 0:
        return g
    return g * K.switch(K.greater_equal(n, c), c / n, K.ones_like(n))


def constrained_last(params: Sequence[Any]) -> list[list[int]]:
    """Positions of the parameters without and with a constraint, empty groups left out.

    Each group is one multi-tensor update. Those without a constraint can then be overwritten in place.
    """
    free = [i for i, p in enumerate(params) if getattr(p, "constraint", None) is None]
    held = [i for i, p in enumerate(params) if getattr(p, "constraint", None) is not None]
    return [group for group in (free, held) if group]


def constrained(param: Any, value: Any) -> Any:
    """The new value, projected by the parameter's constraint if it has one."""
    constraint = getattr(param, "constraint", None)
    return value if constraint is None else constraint(value)


def multi_tensor_updates(step: Callable[..., Sequence[Any]], params: Sequence[Any], *lists: Sequence[Any]) -> list[Any]:
    """Updates through a list op: `step(params, grads, *slots)` returns new parameters, then each list of new slots.

    `lists` are the gradients and the slots, each as long as `params`.
    """
    updates: list[Any] = []
    for group in constrained_last(params):
        targets = [[items[i] for i in group] for items in (params, *lists[1:])]
        outputs = list(step(targets[0], [lists[0][i] for i in group], *targets[1:]))
        variables = [v for target in targets for v in target]
        updates += [K.update(v, constrained(v, new)) for v, new in zip(variables, outputs, strict=True)]
    return updates
