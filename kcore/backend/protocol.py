"""The contract between the core and a backend: what a backend package implements, about a dozen members.

The core calls nothing else of a backend. `docs/architecture.md` walks one `fit` call through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from kcore.graph.ir import TensorSpec

StateStyle = Literal["value", "ref"]


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do, said once by the backend and asked by the core instead of its name.

    Attributes:
        autodiff: it has `value_and_grad`; otherwise the core expands gradients by its own VJP rules.
        dtypes: dtypes that it computes in; others are refused with an error that says so.
        sparse: it has native sparse tensors, kernels for the ops in `kcore.ops.sparse`, and the methods `is_sparse`,
            `from_sparse` and `to_sparse`. Otherwise sparse values reach it as dense tensors.
        compiles: `finalize` traces per concrete shape (first calls are slow). Seeds of random sites are then tensors.
        devices: kinds of devices it may use.
    """

    autodiff: bool = True
    dtypes: frozenset[str] = frozenset({"bool", "uint8", "int32", "int64", "float16", "float32", "float64"})
    sparse: bool = False
    compiles: bool = False
    devices: tuple[str, ...] = ("cpu",)
    extra: Mapping[str, Any] = field(default_factory=dict)


class NativeOptimizer(Protocol):
    """An optimizer of the backend's library as a pure function. Its hyperparameters are its own business.

    Where they can change between steps (a scheduler lowers the rate), it may have `get_options()`, which gives them as
    plain data, and `set_options(options)`: a training that is taken up again puts them back.
    """

    def init(self, params: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The state before the first step on parameters of these values."""

    def step(self, params: list[Any], grads: list[Any], state: list[Any]) -> tuple[list[Any], list[Any]]:
        """New parameters and state, sharing no memory with the old; all native tensors."""


@runtime_checkable
class Backend(Protocol):
    """A loaded backend.

    It may also have:

    * `feed(array, dtype)`: a fed NumPy array in whatever form its executables take fastest, sharing no memory with it.
      Without it, `asarray` serves.
    * `host_view(native)`: a NumPy array to read from, which may share memory with the native tensor. Files are written
      from it. Without it, `to_numpy` serves, which copies.
    * `place(value, device)`: the native tensor on a device of `devices()`, differentiable. Without it, one function
      cannot run on several devices.
    * `prepare(fn, *, name)`, in the "ref" style, where compiling is dear: `bind(state=..., params=...)`, which gives
      what `finalize` gives. The core keeps it for functions of the same code (`kcore.graph.code`), so that what is
      compiled must not depend on the references that were bound first, nor keep them alive. In the "value" style the
      core keeps what `finalize` gives.
    * `compile_settings()`: something hashable; compiled code is not used again where it has changed.
    * `release_caches()`, where the framework keeps compiled code of functions that are gone: it is dropped, and
      compiled again where it is still wanted.

    One with `capabilities.sparse` has `is_sparse(value) -> bool` for any value, `from_sparse(SparseArray, dtype)` and
    `to_sparse(native) -> SparseArray`; its sparse tensors are native ones (`is_native`, `spec_of` with `sparse=True`).

    One whose library has optimizers may have `native_optimizer(object) -> NativeOptimizer`, or None for objects that
    are none.
    """

    name: str
    capabilities: Capabilities
    #: "value": executables are `f(state, ...) -> state'`; "ref": they update storage in place.
    state_style: StateStyle
    #: Native functions by op name: `kernel(*arguments in declared order)`. Random ops get a folded key first and
    #: no seed. A kernel of a composite may have an attribute `supports(**arguments_with_specs) -> bool`.
    kernels: Mapping[str, Callable[..., Any]]
    #: "ref" style only: `inplace[op](*arguments)` overwrites the list parameters named in the op's `aliases`.
    inplace: Mapping[str, Callable[..., Any]]

    def is_native(self, value: Any) -> bool:
        """Whether the value is a tensor of this framework."""

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """A native tensor on the current device from NumPy, numbers, nests of them, or native tensors."""

    def to_numpy(self, value: Any) -> np.ndarray:
        """A NumPy array that shares no memory with state; what is NumPy's already (a shape) passes."""

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype of a native tensor."""

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """Storage for a variable, in memory of its own: a native tensor ("value") or a mutable reference ("ref")."""

    def assign(self, state: Any, value: Any) -> None:
        """"ref" style: overwrite the storage with a native tensor (used inside executables too)."""

    def read(self, state: Any) -> Any:
        """The native tensor that the storage holds now ("value" style: the state itself)."""

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> tuple[Any, list[Any]]:
        """`fn(*wrt) -> (scalar loss, aux tuple)`. Returns (aux, gradients); zeros where the loss does not depend.

        Calls nest (second order): gradients must themselves be differentiable inside an outer call.
        """

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """Make an emitted function ready to be called many times.

        "value": `fn(state, params, inputs, key) -> (outputs, new_state)` becomes a callable with the same arguments
        (`state` may be donated; `params` are only read). "ref": `fn(state, params, inputs, key) -> outputs` becomes
        `call(inputs, key)` bound to the given references.
        """

    def step_key(self, step: int) -> Any:
        """A native key for call number `step` of an executable that draws random numbers."""

    def fold_key(self, key: Any, data: Any) -> Any:
        """A key derived from `key` and an integer (Python, or a native scalar such as a loop counter)."""

    def devices(self) -> list[str]:
        """Names like "/cpu:0", "/gpu:0"."""

    def device_scope(self, name: str) -> AbstractContextManager[Any]:
        """New tensors and state are placed on the device inside the with-block."""

    def synchronize(self, value: Any = None) -> None:
        """Wait until pending work is done."""

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs of what a native function returns for tensors of these specs (None dimensions allowed)."""

    def configure(self, *, threads: int | None = None, memory_growth: bool | None = None) -> None:
        """Set CPU threads and GPU-memory growth; a setting that cannot be honoured raises BackendError.

        A backend that has a number of ops to run at the same time takes `inter_threads` as well.
        """
