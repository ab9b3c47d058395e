"""Initial values that wait, values that are taken over, and readers that find variables at rest."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import kcore
from kcore import backend as K
from kcore import initializers, layers
from kcore.errors import ShapeError
from kcore.rest import at_rest, changing
from kcore.variables import Deferred, Variable, deferring

HUGE = 10**6


@pytest.fixture(autouse=True)
def numpy_backend() -> Any:
    with kcore.backend_scope("numpy"):
        K.clear_session()
        yield


class Counting:
    """An initializer of a user's own."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        self.calls.append(tuple(shape))
        return np.full(shape, len(self.calls), dtype)


# --- values that wait -------------------------------------------------------------------------------------------------


def test_what_is_given_a_value_never_gets_an_initial_one() -> None:
    counting = Counting()
    with deferring():
        layer = layers.Dense(3, kernel_initializer=counting, bias_initializer=counting, input_shape=(2,))
        model = kcore.Sequential([layer])
        assert (K.int_shape(layer.kernel), K.dtype(layer.kernel)) == ((2, 3), "float32")
        assert counting.calls == []
        K.set_value(layer.kernel, np.zeros((2, 3)))
    assert counting.calls == [(3,)], "what the file does not hold has its value after loading"
    np.testing.assert_array_equal(model.get_weights()[1], np.ones(3))


def test_a_value_that_is_read_is_made_then() -> None:
    counting = Counting()
    with deferring():
        layer = layers.Dense(3, kernel_initializer=counting)
        layer.build((None, 2))
        np.testing.assert_array_equal(K.eval(layer.kernel + 1.0), np.full((2, 3), 2))
        assert counting.calls == [(2, 3)]
    assert counting.calls == [(2, 3)]


def test_after_an_error_nothing_is_computed() -> None:
    counting = Counting()
    with pytest.raises(KeyError), deferring():  # noqa: PT012 - the error is the block's
        layers.Dense(3, kernel_initializer=counting).build((None, 2))
        raise KeyError("damaged")
    assert counting.calls == []


def test_a_configuration_alone_allocates_nothing() -> None:
    with deferring():
        model = kcore.Sequential([layers.Dense(HUGE, input_shape=(HUGE,)), layers.BatchNormalization()])
        model.add(layers.Reshape((HUGE, 1)))
        model.add(layers.LSTM(HUGE, kernel_initializer="zeros", recurrent_initializer="zeros"))
        model.compile("adam", "mse")
        model._make_train_function()
    assert model.count_params() > HUGE**2


def seed(number: int) -> None:
    np.random.seed(number)  # noqa: NPY002


@pytest.mark.parametrize(
    "initializer",
    [
        "zeros", "ones", "glorot_uniform", "he_normal", "random_uniform", "random_normal", "truncated_normal",
        "identity", "orthogonal", initializers.RandomNormal(seed=3), initializers.Constant(7),
        initializers.Orthogonal(seed=3),
    ],
)  # fmt: skip
def test_values_are_those_of_a_layer_that_is_just_built(initializer: Any) -> None:
    def weights() -> list[np.ndarray]:
        own = initializers.deserialize(initializers.serialize(initializer)) if callable(initializer) else initializer
        layer = layers.Dense(4, kernel_initializer=own)
        other = layers.Dense(4, kernel_initializer=own)
        layer.build((None, 4))
        other.build((None, 4))
        return [layer, other, np.random.rand(2)]  # noqa: NPY002 - the generator of Keras 2

    seed(5)
    first, second, drawn = weights()
    seed(5)
    with deferring():
        later, last, again = weights()
        if initializer == "orthogonal":  # draws the matrix itself, which is done when loading is over
            drawn = again
            seed(5)
    np.testing.assert_array_equal(again, drawn)
    np.testing.assert_array_equal(last.get_weights()[0], second.get_weights()[0])
    np.testing.assert_array_equal(later.get_weights()[0], first.get_weights()[0])


def test_an_initializer_of_the_wrong_shape_is_told_of_when_it_is_asked() -> None:
    with deferring():
        layer = layers.Dense(3, kernel_initializer=lambda shape, dtype=None: np.zeros(2))
        layer.build((None, 2))
        with pytest.raises(ShapeError, match=r"gave shape \(2,\)"):
            layer.get_weights()
        K.set_value(layer.kernel, np.ones((2, 3)))


def test_other_threads_build_as_always() -> None:
    counting = Counting()
    with deferring():
        thread = threading.Thread(target=layers.Dense(3, kernel_initializer=counting).build, args=((None, 2),))
        thread.start()
        thread.join()
        assert counting.calls == [(2, 3)]


def test_many_threads_that_read_first_find_one_value() -> None:
    calls = []

    def make() -> np.ndarray:
        time.sleep(0.01)
        calls.append(1)
        return np.full(3, len(calls))

    variable = Variable(Deferred((3,), make, anytime=True), "float32")
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(variable.numpy()[0])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(calls)) == ([1.0] * 5, 1)


# --- values that are taken over ---------------------------------------------------------------------------------------


def test_an_array_that_is_taken_is_not_copied_and_one_that_is_assigned_is() -> None:
    variable = Variable(np.zeros((2, 3), "float32"))
    for value in (np.ones((2, 3), "float32"), np.ones((3, 2), "float64").T):
        variable.take(value)
        assert np.shares_memory(variable.view(), value) == (value.dtype == "float32")
        assert not np.shares_memory(variable.numpy(), variable.view())
        assert (variable.view().dtype, variable.view().flags.c_contiguous) == (np.dtype("float32"), True)
    mine = np.ones((2, 3), "float32")
    variable.assign(mine)
    mine[:] = 5
    np.testing.assert_array_equal(variable.numpy(), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\(3, 2\)"):
        variable.take(np.ones((3, 2), "float32"))
    scalar = Variable(np.float32(1))
    scalar.take(np.asarray(2.0))
    assert (scalar.numpy().shape, float(scalar)) == ((), 2.0)


# --- at rest ----------------------------------------------------------------------------------------------------------


def test_readers_wait_for_runs_and_runs_for_readers() -> None:
    events: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def run() -> None:
        with changing:
            inside.set()
            leave.wait(5)
            events.append("run")

    def read() -> None:
        with at_rest():
            events.append("read")

    def late() -> None:
        with changing:
            events.append("late run")

    threads = [threading.Thread(target=f) for f in (run, read)]
    threads[0].start()
    inside.wait(5)
    threads[1].start()
    while not changing._readers:
        time.sleep(0.001)
    threads.append(threading.Thread(target=late))
    threads[2].start()
    time.sleep(0.02)
    assert events == []
    leave.set()
    for thread in threads:
        thread.join(5)
    assert events == ["run", "read", "late run"]


def test_runs_inside_runs_and_reading_inside_either_do_not_wait_for_themselves() -> None:
    done = []

    def nested() -> None:
        with changing, changing, at_rest(), at_rest(), changing:
            done.append(True)

    thread = threading.Thread(target=nested, daemon=True)
    thread.start()
    thread.join(5)
    assert done == [True]
    assert (changing._runs, changing._readers) == ({}, [])


def test_a_reader_that_fails_lets_others_go_on() -> None:
    with pytest.raises(KeyError), at_rest():
        raise KeyError
    with changing:
        pass
