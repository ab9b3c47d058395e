"""Backends made for these tests out of the NumPy one: with autodiff (by differences), and with state by reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend


class Differences(NumpyBackend):
    """Has `value_and_grad`, by central differences in float64: gradients become regions of the emitted source."""

    name = "numpy-differences"
    capabilities = replace(NumpyBackend.capabilities, autodiff=True)

    def __init__(self) -> None:
        super().__init__()
        self.forward_calls = 0

    def value_and_grad(self, fn: Callable[..., Any], wrt: Sequence[Any]) -> Any:
        self.forward_calls += 1
        _, aux = fn(*wrt)
        gradients = []
        for i, value in enumerate(wrt):
            gradient = np.zeros(np.shape(value))
            for at in np.ndindex(gradient.shape):
                ends = []
                for step in (1e-5, -1e-5):
                    moved = np.array(value, "float64")
                    moved[at] += step
                    ends.append(float(fn(*wrt[:i], moved, *wrt[i + 1 :])[0]))
                gradient[at] = (ends[0] - ends[1]) / 2e-5
            gradients.append(gradient.astype(np.asarray(value).dtype))
        return aux, gradients


class Box:
    """A mutable reference to an array."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value


def _sgd(params: Any, grads: Any, moments: Any, lr: Any, momentum: Any, nesterov: bool) -> Any:
    new = [momentum * m - lr * g for g, m in zip(grads, moments, strict=True)]
    return (*(p + m for p, m in zip(params, new, strict=True)), *new)


def _sgd_in_place(params: Any, grads: Any, moments: Any, lr: Any, momentum: Any, nesterov: bool) -> None:
    for p, g, m in zip(params, grads, moments, strict=True):
        m.value = momentum * m.value - lr * g
        p.value = p.value + m.value


class ByReference(NumpyBackend):
    """Keeps state in boxes that executables overwrite, as in-place frameworks do."""

    name = "numpy-by-reference"
    state_style = "ref"

    def __init__(self) -> None:
        super().__init__()
        self.kernels["sgd_update"] = _sgd
        self.inplace = {"sgd_update": _sgd_in_place}

    def new_state(self, value: np.ndarray, dtype: str, name: str) -> Any:
        return Box(super().new_state(value, dtype, name))

    def assign(self, state: Any, value: Any) -> None:
        state.value = np.array(value)

    def read(self, state: Any) -> Any:
        return state.value

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        return lambda inputs, key: fn(state, params, inputs, key)


@pytest.fixture(autouse=True)
def _numpy() -> Iterator[None]:
    with active.backend_scope("numpy"):
        yield


def _scope(backend: Any) -> Iterator[Any]:
    plugin._loaded[backend.name] = backend
    with active.backend_scope(backend.name):
        yield backend
    del plugin._loaded[backend.name]


@pytest.fixture
def differences() -> Iterator[Differences]:
    yield from _scope(Differences())


@pytest.fixture
def by_reference() -> Iterator[ByReference]:
    yield from _scope(ByReference())


@pytest.fixture
def check_gradients() -> Callable[..., None]:
    """Gradients by variables against differences, to any order: `check(loss, variables, inputs, feeds, order=2)`."""
    from kcore.graph.function import Function
    from kcore.graph.gradients import gradients
    from kcore.ops.elementwise import add, multiply, sin
    from kcore.ops.reduction import sum_

    def numeric(f: Function, feeds: Any, variable: Any) -> np.ndarray:
        base = variable.numpy()
        result = np.zeros_like(base)
        for at in np.ndindex(base.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = base.copy()
                moved[at] += step
                variable.assign(moved)
                f.steps = 0  # the same random draws
                ends.append(f(feeds)[0])
            result[at] = (ends[0] - ends[1]) / 2e-6
        variable.assign(base)
        return result

    def check(loss: Any, variables: Any, inputs: Any = (), feeds: Any = (), order: int = 2) -> None:
        inputs, feeds = list(inputs), list(feeds)
        found = gradients(loss, variables)
        run, value = Function(inputs, found), Function(inputs, [loss])
        for variable, gradient in zip(variables, run(feeds), strict=True):
            np.testing.assert_allclose(gradient, numeric(value, feeds, variable), rtol=1e-4, atol=1e-5)
        if order > 1:
            total = None
            for i, gradient in enumerate(found):
                part = sum_(multiply(sin(gradient), 1.0 + 0.3 * i))
                total = part if total is None else add(total, part)
            check(total, variables, inputs, feeds, order - 1)

    return check
