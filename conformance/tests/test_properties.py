"""Each property of ops notices the kind of fault that it is there for, and passes the sound reference backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore.graph.function import Function
from kcore.ops import REGISTRY
from kcore.ops.edges import Edge, specials
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.properties import PROPERTIES, Property, examples, values
from kcore_conformance.trial import Search, Trial, examine

BY_NAME = {p.name: p for p in PROPERTIES}


def _ignores_nan(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.fmax.reduce(x, axis=axis, keepdims=keepdims, initial=-np.inf)


def _refuses_nothing(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims)


def _view_of_rows(x: Any, rep: int, axis: int) -> Any:
    return x[...] if rep == 1 else np.repeat(x, rep, axis)


def _wide(x: Any) -> Any:
    return np.tanh(np.asarray(x, "float32")) if np.asarray(x).dtype == np.float16 else np.tanh(x)


#: property -> (op, kernel that is wrong in its way)
FAULTS = {
    "edges": ("max", _ignores_nan),
    "edges, empty": ("max", _refuses_nothing),
    "edges, tiny": ("expm1", lambda x: np.exp(x) - np.asarray(1, np.asarray(x).dtype)),
    "low precision": ("tanh", _wide),
    "aliasing": ("repeat_elements", _view_of_rows),
    "override": ("elu", lambda x, alpha: np.where(x > 0, x, np.expm1(x)).astype(x.dtype)),
    "errors": ("add", lambda x, y: np.add(np.ravel(x)[:1], np.ravel(y)[:1])),
}


def _found(backend: Any, op_name: str, prop: str) -> bool:
    """Whether the property finds something in 20 examples."""
    op, item = REGISTRY[op_name], BY_NAME[prop]
    active._stack.append(backend)
    try:
        if not item.applies(op):
            return False
        search = Search(20 if item.share else 0, 0, backend.capabilities.dtypes)
        return examine(op, item, backend, search).finding is not None
    finally:
        active._stack.pop()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_its_property(name: str) -> None:
    op_name, kernel = FAULTS[name]
    prop = name.split(",", maxsplit=1)[0]
    backend = NumpyBackend()
    assert not _found(backend, op_name, prop)
    backend.kernels = {**backend.kernels, op_name: kernel}
    assert _found(backend, op_name, prop)


#: The op that properties of several examples are tried with.
TOGETHER = {p.name: "elu" if p.name == "override" else "tanh" for p in PROPERTIES if p.together is not None}


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> NumpyBackend:
    """The reference backend under another name, which says that it compiles."""
    backend = NumpyBackend()
    backend.name = "compiling"
    backend.capabilities = replace(backend.capabilities, compiles=True, dtypes=backend.capabilities.dtypes)
    monkeypatch.setitem(plugin._loaded, "compiling", backend)
    return backend


def _searched(backend: Any, prop: Property, count: int) -> Trial:
    with active.backend_scope(backend.name):
        return examine(REGISTRY[TOGETHER[prop.name]], prop, backend, Search(count, 0, backend.capabilities.dtypes))


@pytest.mark.parametrize("name", TOGETHER)
def test_what_fails_together_is_found_and_shrunk_alone(name: str, compiling: NumpyBackend) -> None:
    right = np.tanh if TOGETHER[name] == "tanh" else lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x))

    def wrong(x: Any, *rest: Any) -> Any:
        return np.where(x > 0.25, np.asarray(0.5, x.dtype), right(x, *rest)).astype(x.dtype)

    compiling.kernels = {**compiling.kernels, TOGETHER[name]: wrong}
    finding = _searched(compiling, BY_NAME[name], 20).finding
    assert finding is not None
    assert finding.arguments is not None
    assert finding.listed is not None or finding.arguments["x"].size == 1


@pytest.mark.parametrize("name", TOGETHER)
def test_several_examples_are_one_function(name: str, compiling: NumpyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(examples.function, "Function", lambda *a: made.append(a) or Function(*a))
    trial = _searched(compiling, BY_NAME[name], 8)
    assert trial.finding is None
    assert trial.examples > len(made)
    assert len(made) <= 4  # listed and drawn ones, here and on the reference


def test_what_fails_only_together_is_told(compiling: NumpyBackend) -> None:
    def jealous(backend: Any, op: Any, several: Any) -> None:
        raise Mismatch("not beside others")

    finding = _searched(compiling, replace(BY_NAME["compiled"], together=jealous), 4).finding
    assert finding is not None
    assert finding.message == "several examples in one function: not beside others"
    assert finding.arguments is None


@pytest.mark.parametrize("op_name", ["ceil", "sign", "log", "rsqrt"])
def test_numbers_of_low_precision_also_have_a_range(op_name: str) -> None:
    x = np.array([3.5e-9, 4.2e-24, 1.1754944e-38, 1.0], "float32")  # float16 has the last only
    with active.backend_scope("numpy") as backend:
        values.low_precision(backend, REGISTRY[op_name], {"x": x[:, None]})


def test_elements_count_each_or_by_the_largest() -> None:
    got, want = np.array([1e-7, 1.0], "float32"), np.array([2e-7, 1.0], "float32")
    same(got, want)
    with pytest.raises(Mismatch, match="relative error"):
        same(got, want, each=True)


def test_the_sign_of_zero_counts_where_data_is_only_moved() -> None:
    same(np.array([0.0]), np.array([-0.0]))
    with pytest.raises(Mismatch, match="signs of zeros"):
        same(np.array([0.0]), np.array([-0.0]), exact=True)


def test_no_special_value_is_subnormal() -> None:
    for dtype in ("float16", "float32", "float64"):
        values = specials(dtype, Edge()).astype("float64")
        assert not ((values != 0) & (np.abs(values) < np.finfo(dtype).tiny)).any()
        finite = values[np.isfinite(values) & (values != 0)]
        assert (np.abs(1 / finite) >= np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("name", sorted(n for n, op in REGISTRY.items() if op.cases is not None and op.cases.errors))
def test_refused_arguments_are_told_by_the_rule(name: str) -> None:
    """The declarations of errors hold on the reference backend."""
    with active.backend_scope("numpy") as backend:
        for arguments in BY_NAME["errors"].listed(REGISTRY[name], backend.capabilities.dtypes):
            BY_NAME["errors"].run(backend, REGISTRY[name], arguments)
