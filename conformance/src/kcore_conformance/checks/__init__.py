"""The fixed checks, one level or topic a file; importing this package registers them."""

from kcore_conformance.checks import (  # noqa: F401
    autodiff,
    discovery,
    files,
    functions,
    metamorphic,
    metamorphic_nn,
    random,
    tensors,
    training,
)
