"""Sparse tensors are PyTorch's own: of any layout, on the current device, differentiated by autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kcore import backend as K
from kcore.backend import active
from kcore.sparse import SparseArray

DENSE = np.array([[0, 2, 0], [1, 0, 3]], "float32")


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta")
def test_tensors_of_any_layout_are_operands_and_feeds(layout):
    native = torch.from_numpy(DENSE).to_sparse(layout=layout)
    assert K.is_sparse(native)
    assert K.dot(native, torch.ones(3, 2)).tolist() == (DENSE @ np.ones((3, 2))).tolist()
    assert K.to_dense(native).tolist() == DENSE.tolist()
    assert K.eval(K.concatenate([native, native], 0)).tolist() == np.concatenate([DENSE, DENSE]).tolist()
    x = K.placeholder((None, 3), sparse=True)
    (same,) = K.function([x], [x])([native])
    assert same.toarray().tolist() == DENSE.tolist()


def test_data_stay_sparse_on_the_backend():
    native = active.backend().from_sparse(SparseArray.from_dense(DENSE), "float64")
    assert (native.layout, native.dtype, native._nnz(), native.is_coalesced()) == (
        torch.sparse_coo, torch.float64, 3, True)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "int64"])
def test_products_of_dtypes_without_a_sparse_kernel(dtype):
    v = K.variable(SparseArray.from_dense(DENSE), dtype=dtype)
    product = K.dot(v, K.ones((3, 2), dtype=dtype))
    assert K.dtype(product) == dtype
    assert K.eval(product).tolist() == (DENSE @ np.ones((3, 2))).tolist()
