"""Optimizers of a backend's own library: whole updates that are opaque to the graph.

The backend's `native_optimizer(object)` says what it makes of a user's object (see `kcore.backend.protocol`). Here its
state is kept in variables, like that of every optimizer, and one step of it is one node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore import backend as K
from kcore.backend import active
from kcore.errors import ArgumentError
from kcore.graph.ir import TensorSpec
from kcore.ops.structural import native_call
from kcore.optimizers.base import Optimizer, constrained


def accepts(optimizer: Any) -> bool:
    """Whether the active backend knows the object as an optimizer of its library."""
    return _adapter(optimizer) is not None


def _adapter(optimizer: Any) -> Any:
    offer = getattr(active.backend(), "native_optimizer", None)
    return None if offer is None else offer(optimizer)


class NativeOptimizer(Optimizer):
    """An optimizer of the backend's own library; `compile(optimizer=...)` wraps such objects by itself.

    Args:
        optimizer: what the backend takes: for instance an optimizer object of its library, its class, or a function
            that makes one.

    Its learning rate and its like belong to the object. Constraints of weights apply after each step. It cannot be
    written to a model's file (the state of its steps can be read by `get_weights`, and set by `set_weights`);
    `BackupAndRestore` keeps its state.
    """

    def __init__(self, optimizer: Any) -> None:
        super().__init__()
        self.optimizer = optimizer
        self._variables(iterations=0)
        self._state: list[Any] = []

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """See the class."""
        adapter = _adapter(self.optimizer)
        if adapter is None:
            raise ArgumentError(
                f"The backend {active.backend().name!r} does not know {self.optimizer!r} as an optimizer of its "
                "library. Give it one of that library, or an optimizer of kcore."
            )
        grads, count = self.get_gradients(loss, params), len(params)
        start = adapter.init([K.get_value(p) for p in params])
        self._state = [K.variable(a, dtype=str(a.dtype), name=f"state_{i}") for i, a in enumerate(start)]

        def step(*tensors: Any) -> tuple[Any, ...]:
            new, state = adapter.step(
                list(tensors[:count]), list(tensors[count : 2 * count]), list(tensors[2 * count :])
            )
            return (*new, *state)

        targets = [*params, *self._state]
        specs = [TensorSpec(tuple(K.int_shape(v)), K.dtype(v)) for v in targets]
        new = native_call(step, [*params, *grads, *self._state], specs)
        new = [*map(constrained, params, new[:count]), *new[count:]]
        self.updates = [*self._count(), *(K.update(v, x) for v, x in zip(targets, new, strict=True))]
        return self.updates

    @property
    def weights(self) -> list[Any]:  # type: ignore[override]
        """The step count and the state."""
        return [self.iterations, *self._state]

    @weights.setter
    def weights(self, value: list[Any]) -> None:
        self._state = value[1:]

    def get_options(self) -> dict[str, Any]:
        """The object's hyperparameters as they are now, where the backend can tell."""
        found = getattr(_adapter(self.optimizer), "get_options", None)
        return {} if found is None else found()

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Put back what `get_options` gave."""
        if options:
            _adapter(self.optimizer).set_options(options)

    def get_config(self) -> dict[str, Any]:
        """Raises NotImplementedError: only the library knows how the object was made."""
        raise NotImplementedError(
            f"An optimizer of the backend's library ({type(self.optimizer).__name__}) has no configuration that kcore "
            "could write or read. Use an optimizer of kcore where the model is to be saved with its training state."
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """Raises NotImplementedError, as `get_config` does."""
        raise NotImplementedError("An optimizer of the backend's library cannot be made from a configuration.")
