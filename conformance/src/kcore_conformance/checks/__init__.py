"""The fixed checks, one level or topic a file; importing this package registers them."""

from kcore_conformance.checks import (  # noqa: F401
    autodiff,
    devices,
    discovery,
    files,
    functions,
    fusion,
    metamorphic,
    metamorphic_loops,
    metamorphic_nn,
    metamorphic_random,
    metamorphic_training,
    operands,
    random,
    sparse,
    tensors,
    training,
)
