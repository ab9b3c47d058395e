"""JAX functions for kcore's ops, one family a file; importing this room completes `KERNELS`."""

from kcore_jax.kernels import (  # noqa: F401 - entered by being imported
    bits,
    control,
    conv,
    creation,
    elementwise,
    indexing,
    linalg,
    nn,
    optimizers,
    pool,
    recurrent,
    reduction,
    shaping,
    sparse,
)
from kcore_jax.kernels.table import KERNELS

__all__ = ["KERNELS"]
