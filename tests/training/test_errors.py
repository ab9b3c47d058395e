"""What compile and fit refuse, and what they say: the table of wrong calls, and what goes beyond one call."""

from __future__ import annotations

import builtins
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import kcore
from kcore.callbacks import TerminateOnNaN
from kcore.errors import ArgumentError, DataError, KcoreError, ShapeError
from kcore.graph.function import Executable
from kcore.layers import Dense, Input
from kcore.models import Model, Sequential

sys.path.insert(0, str(Path(__file__).parent))
from wrong_calls import CASES, Case

X, Y = np.zeros((8, 6)), np.zeros((8, 2))

#: Errors of the user's own code, and of Python for names of arguments.
NOT_OURS = {"generator_that_fails", "sequence_that_fails", "an_unknown_argument", "an_unknown_argument_of_compile"}
#: Only these are found after batches before them were computed.
LATE = re.compile("that_ends|that_fails")


@pytest.fixture
def model():
    made = Sequential([Dense(2, input_shape=(6,), name="out")])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wrong_calls_raise_what_keras_raised(case: Case, monkeypatch):
    if not LATE.search(case.name):
        monkeypatch.setattr(Executable, "__call__", lambda *_: pytest.fail("computed before the data were checked"))
    expected = getattr(builtins, case.keras or "Exception")
    with pytest.raises(expected) as caught:
        case.call(kcore)
    assert re.search(case.text, str(caught.value), re.DOTALL), str(caught.value)
    if case.name not in NOT_OURS:
        assert isinstance(caught.value, KcoreError)


def test_the_table_names_each_call_once():
    assert len({case.name for case in CASES}) == len(CASES) > 60


def test_a_wrong_call_changes_nothing(model):
    before = model.get_weights()
    for x, y in ((X[:, :5], Y), (X, Y[:7]), (X[:0], Y[:0])):
        with pytest.raises(KcoreError):
            model.fit(x, y, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    model.fit(X, Y, verbose=0)


def test_unknown_names_come_with_the_known_ones(model):
    with pytest.raises(ValueError, match=r"adamm.*adam"):
        model.compile("adamm", "mse")


def test_one_image_in_another_format():
    x = Input((6,), name="a")
    both = Model([x, Input((6,), name="b")], Dense(2)(x))
    with pytest.raises(ShapeError, match=r"expected b to have shape \(samples, 6\)"):
        both.predict({"a": X, "b": X[:, :4]})


@pytest.mark.parametrize(("x", "text"), [
    (np.array([["a"] * 6] * 8, dtype=object), "'a' in it.*integers"),
    (np.array([[None] * 6] * 8, dtype=object), "missing"),
    (np.zeros((8, 6), "datetime64[s]"), "astype"),
    (np.zeros((8, 6), complex), "real and imaginary"),
    (np.zeros((8, 6), [("a", "f4")]), "dtype"),
    (b"data", "bytes"),
])  # fmt: skip
def test_data_that_are_no_numbers(model, x, text):
    with pytest.raises(DataError, match=text):
        model.predict(x)


def test_objects_that_are_numbers_are_data(model):
    mixed = np.empty((8, 6), dtype=object)
    mixed[:] = 1
    mixed[:, 0], mixed[:, 1] = True, 2.5
    np.testing.assert_array_equal(model.predict(mixed), model.predict(mixed.astype("float32")))


def test_batch_sizes_of_any_integer_kind(model):
    for size in (np.int64(4), 4.0):
        assert model.predict(X, batch_size=size).shape == (8, 2)


def test_steps_may_be_fractions(model):
    # `len(x) / batch_size`, as many scripts say
    batches = iter([(X[:3], Y[:3])] * 10)
    history = model.fit_generator(batches, 8 / 3, verbose=0, workers=0, validation_data=iter([(X, Y)] * 9),
                                  validation_steps=1.5)  # fmt: skip
    assert history.params["steps"] == 3
    assert len(list(batches)) == 7
    assert "val_loss" in history.history


@pytest.mark.parametrize("kind", ["arrays", "generator"])
def test_training_ends_when_the_loss_is_not_a_number(kind):
    model = Sequential([Dense(2, input_shape=(6,))])
    model.compile("sgd", "mse")
    x = np.full((8, 6), np.nan)
    if kind == "arrays":
        history = model.fit(x, Y, batch_size=2, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    else:
        history = model.fit_generator(iter([(x, Y)] * 9), 3, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    assert history.epoch == [0]
    assert np.isnan(history.history["loss"]).all()


def test_a_dictionary_is_no_input_of_a_model_without_names():
    model = Sequential([Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match="dictionary"):
        model.fit({"x": X}, Y, verbose=0)


def test_errors_say_what_to_do_about_workers(model):
    with pytest.raises(ArgumentError, match="steps_per_epoch"):
        model.fit(iter([(X, Y)]), verbose=0, workers=0)
