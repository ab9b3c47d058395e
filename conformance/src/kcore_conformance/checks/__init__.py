"""The fixed checks, one level or topic a file; importing this package registers them."""

from kcore_conformance.checks import (  # noqa: F401
    autodiff,
    discovery,
    functions,
    fusion,
    operands,
    random,
    sparse,
    tensors,
    training,
)
