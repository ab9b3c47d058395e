"""What the tests of this backend share: the backend itself, and running one function on it and on NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.errors import BackendNotFoundError
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.ops import REGISTRY


@pytest.fixture(scope="session")
def tf_backend() -> Any:
    try:
        return active.load("tensorflow")
    except BackendNotFoundError:  # not installed, run from a source tree
        import kcore_tf.plugin

        plugin.register(kcore_tf.plugin)
        return active.load("tensorflow")


@pytest.fixture(autouse=True)
def on_tensorflow(tf_backend: Any) -> Iterator[None]:
    with active.backend_scope("tensorflow"):
        yield


@pytest.fixture
def agree() -> Callable[..., list[np.ndarray]]:
    """Run a function on the NumPy backend (gradients by the core's VJP rules) and here; both must give the same."""

    def run(inputs: Any, outputs: Any, feeds: Any, rtol: float = 1e-9, atol: float = 1e-9) -> list[np.ndarray]:
        function = Function(inputs, outputs)
        with active.backend_scope("numpy"):
            expected = function(feeds)
        got = function(feeds)
        for a, b in zip(got, expected, strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
        return got

    return run


@pytest.fixture
def agree_on(agree: Callable[..., list[np.ndarray]]) -> Callable[..., list[np.ndarray]]:
    """Values and gradients (on request of second order too) of an op or function of arrays, here and on NumPy."""

    def run(fn: Callable[..., Any], *arrays: Any, second: bool = False, **tolerance: float) -> list[np.ndarray]:
        feeds = [np.asarray(a) for a in arrays]
        inputs = [placeholder(a.shape, str(a.dtype)) for a in feeds]
        result = fn(*inputs)
        outputs = list(result) if isinstance(result, (list, tuple)) else [result]
        floats = [x for x in inputs if x.dtype.startswith("float")]
        found: list[Any] = []
        if floats and all(y.dtype.startswith("float") for y in outputs):
            found = connected(gradients(weighted(outputs), floats))
        if found and second:
            found += connected(gradients(weighted(found), floats))
        return agree(inputs, [*outputs, *found], feeds, **tolerance)

    return run


def connected(values: list[Any]) -> list[Any]:
    return [v for v in values if v is not None]


def weighted(values: list[Any]) -> Any:
    """A scalar that looks at every element, each with another weight."""
    total = None
    for k, value in enumerate(values):
        weights = np.cos(np.arange(np.prod(value.shape, dtype=int)) + k).reshape(value.shape)
        term = REGISTRY["sum"].public(value * weights)
        total = term if total is None else total + term
    return total
