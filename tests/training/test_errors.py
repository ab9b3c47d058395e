"""What compile and fit refuse, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from kcore.errors import ArgumentError, DataError, ShapeError, UnknownNameError
from kcore.layers import LSTM, Conv2D, Dense, Flatten, Input
from kcore.models import Model, Sequential

X, Y = np.zeros((8, 6)), np.zeros((8, 2))


@pytest.fixture
def model():
    made = Sequential([Dense(2, input_shape=(6,), name="out")])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize(("arguments", "text"), [
    ({"optimizer": "adamm", "loss": "mse"}, r"adamm.*adam"),
    ({"optimizer": "sgd", "loss": "mce"}, r"mce.*mse"),
    ({"optimizer": "sgd", "loss": "mse", "metrics": ["acuracy"]}, r"acuracy.*accuracy"),
])  # fmt: skip
def test_unknown_names_come_with_the_known_ones(model, arguments, text):
    with pytest.raises(UnknownNameError, match=text):
        model.compile(**arguments)


def test_compile_refuses_what_does_not_fit_the_outputs():
    x = Input((6,))
    model = Model(x, [Dense(1, name="a")(x), Dense(1, name="b")(x)])
    with pytest.raises(ArgumentError, match=r"2 outputs \(a, b\), got 1"):
        model.compile("sgd", ["mse"])
    with pytest.raises(ArgumentError, match=r"loss.*'c'.*'a', 'b'"):
        model.compile("sgd", {"a": "mse", "c": "mse"})
    with pytest.raises(ArgumentError, match="loss_weights"):
        model.compile("sgd", "mse", loss_weights=3)
    with pytest.raises(ArgumentError, match=r"metrics.*'c'"):
        model.compile("sgd", "mse", metrics={"c": "mae"})
    with pytest.raises(ArgumentError, match="'daily'"):
        model.compile("sgd", "mse", sample_weight_mode="daily")
    with pytest.raises(TypeError, match=r"metrics=\["):
        model.compile("sgd", "mse", metrics="mae")


def test_a_model_without_a_loss_cannot_be_compiled():
    model = Sequential([Dense(2, input_shape=(6,))])
    with pytest.raises(ArgumentError, match="no loss"):
        model.compile("sgd")


def test_unknown_arguments_are_refused(model):
    with pytest.raises(TypeError, match="'los'"):
        model.compile("sgd", "mse", los="mse")
    with pytest.raises(TypeError, match="'epoch'"):
        model.fit(X, Y, epoch=3)


@pytest.mark.parametrize(("x", "text"), [
    (np.zeros((8, 5)), r"out_input.*\(samples, 6\).*\(8, 5\)"),
    (np.zeros(6), r"\(samples, 6\).*\(6, 1\)"),
    (np.zeros((8, 2, 3)), r"\(samples, 6\).*\(8, 2, 3\)"),
])  # fmt: skip
def test_inputs_of_a_wrong_shape(model, x, text):
    with pytest.raises(ShapeError, match=text):
        model.predict(x)


def test_one_image_without_the_axis_of_samples():
    model = Sequential([Conv2D(2, 3, input_shape=(8, 8, 1)), Flatten(), Dense(2)])
    with pytest.raises(ShapeError, match=r"x\[np.newaxis\]"):
        model.predict(np.zeros((8, 8, 1)))
    with pytest.raises(ShapeError, match="image data format"):
        model.predict(np.zeros((4, 1, 8, 8)))


def test_targets_of_a_wrong_shape(model):
    with pytest.raises(ShapeError, match=r"target.*out.*\(samples, 2\).*\(8, 3\)"):
        model.fit(X, np.zeros((8, 3)), verbose=0)


def test_integer_targets_under_categorical_crossentropy():
    model = Sequential([Dense(10, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(ShapeError, match=r"to_categorical\(y, 10\).*sparse_categorical_crossentropy"):
        model.fit(X, np.arange(8), verbose=0)


def test_one_hot_targets_under_sparse_crossentropy():
    model = Sequential([Dense(10, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ShapeError, match=r"integers.*argmax"):
        model.fit(X, np.eye(10)[:8], verbose=0)


def test_lengths_that_differ(model):
    with pytest.raises(DataError, match="input: 8; target: 7"):
        model.fit(X, Y[:7], verbose=0)
    with pytest.raises(ShapeError, match=r"\(7,\).*\(8,\)"):
        model.fit(X, Y, sample_weight=np.ones(7), verbose=0)


def test_numbers_of_arrays(model):
    with pytest.raises(DataError, match="1 input.*list of 2 arrays"):
        model.fit([X, X], Y, verbose=0)
    x, y = Input((6,), name="a"), Input((6,), name="b")
    from kcore.layers import Add

    two = Model([x, y], Add()([x, y]))
    with pytest.raises(DataError, match=r"2 inputs \(a, b\).*1 arrays"):
        two.predict(X)
    with pytest.raises(DataError, match=r"'b'.*'a', 'b'.*'c'"):
        two.predict({"a": X, "c": X})


@pytest.mark.parametrize(("x", "text"), [
    (np.array([["a"] * 6] * 8), "dtype <U1"),
    (np.array([[1.0], [1.0, 2.0]], dtype=object), "pad_sequences"),
    ([[1.0], [1.0, 2.0]], "pad_sequences"),
    (5.0, "single number"),
])  # fmt: skip
def test_data_that_are_no_numbers(model, x, text):
    with pytest.raises(DataError, match=text):
        model.predict(x)


def test_missing_targets(model):
    with pytest.raises(DataError, match="targets.*out"):
        model.fit(X, verbose=0)
    with pytest.raises(ArgumentError, match="needs data"):
        model.fit(verbose=0)


def test_weights_of_a_wrong_kind(model):
    with pytest.raises(ShapeError, match="temporal"):
        model.fit(X, Y, sample_weight=np.ones((8, 2)), verbose=0)
    with pytest.raises(DataError, match=r"classes \[1\]"):
        model.fit(X, np.eye(2)[[0, 1] * 4], class_weight={0: 1.0}, verbose=0)
    with pytest.raises(DataError, match="balanced"):
        model.fit(X, Y, class_weight="balanced", verbose=0)


def test_temporal_weights_need_time():
    model = Sequential([Dense(2, input_shape=(6,))])
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    with pytest.raises(DataError, match="time axis"):
        model.fit(X, Y, sample_weight=np.ones((8, 2)), verbose=0)


def test_batch_sizes():
    model = Sequential([LSTM(2, batch_input_shape=(4, 3, 2), stateful=True), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((8, 3, 2)), np.zeros((8, 1))
    with pytest.raises(ArgumentError, match="8.*4"):
        model.fit(x, y, batch_size=8, verbose=0)
    with pytest.raises(DataError, match="stateful.*6 samples.*4"):
        model.fit(x[:6], y[:6], verbose=0)
    with pytest.raises(ArgumentError, match="positive integer"):
        Sequential([Dense(1, input_shape=(2,))]).predict(np.zeros((4, 2)), batch_size=0)


def test_epochs_are_integers(model):
    with pytest.raises(ArgumentError, match=r"epochs.*1\.5"):
        model.fit(X, Y, epochs=1.5, verbose=0)


def test_what_generators_cannot_be_given(model):
    def batches():
        yield X, Y

    for kwargs in ({"batch_size": 2}, {"y": Y}, {"sample_weight": np.ones(8)}, {"validation_split": 0.5}):
        with pytest.raises(ArgumentError):
            model.fit(batches(), steps_per_epoch=1, verbose=0, **kwargs)
    with pytest.raises(ArgumentError, match="steps_per_epoch"):
        model.fit(batches(), verbose=0)


def test_what_generators_may_yield(model):
    for item, text in (((X,), "length 1"), (5, "int"), ((X[:0], Y[:0]), "empty batch")):
        with pytest.raises(DataError, match=text):
            model.fit_generator(iter([item]), steps_per_epoch=1, verbose=0, workers=0)
    with pytest.raises(DataError, match="after 1 batches of an epoch of 3"):
        model.fit_generator(iter([(X, Y)]), steps_per_epoch=3, verbose=0, workers=0)
