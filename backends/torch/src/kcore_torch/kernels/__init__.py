"""PyTorch kernels for kcore's ops, one family a file as in kcore.ops; importing this room completes the tables."""

from kcore_torch.kernels import (  # noqa: F401 - entered by being imported
    attention,
    bits,
    control,
    conv,
    creation,
    elementwise,
    indexing,
    linalg,
    nn,
    normalization,
    optimizers,
    pool,
    random,
    recurrent,
    reduction,
    shaping,
    sparse,
)
from kcore_torch.kernels.table import inplace, kernels

__all__ = ["inplace", "kernels"]
