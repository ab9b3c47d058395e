"""Sparse operands of ops: which ops take them, and what stands for an op that has no kernel for them.

Asked by every call of an op, before anything is computed (`kcore.ops.spec`). The forms are entered by
`kcore.ops.sparse`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kcore import sparse as sparse_data
from kcore.errors import SparseTensorError
from kcore.graph.ir import Symbolic

#: What K functions do with a sparse operand, for ops that have no kernel for it: op name -> function of its arguments.
FORMS: dict[str, Callable[..., Any]] = {}


def misplaced(op: Any, arguments: dict[str, Any], backend: Any = None) -> bool:
    """Whether an operand is sparse where the op has no kernel for it."""
    for p in op.tensor_params:
        if p in op.sparse:
            continue
        value = arguments[p]
        if op.kinds[p] == "tensors" and isinstance(value, (list, tuple)):
            if any(_is_sparse(x, backend) for x in value):
                return True
        elif _is_sparse(value, backend):
            return True
    return False


def _is_sparse(value: Any, backend: Any) -> bool:
    if isinstance(value, Symbolic):
        return value.spec.sparse
    if value is None or isinstance(value, (np.ndarray, np.generic, bool, int, float, list, tuple)):
        return False
    return sparse_data.is_sparse_data(value) or is_native(backend, value)


def is_native(backend: Any, value: Any) -> bool:
    """Whether the value is a sparse tensor of the backend's own."""
    test = getattr(backend, "is_sparse", None)
    return test is not None and test(value)


def form_of(op: Any) -> Callable[..., Any]:
    """The function that stands for the op. Raises SparseTensorError where there is none."""
    form = FORMS.get(op.name)
    if form is None:
        raise SparseTensorError(
            f"K.{op.name} takes no sparse tensors; give it K.to_dense(x). Sparse tensors go to K.dot, K.concatenate, "
            "K.cast, K.abs, K.sign, K.square, K.tanh and to products with a number."
        )
    return form
