"""The NumPy backend object."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend.protocol import Capabilities
from kcore.backend.value_style import ValueStyleBackend
from kcore.graph.ir import TensorSpec
from kcore.ops import REGISTRY, dtypes
from kcore.sparse import SparseArray


class NumpyBackend(ValueStyleBackend):
    """Every reference, run as it is."""

    name = "numpy"

    capabilities = Capabilities(autodiff=False, sparse=True)

    def __init__(self) -> None:
        # References of composites serve too: those have a gradient rule that is cheaper than going through the body.
        self.kernels = {name: op.reference for name, op in REGISTRY.items() if op.reference is not None}

    def is_native(self, value: Any) -> bool:
        """NumPy arrays and scalars are the native tensors, and `SparseArray` the sparse ones."""
        return isinstance(value, (np.ndarray, np.generic, SparseArray))

    def is_sparse(self, value: Any) -> bool:
        """Whether it is a `SparseArray`."""
        return isinstance(value, SparseArray)

    def from_sparse(self, value: SparseArray, dtype: str) -> SparseArray:
        """The entries in the dtype."""
        return value.astype(dtypes.numpy_dtype(dtype))

    def to_sparse(self, value: SparseArray) -> SparseArray:
        """The value itself: no op overwrites one."""
        return value

    def asarray(self, value: Any, dtype: str | None = None) -> Any:
        """An array of the dtype."""
        return np.asarray(value, dtypes.numpy_dtype(dtype) if dtype else None)

    def to_numpy(self, value: Any) -> np.ndarray:
        """The array itself, copied: state is updated by replacement, but results are the caller's."""
        return np.array(value)

    def host_view(self, value: Any) -> np.ndarray:
        """The array itself."""
        return np.asarray(value)

    def spec_of(self, value: Any) -> TensorSpec:
        """Shape and dtype."""
        if isinstance(value, SparseArray):
            return TensorSpec(value.shape, dtypes.name_of(value.dtype), sparse=True)
        return TensorSpec(np.shape(value), dtypes.name_of(np.asarray(value).dtype))
