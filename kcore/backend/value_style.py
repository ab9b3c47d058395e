"""What backends have in common that keep state by value on one CPU and have no autodiff of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from kcore.backend.protocol import Capabilities, StateStyle
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.graph.placement import check_device, neutral_name
from kcore.ops import dtypes


class ValueStyleBackend(ABC):
    """Base of such backends: the whole protocol but four conversions.

    A subclass sets `name` and `kernels` (`kcore.backend.host.host_kernels(self)` is a start) and defines `is_native`,
    `asarray`, `to_numpy` and `spec_of`. Everything else has an answer here that is right for a framework with one
    device, immutable state and no compiler; a subclass overrides what its framework does better.
    """

    name: str
    state_style: StateStyle = "value"
    capabilities = Capabilities(autodiff=False)
    kernels: dict[str, Callable[..., Any]]
    inplace: ClassVar[dict[str, Callable[..., Any]]] = {}

    # --- tensors: what a subclass must say ------------------------------------------------------------------------

    @abstractmethod
    def is_native(self, value: Any) -> bool:
        """Whether the value is a tensor of this framework."""

    @abstractmethod
    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """A native tensor of the dtype, from NumPy, numbers, nests of them, or native tensors."""

    @abstractmethod
    def to_numpy(self, value: Any) -> np.ndarray:
        """A NumPy array that shares no memory with the tensor."""

    @abstractmethod
    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype of a native tensor."""

    # --- state ----------------------------------------------------------------------------------------------------

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """A copy: state is replaced, never overwritten."""
        return self.asarray(np.array(value, dtypes.numpy_dtype(dtype)), dtype)

    def assign(self, state: Any, value: Any) -> None:
        """Not there: state is replaced, never overwritten."""
        raise BackendError(f"The {self.name} backend keeps state by value.")

    def read(self, state: Any) -> Any:
        """The state itself."""
        return state

    # --- running --------------------------------------------------------------------------------------------------

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> Any:
        """Not there: the core expands gradients."""
        raise BackendError(f"The {self.name} backend has no autodiff of its own; the core expands gradients.")

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """The emitted function as it is, silent about overflow as other frameworks are."""

        def call(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            with np.errstate(all="ignore"):
                outputs, new = fn(state, params, inputs, key)
            return outputs, tuple([_own(value, inputs) for value in new])

        return call

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs by running `fn` on zeros twice, with two sizes for unknown dimensions."""

        def trial(unknown: int) -> Any:
            shapes = [[unknown if n is None else n for n in s.shape] for s in specs]
            zeros = [np.zeros(n, dtypes.numpy_dtype(s.dtype)) for n, s in zip(shapes, specs, strict=True)]
            return fn(*(self.asarray(z, s.dtype) for z, s in zip(zeros, specs, strict=True)))

        def merged(a: Any, b: Any) -> Any:
            if isinstance(a, (list, tuple)):
                return type(a)(merged(x, y) for x, y in zip(a, b, strict=True))
            spec, other = self.spec_of(a), self.spec_of(b)
            return spec.with_shape(m if m == n else None for m, n in zip(spec.shape, other.shape, strict=True))

        return merged(trial(5), trial(7))

    # --- random numbers -------------------------------------------------------------------------------------------

    def step_key(self, step: int) -> Any:
        """Two words of a Philox key."""
        return (step, 0x9E3779B97F4A7C15)

    def fold_key(self, key: Any, data: Any) -> Any:
        """A key from a key and an integer: splitmix64 of their sum."""
        data = self.to_numpy(data) if self.is_native(data) else data
        mixed = (int(key[0]) * 0x100000001B3 + int(data) + 1) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        return (mixed ^ (mixed >> 31), key[1])

    # --- devices --------------------------------------------------------------------------------------------------

    def devices(self) -> list[str]:
        """One CPU."""
        return ["/cpu:0"]

    @contextmanager
    def device_scope(self, name: str) -> Iterator[None]:
        """Only "/cpu:0" is there."""
        check_device(self, neutral_name(name))
        yield

    def synchronize(self, value: Any = None) -> None:  # noqa: B027 - a default, not a gap
        """Nothing is pending."""

    def configure(self, *, threads: int | None = None, memory_growth: bool | None = None) -> None:
        """Neither setting is there; the number of threads is set before Python starts."""
        if threads is not None:
            raise BackendError(
                f"The {self.name} backend cannot set its threads: they are set by the BLAS before Python starts "
                "(OMP_NUM_THREADS)."
            )


def _own(value: Any, inputs: Any) -> Any:
    """New state in memory of its own: an array that the caller fed, or a view of one, is copied."""
    if not isinstance(value, np.ndarray):
        return value
    given = any(value is x for x in inputs)
    shared = given or (value.base is not None and any(np.may_share_memory(value, x) for x in inputs))
    return value.copy() if shared else value
