"""Variables: named state, symbolic by reference, stored on the host until a backend first needs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from weakref import WeakSet

import numpy as np

from kcore.backend import active
from kcore.errors import ShapeError
from kcore.graph import ir
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import dtypes

#: Raised whenever a variable's storage object is replaced, so that bound executables look again.
storage_epoch = 0
_living: WeakSet[Variable] = WeakSet()


def stored_bytes() -> int:
    """How much the variables that are still referred to, if only by a cycle, take on backends."""
    bound = [v for v in _living if v._backend is not None]
    return sum(math.prod(n or 0 for n in v.spec.shape) * dtypes.numpy_dtype(v.dtype).itemsize for v in bound)


def release_all() -> None:
    """Bring all values back to the host and free what backends stored (part of K.clear_session)."""
    for variable in list(_living):
        variable.release()


class Variable(Symbolic):
    """A tensor that keeps its value between runs. In K ops it stands for its value at the time of the run.

    Attributes:
        spec, name: shape and dtype; `dense_1/kernel:0`.
        trainable: what layers made of it.
        constraint: projection applied by optimizers after an update, or None.
        device: where it is stored, from the `device_scope` it was made in; None for where it is first used.
        pending: the value that a read means inside `graph.updates.reading_after`, else None.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_backend", "_host", "_initial", "_native", "constraint", "device", "name",
        "pending", "spec", "trainable",
    )  # fmt: skip

    def __init__(
        self,
        value: Any,
        dtype: str | None = None,
        name: str | None = None,
        constraint: Callable[[Any], Any] | None = None,
        trainable: bool = True,
        *,
        scoped: bool = True,
    ) -> None:
        array = np.array(value, dtype=dtypes.numpy_dtype(dtype) if dtype else None, copy=True)
        dtype = dtype or dtypes.name_of(array.dtype)
        self.spec = TensorSpec(tuple(array.shape), dtype)
        name = name or "Variable"
        self.name = (ir.scoped(name) if scoped else name) + ":0"
        self.constraint = constraint
        self.trainable = trainable
        self.device = ir.current_device()
        self.pending: Symbolic | None = None
        self._host: np.ndarray | None = array
        self._native: Any = None
        self._backend: Any = None
        _living.add(self)

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype}>"

    def state(self, backend: Any) -> Any:
        """The storage on `backend`; moves the value there when it is elsewhere."""
        if self._backend is backend:
            return self._native
        return self._bind(backend)

    def _bind(self, backend: Any) -> Any:
        global storage_epoch
        storage_epoch += 1
        self._native = self._stored(backend, self.numpy())
        self._backend = backend
        self._host = None
        return self._native

    def _stored(self, backend: Any, value: np.ndarray) -> Any:
        """New storage: on the variable's device, or wherever the backend computes now."""
        with nullcontext() if self.device is None else backend.device_scope(self.device):
            return backend.new_state(value, self.dtype, self.name)

    def set_state(self, native: Any) -> None:
        """Replace the storage of a "value"-style backend (executables call this after each run)."""
        self._native = native

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array of one's own."""
        if self._host is not None:
            return self._host.copy()
        return np.array(self._backend.to_numpy(self._backend.read(self._native)), copy=True)

    def assign(self, value: Any) -> None:
        """Set the value. Raises ShapeError when its shape differs."""
        array = np.array(value, dtype=dtypes.numpy_dtype(self.dtype), copy=True)
        if array.shape != self.spec.shape:
            raise ShapeError(
                f"Variable {self.name!r} has shape {self.spec.shape}; a value of shape {array.shape} cannot be "
                "assigned to it."
            )
        if self._backend is None:
            self._host = array
        elif self._backend.state_style == "ref":
            self._backend.assign(self._native, self._backend.asarray(array, self.dtype))
        else:
            self._native = self._stored(self._backend, array)

    def release(self) -> None:
        """Bring the value back to the host and free the backend's storage."""
        global storage_epoch
        if self._backend is not None:
            self._host, self._native, self._backend = self.numpy(), None, None
            storage_epoch += 1

    def move(self, backend_name: str) -> None:
        """Move the value to another backend."""
        self.state(active.load(backend_name))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    @property
    def op(self) -> Any:
        """Compatibility: an object with the variable's name without the output number."""
        from types import SimpleNamespace

        return SimpleNamespace(name=self.name.rsplit(":", 1)[0], type="Variable")
