"""Gradients at kinks and ties, where rules must choose: as TF1 chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.graph.function import Function
from kcore.graph.gradients import gradients
from kcore.ops import activation, elementwise, reduction
from kcore.ops.pool import max_pool
from kcore.variables import Variable


@pytest.fixture(autouse=True, params=["references", "bodies"])
def _backend(request: pytest.FixtureRequest) -> Iterator[None]:
    from kcore.backend.reference.backend import NumpyBackend
    from kcore.ops import REGISTRY

    backend = NumpyBackend()
    if request.param == "bodies":
        backend.name = "numpy-bodies-only"
        backend.kernels = {n: k for n, k in backend.kernels.items() if REGISTRY[n].is_primitive}
    plugin._loaded[backend.name + "-edges"] = backend
    with active.backend_scope(backend.name + "-edges"):
        yield
    del plugin._loaded[backend.name + "-edges"]


def slope(fn: Any, *points: float) -> list[float]:
    """The derivative of an elementwise function at points."""
    x = Variable(np.asarray(points), "float64", name="x")
    found = gradients(reduction.sum(fn(x)), [x])[0]
    return [] if found is None else Function([], [found])([])[0].tolist()


@pytest.mark.parametrize(
    ("fn", "points", "expected"),
    [
        (activation.relu, (-1, 0, 1), [0, 0, 1]),
        (lambda x: activation.relu(x, alpha=0.25), (-1, 0, 1), [0.25, 0.25, 1]),
        (lambda x: activation.relu(x, max_value=2), (0, 1, 2, 3), [0, 1, 1, 0]),
        (lambda x: activation.relu(x, threshold=1), (0, 1, 2), [0, 0, 1]),
        (activation.elu, (0,), [1]),
        (lambda x: activation.elu(x, 0.5), (0,), [0.5]),
        (lambda x: activation.clip(x, -1, 1), (-2, -1, 0, 1, 2), [0, 1, 1, 1, 0]),
        (activation.hard_sigmoid, (-2.5, 2.5, 0, 3), [0.2, 0.2, 0.2, 0]),
        (elementwise.abs_, (-1, 0, 1), [-1, 0, 1]),
        (elementwise.sign, (-1, 0, 1), [0, 0, 0]),
        (lambda x: elementwise.maximum(x, 1.0), (0, 1, 2), [0, 1, 1]),
        (lambda x: elementwise.maximum(1.0, x), (0, 1, 2), [0, 0, 1]),
        (lambda x: elementwise.minimum(x, 1.0), (0, 1, 2), [1, 1, 0]),
        (lambda x: elementwise.power(x, 2), (0, -1), [0, -2]),
        (elementwise.floor, (0.5,), []),
        (activation.softsign, (0,), [1]),
    ],
)
def test_slopes(fn: Any, points: Any, expected: list[float]) -> None:
    assert slope(fn, *points) == pytest.approx(expected)


def test_ties_of_a_maximum_share_its_gradient() -> None:
    assert slope(reduction.max_, 1, 3, 3) == [0, 0.5, 0.5]
    assert slope(reduction.min_, 1, 1, 3) == [0.5, 0.5, 0]


def test_a_product_with_zeros_has_its_gradient() -> None:
    assert slope(reduction.prod, 2, 0, 3) == [0, 6, 0]
    assert slope(reduction.prod, 0, 0, 3) == [0, 0, 0]


def test_the_first_maximum_of_a_window_gets_its_gradient() -> None:
    x = Variable(np.array([2.0, 2.0, 1.0, 1.0]).reshape(1, 4, 1), "float64", name="x")
    pooled = max_pool(x, 2, 2, "valid", "channels_last")
    assert Function([], gradients(reduction.sum(pooled), [x]))([])[0].ravel().tolist() == [1, 0, 1, 0]


def test_padding_never_wins() -> None:
    x = Variable(np.full((1, 3, 1), -5.0), "float64", name="x")
    pooled = max_pool(x, 2, 2, "same", "channels_last")
    value, gradient = Function([], [pooled, *gradients(reduction.sum(pooled), [x])])([])
    assert value.ravel().tolist() == [-5, -5]
    assert gradient.ravel().tolist() == [1, 0, 1]
