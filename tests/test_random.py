"""The switch of the portable mode, seeds, and draws outside graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import random
from kcore.backend.reference.backend import NumpyBackend


@pytest.fixture(autouse=True)
def numpy_backend() -> Any:
    with K.backend_scope("numpy"):
        K.clear_session()
        yield
    assert not random.is_portable()


def test_the_mode_holds_for_a_block_or_until_it_is_changed() -> None:
    with random.portable():
        assert random.is_portable()
        with random.portable(False):
            assert not random.is_portable()
        assert random.is_portable()
    random.portable(True)
    assert random.is_portable()
    random.portable(False)
    assert not random.is_portable()


def test_the_mode_is_part_of_what_a_function_is_compiled_for() -> None:
    f, plain = K.function([], [K.random_uniform((9,), seed=3)]), K.function([], [K.ones((2,))])
    native = [f([])[0] for _ in range(2)]
    with random.portable():
        drawn = f([])[0]
        plain([])
    plain([])
    assert len({a.tobytes() for a in (*native, drawn)}) == 3
    assert len(set(plain._executables.values())) == 1  # nothing is drawn: one serves both
    # The number of the call and the mode alone decide.
    fresh = K.function([], [K.random_uniform((9,), seed=3)])
    assert [fresh([])[0].tolist() for _ in range(2)] == [a.tolist() for a in native]
    with random.portable():
        assert fresh([])[0].tolist() == drawn.tolist()
        first = K.function([], [K.random_uniform((9,), seed=3)])
        assert first([])[0].tolist() != native[0].tolist()
        assert len({v for a in (*first([]), *first([])) for v in a.tolist()} & set(drawn.tolist())) == 9  # third call


def test_the_seed_call_can_switch_the_mode() -> None:
    def run() -> list[float]:
        kcore.set_random_seed(4, portable=True)
        try:
            return [*K.eval(K.random_normal((3,))).tolist(), float(np.random.rand())]  # noqa: NPY002
        finally:
            random.portable(False)

    first = run()
    assert run() == first
    kcore.set_random_seed(4)
    assert not random.is_portable()
    native = K.eval(K.random_normal((3,))).tolist()
    assert native != first[:3]
    assert float(np.random.rand()) == first[3]  # noqa: NPY002


@pytest.mark.parametrize("mode", [False, True])
def test_what_one_backend_draws_changes_nothing_on_another(mode: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(NumpyBackend):
        name = "other"

    from kcore import plugin

    monkeypatch.setitem(plugin._loaded, "other", Other())
    x = np.ones(30)
    with random.portable(mode):
        alone = [K.dropout(x, 0.5, seed=3).tolist() for _ in range(3)]
        K.clear_session()
        mixed = []
        for _ in range(3):
            mixed.append(K.dropout(x, 0.5, seed=3).tolist())
            with K.backend_scope("other"):
                assert K.dropout(x, 0.5, seed=3).tolist() == mixed[-1]
    assert mixed == alone
    assert alone[0] != alone[1] != alone[2]


def test_keys_differ_by_site_and_call_whatever_their_size() -> None:
    seeds = [0, 1, 2**32, -1, 2**40 + 1]
    keys = np.concatenate([random.site_keys(step, seeds) for step in (1, 2, 2**32)])
    assert keys.dtype == "int32"
    assert len({tuple(row) for row in keys.tolist()}) == 15
