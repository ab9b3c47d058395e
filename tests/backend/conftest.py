"""K's own tests run on the NumPy backend: what other backends do differently is for conformance to find."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kcore import backend as K


@pytest.fixture(autouse=True)
def numpy_backend(keras_home: object) -> Iterator[None]:
    """The NumPy backend, names and seeds from the start."""
    with K.backend_scope("numpy"):
        K.clear_session()
        np.random.seed(0)  # noqa: NPY002 - the global state is Keras 2's contract
        yield
        K.clear_session()
