"""The NumPy backend object."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.backend.value_style import ValueStyleBackend
from kcore.graph.ir import TensorSpec
from kcore.ops import REGISTRY, dtypes


class NumpyBackend(ValueStyleBackend):
    """Every reference, run as it is."""

    name = "numpy"

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
