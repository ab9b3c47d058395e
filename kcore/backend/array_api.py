"""A backend for any namespace of the Python array API standard, for which the namespace is all that must be given.

    class MyBackend(ArrayAPIBackend):
        name = "mine"

        def __init__(self) -> None:
            super().__init__(my_namespace)

Kernels that the standard's functions express are in `array_api_kernels`; what they do not (and random draws) runs
through the NumPy references on host copies, so that every primitive is there. Gradients are the core's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kcore.backend import array_api_kernels, array_api_windows
from kcore.backend.host import host_kernels
from kcore.backend.value_style import ValueStyleBackend
from kcore.graph.ir import TensorSpec
from kcore.ops import REGISTRY, dtypes

#: Sums, extremes and positions of no elements: namespaces give other answers, refuse, or never return.
_REDUCTIONS = frozenset({
    "sum", "prod", "mean", "max", "min", "any", "all", "argmax", "argmin", "reduce_to", "matmul"
})  # fmt: skip


class ArrayAPIBackend(ValueStyleBackend):
    """Kernels over a namespace; a subclass may replace or add some by `self.use`.

    Args:
        xp: the namespace: a module with the functions and dtypes of the standard.
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        # Where the namespace leaves Python's `bool` alone, its own is `bool_`.
        found = {name: getattr(xp, name, getattr(xp, f"{name}_", None)) for name in dtypes.NAMES}
        self._dtypes = {name: dtype for name, dtype in found.items() if dtype is not None}
        self.capabilities = replace(type(self).capabilities, dtypes=frozenset(self._dtypes))
        self.array_type = type(xp.asarray(0.0))
        self.kernels = host_kernels(self)
        self.use(array_api_kernels.table(xp, self.native_dtype))
        self.use(array_api_windows.table(xp))

    def use(self, kernels: Mapping[str, Callable[..., Any]]) -> None:
        """Put kernels, by op name, in place of those that are there.

        Those of reductions and matrix products never see an empty array: what is left of nothing is answered here.
        """
        for name, kernel in kernels.items():
            self.kernels[name] = self._but_of_nothing(name, kernel) if name in _REDUCTIONS else kernel

    def _but_of_nothing(self, name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        """The kernel; where an operand is empty the reference, which then depends on shapes and dtypes only."""
        reference: Any = REGISTRY[name].reference

        def kernel_or_reference(*arguments: Any) -> Any:
            if not any(0 in getattr(x, "shape", ()) for x in arguments):
                return kernel(*arguments)
            dtype = self.spec_of(arguments[0]).dtype
            host = dtypes.numpy_dtype(dtype)
            result = np.asarray(reference(*(np.zeros(x.shape, host) if self.is_native(x) else x for x in arguments)))
            return self.asarray(result, dtype if result.dtype == host else dtypes.name_of(result.dtype))

        return kernel_or_reference

    def native_dtype(self, name: str) -> Any:
        """The namespace's dtype of that name; bfloat16 is computed in float32 where there is none."""
        return self._dtypes["float32" if name == "bfloat16" and name not in self._dtypes else name]

    def is_native(self, value: Any) -> bool:
        """Whether the value is an array of the namespace (or one of its scalars, where reductions give such)."""
        return isinstance(value, self.array_type) or (self.array_type is np.ndarray and isinstance(value, np.generic))

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """An array of the namespace, by way of NumPy."""
        if not self.is_native(value):
            host = np.asarray(value, dtypes.numpy_dtype(dtype) if dtype else None)
            value = self.from_host(host, dtypes.name_of(host.dtype))
        wanted = None if dtype is None else self.native_dtype(dtype)
        return value if wanted is None or value.dtype == wanted else self.xp.astype(value, wanted)

    def from_host(self, array: np.ndarray, dtype: str) -> Any:
        """An array of the namespace from NumPy's, in the dtype of that name, which is the array's own."""
        return self.xp.asarray(array)

    def to_numpy(self, value: Any) -> np.ndarray:
        """A copy as a NumPy array."""
        try:
            return np.array(value, copy=True)
        except (TypeError, ValueError):
            return np.array(np.from_dlpack(value), copy=True)

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype."""
        name = next(n for n, dtype in self._dtypes.items() if dtype == value.dtype)
        return TensorSpec(tuple(int(n) for n in value.shape), name)
