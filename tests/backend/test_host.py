"""First kernels for a new backend: the references on host copies, loops in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kcore.backend.host import host_kernels
from kcore.backend.value_style import ValueStyleBackend
from kcore.errors import GraphError
from kcore.graph.ir import TensorSpec
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY


class Box:
    """A tensor of a framework that knows nothing but to hold it."""

    def __init__(self, value: Any) -> None:
        self.value = np.array(value)


class BoxBackend(ValueStyleBackend):
    name = "boxes"

    def __init__(self) -> None:
        self.kernels = host_kernels(self)

    def is_native(self, value: Any) -> bool:
        return isinstance(value, Box)

    def asarray(self, value: Any, dtype: str | None = None) -> Box:
        return Box(np.asarray(self.to_numpy(value) if self.is_native(value) else value, dtype))

    def to_numpy(self, value: Any) -> np.ndarray:
        return np.array(value.value)

    def spec_of(self, value: Any) -> TensorSpec:
        return TensorSpec(value.value.shape, value.value.dtype.name)


@pytest.fixture
def backend() -> BoxBackend:
    return BoxBackend()


def test_every_primitive_has_a_kernel(backend: BoxBackend) -> None:
    assert set(backend.kernels) == {n for n, op in REGISTRY.items() if op.is_primitive} - STRUCTURAL


def test_results_are_native_and_lists_are_taken(backend: BoxBackend) -> None:
    joined = backend.kernels["concatenate"]([Box([1.0]), Box([2.0, 3.0])], 0)
    assert backend.is_native(joined)
    np.testing.assert_array_equal(joined.value, [1, 2, 3])
    values, places = backend.kernels["top_k"](Box([1.0, 3.0, 2.0]), 2)
    assert backend.is_native(values)
    np.testing.assert_array_equal(places.value, [1, 2])


def test_shapes_stay_on_the_host(backend: BoxBackend) -> None:
    shape = backend.kernels["shape"](Box(np.zeros((2, 3))))
    assert isinstance(shape, np.ndarray)
    assert shape.tolist() == [2, 3]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_uses_the_kernels_that_the_backend_has_when_it_runs(reverse: bool, backend: BoxBackend) -> None:
    stacked = []
    host_stack = backend.kernels["stack"]

    def stack(xs: Any, axis: int) -> Any:
        stacked.append(len(xs))
        return host_stack(xs, axis)

    backend.kernels["stack"] = stack
    add = backend.kernels["add"]
    final, sums = backend.kernels["scan"](
        lambda c, x, i: (add(c, x), add(c, x)), [Box(0.0)], [Box([1.0, 2.0, 4.0])], None, reverse
    )
    assert stacked == [3]
    assert final.value == 7
    np.testing.assert_array_equal(sums.value, [7, 6, 4] if reverse else [1, 3, 7])


def test_a_scan_over_nothing_is_refused(backend: BoxBackend) -> None:
    with pytest.raises(GraphError, match="zero steps"):
        backend.kernels["scan"](lambda c, i: (c,), [Box(0.0)], [], 0, False)


def test_conditions_are_native_scalars(backend: BoxBackend) -> None:
    assert backend.kernels["cond"](Box(False), lambda: 1, lambda: 2) == 2
    less, double = backend.kernels["less"], backend.kernels["square"]
    (out,) = backend.kernels["while_loop"](lambda v: (less(v, Box(100.0)),), lambda v: (double(v),), [Box(3.0)])
    assert out.value == 6561


def test_a_loop_counter_of_the_framework_folds_into_a_key_as_a_number_does(backend: BoxBackend) -> None:
    assert backend.fold_key((1, 2), Box(3)) == backend.fold_key((1, 2), 3)


def test_what_a_subclass_must_still_define_is_said_when_it_is_made() -> None:
    class Unfinished(ValueStyleBackend):
        name = "unfinished"

    with pytest.raises(TypeError, match="asarray.*is_native.*spec_of.*to_numpy"):
        Unfinished()
