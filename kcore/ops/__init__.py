"""Declarations of all ops, one family a file. Importing this room completes the table `REGISTRY`.

Each entry holds signature, docstring, shape-and-dtype rule, NumPy reference, gradient rule and input domain. Nothing
here imports a framework; graph nodes are built through kcore.graph.ir.
"""

from kcore.ops import (  # noqa: F401 - declared by being imported
    activation,
    attention,
    bits,
    control,
    conv,
    creation,
    creation_like,
    crossentropy,
    ctc,
    elementwise,
    image,
    indexing,
    layer_normalization,
    linalg,
    local,
    nn,
    normalization,
    operators,
    optimizer,
    pool,
    products,
    ranking,
    recurrent,
    reduction,
    shaping,
    sparse,
    structural,
)
from kcore.ops.spec import REGISTRY, Op

__all__ = ["REGISTRY", "Op"]
