"""Properties of every declared op, over its own cases, on the NumPy backend.

The cases are drawn with `NumpyDraw`; the conformance suite asks the same and more of every backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore.graph.function import Function, placeholder
from kcore.graph.gradients import gradients
from kcore.graph.ir import Symbolic
from kcore.ops import REGISTRY, Op, dtypes
from kcore.ops.cases import NumpyDraw
from kcore.ops.elementwise import add, multiply
from kcore.ops.reduction import sum_
from kcore.ops.spec import as_symbolic

OPS = sorted(name for name, op in REGISTRY.items() if op.cases is not None)
SMOOTH = [name for name in OPS if REGISTRY[name].cases.smooth is not None and REGISTRY[name].differentiable]
DETERMINISTIC = [name for name in OPS if not REGISTRY[name].random]
COMPOSITES = [name for name in DETERMINISTIC if REGISTRY[name].body is not None]
TWICE = [
    "multiply", "divide", "power", "tanh", "sigmoid", "softplus", "mean", "max", "prod", "matmul", "gather",
    "concatenate", "strided_slice", "pad", "conv", "conv_transpose", "conv_kernel_grad", "max_pool", "avg_pool",
    "softmax", "log_softmax", "logsumexp", "softmax_crossentropy", "sigmoid_crossentropy", "batch_norm", "batch_dot",
    "dot", "elu", "lstm", "gru", "simple_rnn", "where", "top_k", "tile", "cumsum", "cumprod",
]  # fmt: skip


class BodiesOnly(NumpyBackend):
    """The NumPy backend with nothing but primitives: composites run through their bodies."""

    name = "numpy-bodies"

    def __init__(self) -> None:
        super().__init__()
        self.kernels = {name: kernel for name, kernel in self.kernels.items() if REGISTRY[name].is_primitive}


plugin._loaded.setdefault("numpy-bodies", BodiesOnly())


def _targets(names: list[str]) -> list[Any]:
    """Each op on the NumPy backend; composites that it overrides with their reference also by their body."""
    found = [pytest.param(name, "numpy", id=name) for name in names]
    overridden = [n for n in names if REGISTRY[n].body is not None and REGISTRY[n].reference is not None]
    return found + [pytest.param(name, "numpy-bodies", id=f"{name}-body") for name in overridden]


def over(names: list[str]) -> Any:
    return pytest.mark.parametrize(("name", "backend"), _targets(names))


@pytest.fixture(autouse=True)
def computing(request: pytest.FixtureRequest) -> Iterator[None]:
    with active.backend_scope(request.node.callspec.params["backend"]):
        yield


@contextmanager
def told(op: Op, seed: int) -> Iterator[None]:
    """Failures say which case it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"REGISTRY[{op.name!r}].cases(NumpyDraw({seed})) gave this case")
        raise


def _symbolic(op: Op, arguments: dict[str, Any], unknown: bool = False) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The arguments with placeholders for arrays, the placeholders, and what to feed them."""
    tensors: list[Any] = []
    feeds: list[Any] = []

    def stand_in(array: Any, name: str) -> Any:
        shape = [None if unknown and name not in op.static and n != 1 else n for n in array.shape]
        tensors.append(placeholder(shape, array.dtype.name))
        feeds.append(array)
        return tensors[-1]

    made: dict[str, Any] = {}
    for name in op.params:
        if name not in arguments:
            continue
        value = arguments[name]
        if op.kinds[name] == "tensors":
            made[name] = [stand_in(x, name) for x in value]
        elif op.kinds[name] in ("tensor", "maybe") and value is not None:
            made[name] = stand_in(np.asarray(value), name)
        else:
            made[name] = value
    return made, tensors, feeds


def _results(op: Op, out: Any) -> list[Any]:
    return list(out) if op.multiple else [out]


def _same(a: Any, b: Any, tolerance: float) -> None:
    np.testing.assert_allclose(
        np.asarray(a, "float64"), np.asarray(b, "float64"), rtol=tolerance, atol=tolerance, equal_nan=True
    )


def _compatible(spec_shape: Any, shape: Any) -> bool:
    return len(spec_shape) == len(shape) and all(a is None or a == b for a, b in zip(spec_shape, shape, strict=True))


@over(OPS)
def test_results_have_the_shape_and_dtype_of_the_rule(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(8):
        with told(op, seed):
            _results_have_the_shape_and_dtype_of_the_rule(op, seed)


def _results_have_the_shape_and_dtype_of_the_rule(op: Op, seed: int) -> None:
    arguments = op.cases(NumpyDraw(seed))
    eager = [np.asarray(x) for x in _results(op, op.public(**arguments))]
    made, tensors, feeds = _symbolic(op, arguments)
    declared = _results(op, op.public(**made))
    assert [x.shape for x in declared] == [x.shape for x in eager]
    assert [x.dtype for x in declared] == [dtypes.name_of(x.dtype) for x in eager]
    computed = Function(tensors, declared)(feeds)
    assert [x.dtype for x in computed] == [x.dtype for x in eager]
    if not op.random:
        for a, b in zip(computed, eager, strict=True):
            _same(a, b, 1e-6)


@over(OPS)
def test_unknown_dimensions_change_no_result(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(3):
        with told(op, seed):
            _unknown_dimensions_change_no_result(op, seed)


def _unknown_dimensions_change_no_result(op: Op, seed: int) -> None:
    arguments = op.cases(NumpyDraw(seed))
    made, tensors, feeds = _symbolic(op, arguments, unknown=True)
    declared = _results(op, op.public(**made))
    computed = Function(tensors, declared)(feeds)
    for spec, array in zip(declared, computed, strict=True):
        assert _compatible(spec.shape, array.shape), (spec, array.shape)
        assert spec.dtype == dtypes.name_of(array.dtype)
    if not op.random:
        for a, b in zip(computed, _results(op, op.public(**arguments)), strict=True):
            _same(a, b, 1e-6)


@over([n for n in OPS if REGISTRY[n].body is not None and REGISTRY[n].reference is not None])
def test_reference_and_body_agree(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(4):
        with told(op, seed):
            _reference_and_body_agree(op, seed)


def _reference_and_body_agree(op: Op, seed: int) -> None:
    arguments = op.cases(NumpyDraw(seed))
    with active.backend_scope("numpy"):
        by_reference = _results(op, op.public(**arguments))
    with active.backend_scope("numpy-bodies"):
        by_body = _results(op, op.public(**arguments))
    for a, b in zip(by_reference, by_body, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        _same(a, b, 1e-5)


# --- gradients --------------------------------------------------------------------------------------------------------


def _loss(op: Op, made: dict[str, Any], seed: int) -> Any:
    """A scalar that weighs each element of each floating result differently."""
    generator = np.random.default_rng(seed + 1000)
    total: Any = None
    for out in _results(op, op.public(**made)):
        if dtypes.is_float(out.dtype):
            part = sum_(multiply(out, generator.uniform(0.5, 1.5, [n or 1 for n in out.shape])))
            total = part if total is None else add(total, part)
    return total


def _check_directions(loss: Any, tensors: list[Any], feeds: list[Any], seed: int, tolerance: float) -> None:
    """Gradients against the change of the loss along a random direction of each operand."""
    wrt = [i for i, t in enumerate(tensors) if dtypes.is_float(t.dtype)]
    got = gradients(loss, [tensors[i] for i in wrt])
    found = [i for i, g in zip(wrt, got, strict=True) if g is not None]
    run = Function(tensors, [loss, *(g for g in got if g is not None)])
    grads = dict(zip(found, run(feeds)[1:], strict=True))
    generator = np.random.default_rng(seed)
    for i in wrt:
        direction = generator.uniform(-1, 1, feeds[i].shape)
        step, values = 1e-5, []
        for sign in (1, -1):
            moved = list(feeds)
            moved[i] = feeds[i] + sign * step * direction
            values.append(run(moved)[0])
        numeric = (values[0] - values[1]) / (2 * step)
        if i in grads:
            assert grads[i].shape == feeds[i].shape
        exact = float(np.sum(grads[i] * direction)) if i in grads else 0.0
        assert exact == pytest.approx(numeric, rel=tolerance, abs=tolerance), (tensors[i], grads.get(i))


@over(SMOOTH)
def test_gradients_match_finite_differences(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(4):
        with told(op, seed):
            _gradients_match_finite_differences(op, seed)


def _gradients_match_finite_differences(op: Op, seed: int) -> None:
    arguments = op.cases.smooth(NumpyDraw(seed, floats=("float64",)))
    made, tensors, feeds = _symbolic(op, arguments)
    _check_directions(_loss(op, made, seed), tensors, feeds, seed, 1e-5)


@over(SMOOTH)
def test_unknown_dimensions_change_no_gradient(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(2):
        with told(op, seed):
            _unknown_dimensions_change_no_gradient(op, seed)


def _unknown_dimensions_change_no_gradient(op: Op, seed: int) -> None:
    arguments = op.cases.smooth(NumpyDraw(seed, floats=("float64",)))
    known, tensors, feeds = _symbolic(op, arguments)
    if op.name == "top_k":
        return  # its gradient needs the last size
    vague, vague_tensors, _ = _symbolic(op, arguments, unknown=True)
    results = []
    for made, fed in ((known, tensors), (vague, vague_tensors)):
        outs = [x for x in _results(op, op.public(**made)) if dtypes.is_float(x.dtype)]
        wrt = [t for t in fed if dtypes.is_float(t.dtype)]
        got = gradients([sum_(multiply(x, x)) for x in outs], wrt)
        results.append(Function(fed, [g for g in got if g is not None])(feeds))
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        _same(a, b, 1e-9)


@over(TWICE)
def test_second_derivatives_match_finite_differences(name: str, backend: str) -> None:
    op = REGISTRY[name]
    for seed in range(2):
        with told(op, seed):
            _second_derivatives_match_finite_differences(op, seed)


def _second_derivatives_match_finite_differences(op: Op, seed: int) -> None:
    arguments = op.cases.smooth(NumpyDraw(seed, floats=("float64",)))
    made, tensors, feeds = _symbolic(op, arguments)
    loss = _loss(op, made, seed)
    wrt = [t for t in tensors if dtypes.is_float(t.dtype)]
    inner = [g for g in gradients(multiply(loss, loss), wrt) if g is not None]
    total: Any = as_symbolic(np.zeros(()), "float64")
    for g in inner:
        assert isinstance(g, Symbolic)
        total = add(total, sum_(multiply(g, np.random.default_rng(7).uniform(0.5, 1.5, g.shape))))
    _check_directions(total, tensors, feeds, seed, 1e-4)
