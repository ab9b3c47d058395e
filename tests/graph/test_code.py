"""Compiled code: equal models share it, unequal ones do not, and it keeps no weights alive."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kcore.layers
from kcore import backend as K
from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore.graph import code
from kcore.graph.function import Function, placeholder
from kcore.ops.structural import native_call
from kcore.variables import Variable


class Counting(NumpyBackend):
    """Counts what it is given to compile."""

    name = "numpy-counting"
    capabilities = replace(NumpyBackend.capabilities, compiles=True)

    def __init__(self) -> None:
        super().__init__()
        self.finalized: list[str] = []

    def finalize(self, fn: Callable[..., Any], *, name: str, state: Sequence[Any], params: Sequence[Any]) -> Any:
        self.finalized.append(name)
        return super().finalize(fn, name=name, state=state, params=params)


@pytest.fixture
def counting() -> Iterator[Counting]:
    backend = plugin._loaded["numpy-counting"] = Counting()  # type: ignore[assignment]
    code.forget()
    with active.backend_scope("numpy-counting"):
        yield backend
    code.forget()
    del plugin._loaded["numpy-counting"]


def trained(units: int = 4) -> Any:
    tokens = kcore.layers.Input((5,), dtype="int32")
    x = kcore.layers.LSTM(units)(kcore.layers.Embedding(7, 3, mask_zero=True)(tokens))
    x = kcore.layers.Dropout(0.5)(kcore.layers.BatchNormalization()(x))
    model = kcore.Model(tokens, kcore.layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    data = np.random.default_rng(0).integers(0, 7, (6, 5))
    model.fit(data, np.eye(2)[[0, 1] * 3], batch_size=3, verbose=0)
    model.predict(data)
    return model


def test_five_rounds_of_one_model_compile_once(counting: Counting) -> None:
    trained()
    once = list(counting.finalized)
    assert once
    for clears in (True, False, True, False):  # names are others where they were not cleared
        if clears:
            K.clear_session()
        trained()
    assert counting.finalized == once


def test_other_sizes_are_other_code(counting: Counting) -> None:
    trained(4)
    once = len(counting.finalized)
    trained(5)
    assert len(counting.finalized) == 2 * once


def test_kept_code_keeps_no_weights_alive(counting: Counting) -> None:
    model = trained()
    gone = [weakref.ref(x) for x in (model, *model.layers, *model.weights, *model.optimizer.weights)]
    inputs = weakref.ref(model.inputs[0])
    del model
    K.clear_session()
    gc.collect()
    assert not [found for x in (*gone, inputs) if (found := x()) is not None]
    assert code._kept


def test_a_function_has_its_own_state_and_seeds(counting: Counting) -> None:
    x = placeholder((8,), "float64", name="x")

    def made(start: float, seed: int) -> tuple[Variable, Function]:
        v = Variable(np.full(8, start), "float64", name=f"v{start}")
        return v, Function([x, K.learning_phase()], [K.dropout(x, 0.5, seed=seed) + v], updates=[(v, v + 1.0)])

    (a, f), (b, g), (c, h) = made(1.0, 3), made(2.0, 4), made(1.0, 3)
    runs = [[function([np.ones(8), 1])[0].tolist() for function in (f, g, h)] for _ in range(2)]
    assert len(counting.finalized) == 1
    for first, other, same in runs:
        assert first == same
        assert (np.array(other) - 1).tolist() != first  # another seed draws another mask
    assert [v.numpy()[0] for v in (a, b, c)] == [3.0, 4.0, 3.0]


def test_seeds_beyond_32_bits_are_kept_whole(counting: Counting) -> None:
    x = placeholder((50,), "float64", name="x")
    low, high = (Function([x], [K.dropout(x, 0.5, seed=seed)]) for seed in (7, 7 + 2**32))
    assert "fold_key(key, seed)" in low.source()
    assert f"fold_key(key, {7 + 2**32})" in high.source()
    low([np.ones(50)]), high([np.ones(50)])
    assert len(counting.finalized) == 2


@pytest.mark.parametrize(
    "pair",
    [
        lambda x: (x * 2.0, x * 3.0),
        lambda x: (K.sum(x, axis=0), K.sum(x, axis=1)),
        lambda x: (K.exp(x), K.sin(x)),
        lambda x: (K.cast(x, "float32"), K.cast(x, "int32")),
        lambda x: (x + K.constant([1.0, 2.0]), x + K.constant([1.0, 3.0])),
        lambda x: (K.clip(x, 0.0, np.inf), K.clip(x, -np.inf, 0.0)),
        lambda x: (x - K.exp(x), K.exp(x) - x),
    ],
    ids=["literal", "attribute", "kernel", "text", "constant", "infinity", "order"],
)
def test_what_differs_is_not_shared(counting: Counting, pair: Callable[[Any], tuple[Any, Any]]) -> None:
    x = placeholder((2, 2), "float32", name="x")
    data = np.float32([[0.5, -2], [3, 0.25]])
    values = [Function([x], [y])([data])[0] for y in pair(x)]
    alone = []
    for y in pair(x):
        code.forget()
        alone.append(Function([x], [y])([data])[0])
    for value, expected in zip(values, alone, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert len(counting.finalized) == 4


def test_an_exchanged_kernel_is_other_code(counting: Counting) -> None:
    x = placeholder((2,), "float32", name="x")
    assert Function([x], [K.exp(x)])([[0, 0]])[0].tolist() == [1, 1]
    counting.kernels["exp"] = lambda x: x + 5
    assert Function([x], [K.exp(x)])([[0, 0]])[0].tolist() == [5, 5]


def test_other_settings_of_the_backend_are_other_code(counting: Counting) -> None:
    x = placeholder((2,), "float32", name="x")
    for settings in (1, 1, 2):
        counting.compile_settings = lambda settings=settings: settings  # type: ignore[attr-defined]
        Function([x], [x * 2.0])([[0, 0]])
    assert len(counting.finalized) == 2


def test_so_much_is_kept_and_no_more(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "KEPT", 2)
    x = placeholder((2,), "float32", name="x")

    def run(factor: float) -> int:
        Function([x], [x * factor])([[0, 0]])
        return len(counting.finalized)

    assert [run(2.0), run(3.0), run(2.0), run(4.0), run(2.0)] == [1, 2, 2, 3, 3]
    assert run(3.0) == 4  # the one that was used longest ago went
    assert len(code._kept) == 2


def test_large_constants_are_not_kept(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "CONSTANTS_KEPT", 4)
    x = placeholder((2,), "float32", name="x")
    for _ in range(2):
        assert Function([x], [x + K.constant([1.0, 2.0])])([[0, 0]])[0].tolist() == [1, 2]
    assert not code._kept
    assert len(counting.finalized) == 2


def test_functions_of_the_user_are_not_kept(counting: Counting) -> None:
    x = placeholder((2,), "float32", name="x")

    def run(shift: float) -> list[float]:
        (y,) = native_call(lambda value: (value + np.float32(shift),), [x], [x.spec])
        return Function([x], [y])([[0, 0]])[0].tolist()  # type: ignore[no-any-return]

    assert [run(1.0), run(2.0)] == [[1, 1], [2, 2]]
    assert not code._kept


@pytest.mark.parametrize("name", sorted(code.RESERVED))
@pytest.mark.parametrize("style", ["numpy", "numpy-by-reference"])
def test_values_and_functions_may_have_any_name(name: str, style: str, by_reference: Any) -> None:
    with active.backend_scope(style):
        x = placeholder((None, 2), "float64", name=name)
        v = Variable(np.float64(1), "float64", name=name)
        y = K.dropout(x, 0.0, seed=1) * v + K.cast(K.shape(x)[0], "float64") + K.random_uniform((), seed=1)
        f = Function([x], [K.stop_gradient(v), y], [(v, v + 1.0)], name=name)
        for old in (1.0, 2.0):
            value, _ = f([np.ones((3, 2))])
            assert value == old


def test_the_source_is_found_again_after_clear_session(counting: Counting) -> None:
    import linecache

    x = placeholder((2,), "float32", name="x")
    for _ in range(2):
        function = Function([x], [K.exp(x)], name="shown")
        function([[0, 0]])
        shown = [n for n in linecache.cache if n.startswith("<kcore shown")]
        assert [linecache.getline(n, 1) for n in shown] == ["def shown(state, params, inputs, key):\n"]
        K.clear_session()
    assert len(counting.finalized) == 1
