"""Variables: named state, symbolic by reference, stored on the host until a backend first needs it.

While a model is loaded (`deferring`) they have no value until they are given one or are asked for it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import numpy as np

from kcore.backend import active
from kcore.errors import ShapeError
from kcore.graph import ir
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops import dtypes
from kcore.rest import changing

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


# --- initial values that may never be needed --------------------------------------------------------------------------


@dataclass(frozen=True)
class Deferred:
    """An initial value that is computed when it is first asked for.

    Attributes:
        shape: of the value.
        make: computes it.
        anytime: whether it comes to the same whenever that happens.
    """

    shape: tuple[int, ...]
    make: Callable[[], Any]
    anytime: bool


class _Scope(threading.local):
    made: list[Variable] | None = None


_scope = _Scope()
_computing = threading.RLock()


@contextmanager
def deferring() -> Iterator[None]:
    """Inside, this thread's weights and optimizer states get their initial values only if nothing else is given them.

    For loading: what a file holds is allocated once, and a configuration alone allocates nothing. Seeds of unseeded
    initializers are drawn from `np.random` when variables are made, as outside, so that it does not matter when values
    are computed. Where it does (initializers of a user's own), whatever has no value at the end of the block gets its
    initial one, in the order in which the variables were made; after an error nothing is computed.
    """
    if _scope.made is not None:
        yield
        return
    made: list[Variable] = []
    _scope.made = made
    try:
        yield
    finally:
        _scope.made = None
    for variable in made:
        variable.initialize()


def is_deferring() -> bool:
    """Whether initial values wait (`deferring`)."""
    return _scope.made is not None


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
        self._host: np.ndarray | None = None
        self._initial: Callable[[], Any] | None = None
        if isinstance(value, Deferred):
            assert dtype is not None
            self._initial = value.make
            if _scope.made is not None and not value.anytime:
                _scope.made.append(self)
            self.spec = TensorSpec(value.shape, dtype)
        else:
            self._host = np.array(value, dtype=dtypes.numpy_dtype(dtype) if dtype else None, copy=True)
            self.spec = TensorSpec(tuple(self._host.shape), dtype or dtypes.name_of(self._host.dtype))
        name = name or "Variable"
        self.name = (ir.scoped(name) if scoped else name) + ":0"
        self.constraint = constraint
        self.trainable = trainable
        self.device = ir.current_device()
        self.pending: Symbolic | None = None
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

    def initialize(self) -> None:
        """Compute the initial value, if it was deferred and nothing has taken its place."""
        if self._initial is None:
            return
        with _computing:
            if self._initial is not None:
                self._host = np.array(self._initial(), dtype=dtypes.numpy_dtype(self.dtype), copy=True)
                self._initial = None

    def _bind(self, backend: Any) -> Any:
        global storage_epoch
        storage_epoch += 1
        native = self._stored(backend, self.view())
        self._native, self._backend = native, backend
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
        host = self._on_host()
        if host is not None:
            return host.copy()
        array = np.asarray(self._backend.to_numpy(self._backend.read(self._native)))
        return array if array.flags.owndata and array.flags.writeable else array.copy()

    def view(self) -> np.ndarray:
        """The value as a NumPy array to read from at once: it may be the variable's own memory.

        It means this value as long as no run changes the variable (see `kcore.rest.at_rest`).
        """
        host = self._on_host()
        if host is not None:
            return host
        native = self._backend.read(self._native)
        return np.asarray(getattr(self._backend, "host_view", self._backend.to_numpy)(native))

    def _on_host(self) -> np.ndarray | None:
        if self._initial is not None:
            self.initialize()
        return self._host

    def assign(self, value: Any) -> None:
        """Set the value. Raises ShapeError when its shape differs."""
        self.take(np.array(value, dtype=dtypes.numpy_dtype(self.dtype), copy=True))

    def take(self, value: np.ndarray) -> None:
        """Set the value to an array that becomes the variable's own: nobody else writes to it any more.

        Raises ShapeError when its shape differs.
        """
        if value.shape != self.spec.shape:
            raise ShapeError(
                f"Variable {self.name!r} has shape {self.spec.shape}; a value of shape {value.shape} cannot be "
                "assigned to it."
            )
        array = np.ascontiguousarray(value, dtypes.numpy_dtype(self.dtype)).reshape(value.shape)
        with changing:
            if self._backend is None:
                self._host, self._initial = array, None
            elif self._backend.state_style == "ref":
                self._backend.assign(self._native, self._backend.asarray(array, self.dtype))
            else:
                self._native = self._stored(self._backend, array)

    def release(self) -> None:
        """Bring the value back to the host and free the backend's storage."""
        global storage_epoch
        if self._backend is not None:
            with changing:
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
