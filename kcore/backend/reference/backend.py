"""The NumPy backend object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from kcore.backend.protocol import Capabilities
from kcore.errors import BackendError
from kcore.graph.ir import TensorSpec
from kcore.ops import REGISTRY, dtypes


class NumpyBackend:
    """Every reference, run as it is."""

    name = "numpy"
    state_style = "value"
    capabilities = Capabilities(autodiff=False)
    inplace: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(self) -> None:
        # References of composites serve too: those have a gradient rule that is cheaper than going through the body.
        self.kernels = {name: op.reference for name, op in REGISTRY.items() if op.reference is not None}

    def is_native(self, value: Any) -> bool:
        """NumPy arrays and scalars are the native tensors."""
        return isinstance(value, (np.ndarray, np.generic))

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """An array of the dtype."""
        return np.asarray(value, dtypes.numpy_dtype(dtype) if dtype else None)

    def to_numpy(self, value: Any) -> np.ndarray:
        """The array itself, copied: state is updated by replacement, but results are the caller's."""
        return np.array(value)

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype."""
        return TensorSpec(np.shape(value), dtypes.name_of(np.asarray(value).dtype))

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """A copy."""
        return np.array(value, dtypes.numpy_dtype(dtype))

    def assign(self, state: Any, value: Any) -> None:
        """State is replaced, never overwritten."""
        raise BackendError("The numpy backend keeps state by value.")

    def read(self, state: Any) -> Any:
        """The state itself."""
        return state

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> Any:
        """Not there: the core expands gradients."""
        raise BackendError("The numpy backend has no autodiff of its own; the core expands gradients.")

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        """The emitted function as it is, silent about overflow as the other backends are."""

        def call(state: Any, params: Any, inputs: Any, key: Any) -> Any:
            with np.errstate(all="ignore"):
                return fn(state, params, inputs, key)

        return call

    def step_key(self, step: int) -> Any:
        """Two words of a Philox key."""
        return (step, 0x9E3779B97F4A7C15)

    def fold_key(self, key: Any, data: Any) -> Any:
        """A key from a key and an integer: splitmix64 of their sum."""
        mixed = (int(key[0]) * 0x100000001B3 + int(data) + 1) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        return (mixed ^ (mixed >> 31), key[1])

    def devices(self) -> list[str]:
        """One CPU."""
        return ["/cpu:0"]

    @contextmanager
    def device_scope(self, name: str) -> Iterator[None]:
        """Only "/cpu:0" is there."""
        if name.lower() not in ("/cpu:0", "cpu", "cpu:0", "/device:cpu:0"):
            raise BackendError(f"The numpy backend has no device {name!r}; it has /cpu:0.")
        yield

    def synchronize(self, value: Any = None) -> None:
        """Nothing is pending."""

    def infer_native(self, fn: Callable[..., Any], specs: Sequence[TensorSpec]) -> Any:
        """Specs by running `fn` on zeros twice, with two sizes for unknown dimensions."""

        def trial(unknown: int) -> Any:
            shapes = [[unknown if n is None else n for n in s.shape] for s in specs]
            return fn(*(np.zeros(n, dtypes.numpy_dtype(s.dtype)) for n, s in zip(shapes, specs, strict=True)))

        def merged(a: Any, b: Any) -> Any:
            if isinstance(a, (list, tuple)):
                return type(a)(merged(x, y) for x, y in zip(a, b, strict=True))
            spec, other = self.spec_of(a), self.spec_of(b)
            return spec.with_shape(m if m == n else None for m, n in zip(spec.shape, other.shape, strict=True))

        return merged(trial(5), trial(7))

    def configure(self, *, threads: int | None = None, memory_growth: bool | None = None) -> None:
        """NumPy has neither setting."""
        if threads is not None:
            raise BackendError("NumPy's threads are set by its BLAS before Python starts (OMP_NUM_THREADS).")
