from __future__ import annotations

import gc
import linecache
import weakref

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore.errors import ArgumentError, BackendError, GraphError


def test_uids_count_for_each_prefix_until_they_are_reset():
    assert [K.get_uid("a"), K.get_uid("b"), K.get_uid("a"), K.get_uid()] == [1, 1, 2, 1]
    K.reset_uids()
    assert K.get_uid("a") == 1


def test_a_name_scope_says_its_prefix_and_can_be_opened_again():
    scope = K.name_scope("outer")
    for _ in range(2):
        with scope as prefix, K.name_scope("inner") as inner:
            assert (prefix, inner) == ("outer/", "outer/inner/")
    assert K.variable(0.0).name == "Variable:0"


def test_the_learning_phase_is_fed_or_fixed():
    x = K.placeholder(shape=())
    y = K.in_train_phase(x * 2.0, x)
    f = K.function([x, K.learning_phase()], [y])
    assert [float(f([3.0, phase])[0]) for phase in (0, 1, True)] == [3, 6, 6]
    assert float(K.function([x], [y])([3.0])[0]) == 3
    K.set_learning_phase(1)
    assert K.learning_phase() == 1
    assert K.in_train_phase("train", "test") == "train"
    assert K.in_test_phase("test", "train") == "train"
    with pytest.raises(ArgumentError, match="0"):
        K.set_learning_phase(2)


def test_only_one_side_of_a_phase_is_made_when_it_is_known():
    assert K.in_train_phase(lambda: 1, lambda: pytest.fail("made"), training=True) == 1
    assert K.in_test_phase(lambda: 1, lambda: pytest.fail("made"), training=0) == 1


def test_clear_session_restarts_names_and_phase_and_keeps_values():
    v = K.variable([1.0, 2.0])
    assert K.eval(v + 1.0).tolist() == [2, 3]
    K.get_uid("dense")
    K.set_learning_phase(1)
    K.clear_session()
    assert K.get_uid("dense") == 1
    assert K.is_tensor(K.learning_phase())
    assert K.eval(v + 1.0).tolist() == [2, 3]


def test_clear_session_frees_what_nobody_holds():
    v = K.variable(np.ones((1000, 1000)))
    K.eval(K.gradients(K.sum(v * v), [v])[0])
    gone = weakref.ref(v)
    del v
    gc.disable()
    try:
        K.clear_session()
    finally:
        gc.enable()
    assert gone() is None
    assert not [n for n in linecache.cache if n.startswith("<kcore eval")]


def test_clear_session_restarts_eager_draws_of_a_seed():
    first = K.dropout(np.ones(20), 0.5, seed=3)
    K.clear_session()
    assert K.dropout(np.ones(20), 0.5, seed=3).tolist() == first.tolist()


def test_sessions_need_a_backend_that_has_them():
    with pytest.raises(BackendError, match="'numpy' has none"):
        K.get_session()
    with pytest.raises(BackendError, match="'numpy' has none"):
        K.set_session(object())


def test_settings_of_the_machine_go_to_the_backend():
    with pytest.raises(BackendError, match="threads"):
        kcore.configure(threads=2)
    with pytest.raises(BackendError, match="inter_threads"):
        kcore.configure(inter_threads=2)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_threads_are_whole_numbers(number):
    for name in ("threads", "inter_threads"):
        with pytest.raises(ArgumentError, match=f"{name} as a whole number of at least 1"):
            kcore.configure(**{name: number})


def test_devices_are_those_of_the_backend():
    with kcore.device_scope("/cpu:0"):
        assert K.eval(K.constant(1.0) + 1.0) == 2
    with pytest.raises(BackendError, match="no device '/gpu:7'; it has /cpu:0"), kcore.device_scope("/gpu:7"):
        pass
    with pytest.raises(BackendError, match="name of a device"), kcore.device_scope("the fast one"):
        pass


def test_control_dependencies_never_lose_an_update():
    v = K.variable(1.0)
    with pytest.raises(GraphError, match="updates="), K.control_dependencies([K.update(v, 2.0)]):
        pass
    with K.control_dependencies([v, None]):
        assert K.eval(v) == 1
