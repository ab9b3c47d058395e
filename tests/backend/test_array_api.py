"""ArrayAPIBackend over NumPy's namespace: each primitive against its reference, on the host only where it must."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.backend.array_api import ArrayAPIBackend
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.ops import REGISTRY, control
from kcore.ops.cases import NumpyDraw
from kcore.ops.elementwise import tanh
from kcore.ops.reduction import sum_
from kcore.variables import Variable

PRIMITIVES = sorted(n for n, op in REGISTRY.items() if op.is_primitive and op.cases is not None and not op.random)
#: What the standard cannot express; these run through the references.
ON_HOST = {"erf", "scatter_add", "top_k", "random_uniform", "random_normal", "truncated_normal", "random_binomial"}


# Quotients by zero and the like are part of the domains.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


class OverNumpy(ArrayAPIBackend):
    name = "array-api-numpy"

    def __init__(self) -> None:
        super().__init__(np)


@pytest.fixture
def backend() -> Iterator[ArrayAPIBackend]:
    plugin._loaded["array-api-numpy"] = OverNumpy()
    with active.backend_scope("array-api-numpy") as chosen:
        yield chosen
    del plugin._loaded["array-api-numpy"]


@pytest.mark.parametrize("name", PRIMITIVES)
def test_kernels_agree_with_the_references(name: str, backend: ArrayAPIBackend) -> None:
    op = REGISTRY[name]
    for seed in range(12):
        arguments = op.cases(NumpyDraw(seed))
        with active.backend_scope("numpy"):
            expected = op.public(**arguments)
        got = op.public(**arguments)
        for a, b in zip(got if op.multiple else [got], expected if op.multiple else [expected], strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype, seed
            tolerance = 2e-3 if np.asarray(b).dtype == np.float16 else 1e-5
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), tolerance, tolerance, err_msg=f"seed {seed}")


def test_only_what_the_standard_lacks_runs_on_the_host(backend: ArrayAPIBackend) -> None:
    on_host = {n for n, k in backend.kernels.items() if "_on_host" in getattr(k, "__qualname__", "")}
    assert on_host <= ON_HOST


class OwnNames:
    """NumPy's functions for a namespace that spells a dtype `bool_`."""

    def __getattr__(self, name: str) -> Any:
        if name == "bool":
            raise AttributeError(name)
        return getattr(np, name)


def test_a_namespace_may_leave_the_name_bool_to_python() -> None:
    class Named(ArrayAPIBackend):
        name = "own-names"

        def from_host(self, array: np.ndarray, dtype: str) -> Any:
            return self.xp.asarray(array, dtype=self.native_dtype(dtype))

    backend = Named(OwnNames())
    assert backend.capabilities.dtypes == OverNumpy().capabilities.dtypes
    assert backend.spec_of(backend.kernels["less"](backend.asarray([1.0]), backend.asarray([2.0]))).dtype == "bool"


class Fussy:
    """NumPy's functions for a namespace that reduces no empty arrays."""

    REFUSING = ("sum", "prod", "mean", "max", "min", "any", "all", "argmax", "argmin", "matmul")

    def __getattr__(self, name: str) -> Any:
        return self._refusing(name) if name in self.REFUSING else getattr(np, name)

    @staticmethod
    def _refusing(name: str) -> Any:
        def function(*arrays: Any, **options: Any) -> Any:
            assert all(x.size for x in arrays), f"{name} was given an empty array"
            return getattr(np, name)(*arrays, **options)

        return function


def _of_nothing(name: str) -> Iterator[tuple[Any, ...]]:
    """Arguments of a primitive that has nothing to reduce, or many times nothing."""
    dtypes = ("bool",) if name in ("any", "all") else ("float16", "float32", "int32", "uint8")
    for dtype in dtypes if name != "mean" else dtypes[:2]:
        if name == "matmul":
            yield from ((np.zeros((2, k), dtype), np.zeros((k, n), dtype)) for k, n in ((0, 3), (3, 0), (0, 0)))
        elif name == "reduce_to":
            yield from ((np.zeros((2, 0, 3), dtype), to) for to in ((2, 1, 3), (1, 3), (0, 1), ()))
        elif name.startswith("arg"):
            yield np.zeros((2, 0, 3), dtype), 2
        else:
            settings = [(axis, keep) for axis in ((0,), (1,), (0, 1, 2)) for keep in (False, True)]
            yield from ((np.zeros((2, 0, 3), dtype), *s) for s in settings)


@pytest.mark.parametrize("name", [*Fussy.REFUSING, "reduce_to"])
def test_what_is_left_of_nothing_needs_no_namespace(name: str) -> None:
    class Over(ArrayAPIBackend):
        name = "fussy"

    backend = Over(Fussy())
    for arguments in _of_nothing(name):
        got, want = backend.kernels[name](*arguments), np.asarray(REGISTRY[name].reference(*arguments))
        assert isinstance(got, np.ndarray)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_kernels_that_a_backend_uses_see_no_empty_reduction() -> None:
    backend = OverNumpy()
    backend.use({"sum": lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims)})
    assert backend.kernels["sum"](np.ones((2, 3)), (0, 1), False) == 1  # the kernel that was given
    assert backend.kernels["sum"](np.ones((2, 0)), (0, 1), False) == 0


def test_arrays_come_in_by_one_door_that_may_be_replaced() -> None:
    seen = []

    class Watched(OverNumpy):
        def from_host(self, array: np.ndarray, dtype: str) -> Any:
            seen.append((array.dtype.name, dtype))
            return super().from_host(array, dtype)

    backend = Watched()
    backend.asarray([1, 2], "float16")
    backend.asarray([[0.5]])
    backend.asarray(True, "bfloat16")
    assert seen == [("float16", "float16"), ("float64", "float64"), ("float32", "float32")]


def test_it_trains_through_a_loop(backend: ArrayAPIBackend) -> None:
    w, x = Variable(np.full(3, 0.1, "float32"), name="w"), placeholder((None, 3), "float32")
    final, _ = control.loop(lambda c, s, i: ([tanh(c[0] * w + s[0])], []), [np.zeros(3, "float32")], [x])
    loss = sum_(final[0])
    step = Function([x], [loss], [(w, w - gradients(loss, [w])[0] * 0.1)])
    feed: Any = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    losses = [float(step([feed])[0]) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert w.numpy().dtype == np.float32
