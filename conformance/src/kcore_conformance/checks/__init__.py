"""The fixed checks, one level or topic a file; importing this package registers them."""

from kcore_conformance.checks import autodiff, discovery, functions, random, sparse, tensors, training  # noqa: F401
