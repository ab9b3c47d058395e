"""The kernels, one module for each family of ops; importing them fills the table."""

from kcore_tf.kernels import (  # noqa: F401 - each import enters kernels
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
    random,
    recurrent,
    reduction,
    shaping,
    sparse,
)
from kcore_tf.kernels.table import INPLACE, KERNELS

__all__ = ["INPLACE", "KERNELS"]
