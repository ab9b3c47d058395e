"""Wrong calls of the training methods, as data: what Keras 2.3.1 raises for each, and what kcore's message says.

A case is a function of the package (`keras` or `kcore`), so that the original runs the same code. `keras` is the name
of the built-in exception that Keras 2.3.1 raised, or None where it went on with an empty result or nonsense, or broke
by accident (an unbound local variable, an error of its backend).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

X, Y = np.ones((8, 6), "float32"), np.ones((8, 2), "float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0, 1]]


@dataclass(frozen=True)
class Case:
    """One wrong call: what Keras raised, what our message holds (a regular expression), and the call itself."""

    name: str
    keras: str | None
    text: str
    call: Callable[[Any], Any]


CASES: list[Case] = []


def case(keras: str | None, text: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Put a call into the table."""

    def add(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES.append(Case(call.__name__, keras, text, call))
        return call

    return add


# --- models -----------------------------------------------------------------------------------------------------------


def dense(k: Any, loss: str = "mse", **kwargs: Any) -> Any:
    model = k.models.Sequential([k.layers.Dense(2, input_shape=(6,), name="out")])
    model.compile("sgd", loss, **kwargs)
    return model


def classifier(k: Any, loss: str = "categorical_crossentropy") -> Any:
    model = k.models.Sequential([k.layers.Dense(3, activation="softmax", input_shape=(6,), name="out")])
    model.compile("sgd", loss)
    return model


def branches(k: Any, **kwargs: Any) -> Any:
    a, b = k.layers.Input((6,), name="a"), k.layers.Input((6,), name="b")
    model = k.models.Model([a, b], [k.layers.Dense(2, name="left")(a), k.layers.Dense(1, name="right")(b)])
    model.compile("sgd", kwargs.pop("loss", "mse"), **kwargs)
    return model


def steps(k: Any, **kwargs: Any) -> Any:
    model = k.models.Sequential([k.layers.LSTM(2, return_sequences=True, input_shape=(3, 2), name="out")])
    model.compile("sgd", "mse", **kwargs)
    return model


def stateful(k: Any) -> Any:
    model = k.models.Sequential([k.layers.LSTM(2, batch_input_shape=(4, 3, 2), stateful=True)])
    model.compile("sgd", "mse")
    return model


def images(k: Any) -> Any:
    model = k.models.Sequential([k.layers.Conv2D(2, 3, input_shape=(8, 8, 1), name="conv")])
    model.compile("sgd", "mse")
    return model


def forever(*item: Any) -> Any:
    while True:
        yield item


def once(*item: Any) -> Any:
    yield item


# --- shapes of inputs and targets -------------------------------------------------------------------------------------


@case("ValueError", r"input.*out_input.*\(samples, 6\).*\(8, 5\)")
def input_features(k):
    dense(k).fit(X[:, :5], Y, verbose=0)


@case("ValueError", r"out_input.*\(samples, 6\).*\(8, 2, 3\)")
def input_rank(k):
    dense(k).predict(X.reshape(8, 2, 3))


@case("ValueError", r"\(samples, 6\).*\(6, 1\)")
def input_one_sample(k):
    dense(k).predict(X[0])


@case("ValueError", r"conv_input.*\(samples, 8, 8, 1\).*\(8, 8, 1\).*x\[np.newaxis\]")
def input_one_image(k):
    images(k).predict(np.zeros((8, 8, 1)))


@case("ValueError", r"conv_input.*\(4, 1, 8, 8\).*image data format")
def input_channels_first(k):
    images(k).predict(np.zeros((4, 1, 8, 8)))


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_evaluate(k):
    dense(k).evaluate(X[:, :5], Y, verbose=0)


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_train_on_batch(k):
    dense(k).train_on_batch(X[:, :5], Y)


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_test_on_batch(k):
    dense(k).test_on_batch(X[:, :5], Y)


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_predict_on_batch(k):
    branches(k).predict_on_batch([X, X[:, :5]])


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_generator(k):
    dense(k).fit_generator(forever(X[:, :5], Y), steps_per_epoch=1, verbose=0)


@case("ValueError", r"\(samples, 6\).*\(8, 5\)")
def input_of_validation(k):
    dense(k).fit(X, Y, validation_data=(X[:, :5], Y), verbose=0)


@case("ValueError", r"target.*out.*\(samples, 2\).*\(8, 3\)")
def target_features(k):
    dense(k).fit(X, ONE_HOT, verbose=0)


@case("ValueError", r"target.*out.*\(samples, 2\).*\(8, 1, 2\)")
def target_rank(k):
    dense(k).fit(X, Y.reshape(8, 1, 2), verbose=0)


@case("ValueError", r"target.*out.*\(samples, 2\).*\(8, 1\)")
def target_flat(k):
    dense(k).fit(X, Y[:, 0], verbose=0)


@case("ValueError", r"target.*out.*\(samples, 3, 2\).*\(8, 2\)")
def target_without_time(k):
    steps(k).fit(np.zeros((8, 3, 2)), Y, verbose=0)


@case("ValueError", r"out.*\(8, 1\).*one-hot.*to_categorical\(y, 3\).*sparse_categorical_crossentropy")
def integers_under_categorical_crossentropy(k):
    classifier(k).fit(X, np.arange(8) % 3, verbose=0)


@case("ValueError", r"integers.*argmax")
def one_hot_under_sparse_crossentropy(k):
    classifier(k, "sparse_categorical_crossentropy").fit(X, ONE_HOT, verbose=0)


@case("ValueError", r"to_categorical\(y, 3\)")
def integers_in_evaluate(k):
    classifier(k).evaluate(X, np.arange(8) % 3, verbose=0)


@case("ValueError", r"target.*right.*\(samples, 1\).*\(8, 2\)")
def target_of_one_branch(k):
    branches(k).fit([X, X], [Y, Y], verbose=0)


# --- numbers of samples and arrays ------------------------------------------------------------------------------------


@case("ValueError", "input: 8; target: 7")
def samples_of_targets(k):
    dense(k).fit(X, Y[:7], verbose=0)


@case("ValueError", "input: 8, 7")
def samples_of_inputs(k):
    branches(k).fit([X, X[:7]], [Y, Y[:, :1]], verbose=0)


@case("ValueError", "target: 8, 7")
def samples_of_two_targets(k):
    branches(k).fit([X, X], [Y, Y[:7, :1]], verbose=0)


@case("ValueError", "input: 8; target: 7")
def samples_in_evaluate(k):
    dense(k).evaluate(X, Y[:7], verbose=0)


@case("IndexError", "input: 8, 7")
def samples_in_predict(k):
    branches(k).predict([X, X[:7]])


@case("ValueError", "1 input.*list of 2 arrays")
def too_many_inputs(k):
    dense(k).fit([X, X], Y, verbose=0)


@case("ValueError", r"2 inputs \(a, b\).*1 array")
def too_few_inputs(k):
    branches(k).fit(X, [Y, Y[:, :1]], verbose=0)


@case("ValueError", r"2 inputs \(a, b\).*1 array")
def too_few_inputs_in_predict(k):
    branches(k).predict([X])


@case("ValueError", r"2 targets \(left, right\).*1 array")
def too_few_targets(k):
    branches(k).fit([X, X], Y, verbose=0)


@case("ValueError", "1 target.*list of 2 arrays")
def too_many_targets(k):
    dense(k).fit(X, [Y, Y], verbose=0)


@case("ValueError", "'b'.*'a', 'b'.*'c'")
def missing_key_of_inputs(k):
    branches(k).predict({"a": X, "c": X})


@case("ValueError", "target.*'right'.*'left', 'right'")
def missing_key_of_targets(k):
    branches(k).fit({"a": X, "b": X}, {"left": Y}, verbose=0)


@case("ValueError", "'out_input'.*'x'")
def wrong_key_of_the_only_input(k):
    dense(k).predict({"x": X})


@case("IndexError", "targets.*out")
def no_targets(k):
    dense(k).fit(X, verbose=0)


@case("ValueError", "needs data")
def nothing_in_fit(k):
    dense(k).fit(verbose=0)


@case("ValueError", "needs data")
def nothing_in_evaluate(k):
    dense(k).evaluate(verbose=0)


@case("ValueError", "needs data")
def nothing_in_predict(k):
    dense(k).predict(None)


@case("ValueError", "needs data|None")
def inputs_that_are_none(k):
    dense(k).fit(None, Y, verbose=0)


# --- what is no data --------------------------------------------------------------------------------------------------


@case("ValueError", "dtype <U1")
def text(k):
    dense(k).predict(np.array([["a"] * 6] * 8))


@case("ValueError", "dtype <U1")
def text_targets(k):
    dense(k).fit(X, np.array([["a", "b"]] * 8), verbose=0)


@case("ValueError", "pad_sequences")
def ragged_objects(k):
    dense(k).predict(np.array([[1.0] * 6, [1.0, 2.0]], dtype=object))


@case("ValueError", "pad_sequences")
def ragged_lists(k):
    dense(k).predict([[1.0], [1.0, 2.0]])


@case("AttributeError", "single number")
def a_number(k):
    dense(k).predict(5.0)


@case("AttributeError", "str")
def a_word(k):
    dense(k).predict("data")


@case("AttributeError", "NoneType|None")
def a_list_of_none(k):
    dense(k).predict([None])


@case("IndexError", "empty")
def an_empty_list(k):
    dense(k).predict([])


@case(None, "empty")
def no_samples_in_predict(k):
    dense(k).predict(X[:0])


@case("IndexError", "empty")
def no_samples_in_evaluate(k):
    dense(k).evaluate(X[:0], Y[:0], verbose=0)


@case(None, "empty")
def no_samples_in_fit(k):
    dense(k).fit(X[:0], Y[:0], verbose=0)


@case(None, "empty")
def no_samples_in_train_on_batch(k):
    dense(k).train_on_batch(X[:0], Y[:0])


@case(None, "empty")
def no_samples_in_test_on_batch(k):
    dense(k).test_on_batch(X[:0], Y[:0])


@case(None, "empty")
def no_samples_in_predict_on_batch(k):
    dense(k).predict_on_batch(X[:0])


@case("IndexError", "empty")
def no_samples_in_validation_data(k):
    dense(k).fit(X, Y, validation_data=(X[:0], Y[:0]), verbose=0)


@case(None, "nothing to train on")
def a_split_that_leaves_no_training_data(k):
    dense(k).fit(X[:1], Y[:1], validation_split=0.5, verbose=0)


@case(None, "between 0 and 1")
def a_split_in_percent(k):
    dense(k).fit(X, Y, validation_split=25, verbose=0)


# --- weights ----------------------------------------------------------------------------------------------------------


@case("ValueError", r"\(7,\).*\(8,\)")
def samples_of_weights(k):
    dense(k).fit(X, Y, sample_weight=np.ones(7), verbose=0)


@case("ValueError", r"\(8, 2\).*sample_weight_mode='temporal'")
def weights_with_two_axes(k):
    dense(k).fit(X, Y, sample_weight=np.ones((8, 2)), verbose=0)


@case("ValueError", r"time axis.*\(8, 2\)")
def temporal_weights_without_time(k):
    dense(k, sample_weight_mode="temporal").fit(X, Y, sample_weight=np.ones((8, 2)), verbose=0)


@case("ValueError", r"\(8,\).*time step")
def temporal_weights_without_an_axis(k):
    x = np.zeros((8, 3, 2))
    steps(k, sample_weight_mode="temporal").fit(x, x, sample_weight=np.ones(8), verbose=0)


@case("ValueError", r"\(8, 4\).*\(8, 3\)")
def temporal_weights_of_other_length(k):
    x = np.zeros((8, 3, 2))
    steps(k, sample_weight_mode="temporal").fit(x, x, sample_weight=np.ones((8, 4)), verbose=0)


@case("ValueError", "2 outputs.*`sample_weight`.*of length 1")
def weights_of_too_few_outputs(k):
    branches(k).fit([X, X], [Y, Y[:, :1]], sample_weight=[np.ones(8)], verbose=0)


@case("TypeError", "2 outputs.*`sample_weight`.*ndarray")
def weights_of_several_outputs_as_an_array(k):
    branches(k).fit([X, X], [Y, Y[:, :1]], sample_weight=np.ones(8), verbose=0)


@case("ValueError", r"classes \[1, 2\]")
def class_weights_that_miss_a_class(k):
    classifier(k).fit(X, ONE_HOT, class_weight={0: 1.0}, verbose=0)


@case("ValueError", "class_weight.*one class per sample")
def class_weights_of_time_steps(k):
    x = np.zeros((8, 3, 2))
    steps(k).fit(x, x, class_weight={0: 1.0, 1: 2.0}, verbose=0)


@case(None, "'balanced'")
def class_weights_by_a_word(k):
    classifier(k).fit(X, ONE_HOT, class_weight="balanced", verbose=0)


@case("ValueError", "2 outputs.*`class_weight`.*of length 1")
def class_weights_of_too_few_outputs(k):
    branches(k).fit([X, X], [Y, Y[:, :1]], class_weight=[{0: 1.0}], verbose=0)


# --- counts -----------------------------------------------------------------------------------------------------------


@case("ZeroDivisionError", "batch_size.*positive.*0")
def batch_size_of_zero(k):
    dense(k).fit(X, Y, batch_size=0, verbose=0)


@case(None, "batch_size.*positive.*-2")
def negative_batch_size(k):
    dense(k).fit(X, Y, batch_size=-2, verbose=0)


@case("TypeError", "batch_size.*positive integer.*2.5")
def fractional_batch_size(k):
    dense(k).fit(X, Y, batch_size=2.5, verbose=0)


@case("TypeError", "batch_size.*positive integer.*'8'")
def batch_size_as_text(k):
    dense(k).fit(X, Y, batch_size="8", verbose=0)


@case(None, "batch_size.*8.*4")
def batch_size_other_than_the_layers(k):
    stateful(k).fit(np.zeros((8, 3, 2)), Y, batch_size=8, verbose=0)


@case("ValueError", "stateful.*6 samples.*4")
def samples_of_a_stateful_network(k):
    stateful(k).fit(np.zeros((6, 3, 2)), Y[:6], verbose=0)


@case(None, "stateful.*6 samples.*4")
def samples_of_a_stateful_prediction(k):
    stateful(k).predict(np.zeros((6, 3, 2)))


@case("TypeError", "epochs is an integer.*1.5")
def fractional_epochs(k):
    dense(k).fit(X, Y, epochs=1.5, verbose=0)


@case("ValueError", "batch_size.*steps_per_epoch|steps_per_epoch.*batch_size")
def batch_size_and_steps(k):
    dense(k).fit(X, Y, batch_size=4, steps_per_epoch=2, verbose=0)


@case("ValueError", "batch_size")
def batch_size_and_steps_of_predict(k):
    dense(k).predict(X, batch_size=4, steps=2)


@case(None, "steps_per_epoch.*positive.*-1")
def negative_steps_per_epoch(k):
    dense(k).fit(X, Y, steps_per_epoch=-1, verbose=0)


@case(None, "steps_per_epoch.*positive.*0")
def no_steps_per_epoch(k):
    dense(k).fit(X, Y, steps_per_epoch=0, verbose=0)


@case(None, "steps.*positive.*-1")
def negative_steps_of_evaluate(k):
    dense(k).evaluate(X, Y, steps=-1, verbose=0)


@case(None, "steps.*positive.*-1")
def negative_steps_of_predict(k):
    dense(k).predict(X, steps=-1)


@case("ValueError", "validation_steps.*steps_per_epoch")
def validation_steps_without_steps(k):
    dense(k).fit(X, Y, validation_data=(X, Y), validation_steps=2, verbose=0)


@case("ValueError", "steps_per_epoch.*validation_steps")
def steps_without_validation_steps(k):
    dense(k).fit(X, Y, steps_per_epoch=2, validation_data=(X, Y), verbose=0)


@case("ValueError", "validation_freq.*less than 1.*0")
def validation_frequency_of_zero(k):
    dense(k).fit(X, Y, validation_data=(X, Y), validation_freq=0, verbose=0)


@case("ValueError", "validation_freq.*integer or a list.*1.5")
def fractional_validation_frequency(k):
    dense(k).fit(X, Y, validation_data=(X, Y), validation_freq=1.5, verbose=0)


@case("ValueError", r"validation_data.*\(x_val, y_val\).*1 item")
def validation_data_of_one(k):
    dense(k).fit(X, Y, validation_data=(X,), verbose=0)


@case("ValueError", r"validation_data.*\(x_val, y_val\).*4 items")
def validation_data_of_four(k):
    dense(k).fit(X, Y, validation_data=(X, Y, np.ones(8), 1), verbose=0)


@case(None, "shuffle.*'blocks'")
def an_unknown_shuffle(k):
    dense(k).fit(X, Y, shuffle="blocks", verbose=0)


@case("TypeError", "'epoch'")
def an_unknown_argument(k):
    dense(k).fit(X, Y, epoch=3, verbose=0)


# --- generators -------------------------------------------------------------------------------------------------------


@case("ValueError", "batch_size.*generator")
def generator_with_batch_size(k):
    dense(k).fit(forever(X, Y), batch_size=4, steps_per_epoch=1, verbose=0)


@case("ValueError", "generator.*targets")
def generator_with_targets(k):
    dense(k).fit(forever(X, Y), Y, steps_per_epoch=1, verbose=0)


@case("ValueError", "generator.*weights")
def generator_with_weights(k):
    dense(k).fit(forever(X, Y), sample_weight=np.ones(8), steps_per_epoch=1, verbose=0)


@case("ValueError", "generator.*validation_data.*validation_split")
def generator_with_a_split(k):
    dense(k).fit(forever(X, Y), validation_split=0.5, steps_per_epoch=1, verbose=0)


@case("ValueError", "steps_per_epoch=None.*Sequence")
def generator_without_steps(k):
    dense(k).fit(forever(X, Y), verbose=0)


@case("ValueError", "steps=None.*Sequence")
def generator_without_steps_in_evaluate(k):
    dense(k).evaluate_generator(forever(X, Y))


@case("ValueError", "steps=None.*Sequence")
def generator_without_steps_in_predict(k):
    dense(k).predict_generator(forever(X, Y))


@case("ValueError", "validation_steps=None.*Sequence")
def generator_without_validation_steps(k):
    dense(k).fit_generator(forever(X, Y), 1, verbose=0, validation_data=forever(X, Y))


@case("ValueError", r"\(x, y\).*length 1")
def generator_of_single_items(k):
    dense(k).fit_generator(forever(X), 1, verbose=0)


@case("ValueError", r"\(x, y\).*length 4")
def generator_of_four_items(k):
    dense(k).fit_generator(forever(X, Y, Y, Y), 1, verbose=0)


@case("ValueError", r"\(x, y\).*int")
def generator_of_numbers(k):
    dense(k).fit_generator(iter([5]), 1, verbose=0)


@case("ValueError", r"\(x, y\).*length 1")
def generator_of_single_items_in_evaluate(k):
    dense(k).evaluate_generator(forever(X), 1)


@case("ValueError", "length 4")
def generator_of_four_items_in_predict(k):
    dense(k).predict_generator(forever(X, Y, Y, Y), 1)


@case(None, "empty")
def generator_of_empty_batches(k):
    dense(k).fit_generator(forever(X[:0], Y[:0]), 1, verbose=0)


@case(None, "empty")
def generator_of_empty_batches_in_evaluate(k):
    dense(k).evaluate_generator(forever(X[:0], Y[:0]), 1)


@case(None, "empty")
def generator_of_empty_batches_in_predict(k):
    dense(k).predict_generator(forever(X[:0], Y[:0]), 1)


@case("StopIteration", "after 1 batch of an epoch of 3")
def generator_that_ends(k):
    dense(k).fit_generator(once(X, Y), 3, verbose=0)


@case("StopIteration", "after 1 batch of an epoch of 3")
def generator_that_ends_in_this_thread(k):
    dense(k).fit_generator(once(X, Y), 3, verbose=0, workers=0)


@case("StopIteration", "after 1 batch.* of .*3")
def generator_that_ends_in_evaluate(k):
    dense(k).evaluate_generator(once(X, Y), 3)


@case("StopIteration", "after 1 batch.* of .*3")
def generator_that_ends_in_predict(k):
    dense(k).predict_generator(once(X, Y), 3, workers=0)


@case(None, "steps_per_epoch.*positive.*-1")
def negative_steps_of_a_generator(k):
    dense(k).fit_generator(forever(X, Y), -1, verbose=0)


@case(None, "steps.*positive.*0")
def no_steps_of_an_evaluated_generator(k):
    dense(k).evaluate_generator(forever(X, Y), 0)


@case(None, "steps.*positive.*0")
def no_steps_of_a_predicted_generator(k):
    dense(k).predict_generator(forever(X, Y), 0)


@case("ValueError", "input: 8; target: 7")
def samples_in_a_generator(k):
    dense(k).fit_generator(forever(X, Y[:7]), 1, verbose=0)


@case("KeyError", "lost batch")
def generator_that_fails(k):
    def batches():
        yield X, Y
        raise KeyError("lost batch")

    dense(k).fit_generator(batches(), 3, verbose=0)


class Failing:
    """Like a Sequence; its second batch cannot be had."""

    use_sequence_api = True

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise KeyError("lost batch")
        return X, Y

    def on_epoch_end(self):
        pass


@case("KeyError", "lost batch")
def sequence_that_fails(k):
    dense(k).fit_generator(Failing(), verbose=0)


# --- compile ----------------------------------------------------------------------------------------------------------


@case("RuntimeError", "compile your model")
def not_compiled(k):
    k.models.Sequential([k.layers.Dense(2, input_shape=(6,))]).fit(X, Y, verbose=0)


@case("RuntimeError", "compile your model")
def not_compiled_in_evaluate(k):
    k.models.Sequential([k.layers.Dense(2, input_shape=(6,))]).evaluate(X, Y, verbose=0)


@case("ValueError", "msee.*mse")
def unknown_loss(k):
    dense(k, loss="msee")


@case("ValueError", "mee")
def unknown_metric(k):
    dense(k, metrics=["mee"])


@case("ValueError", r"2 outputs \(left, right\), got 1")
def losses_of_too_few_outputs(k):
    branches(k, loss=["mse"])


@case("ValueError", "loss.*'other'.*'left', 'right'")
def loss_of_another_output(k):
    branches(k, loss={"left": "mse", "other": "mse"})


@case("ValueError", "no loss")
def no_loss(k):
    k.models.Sequential([k.layers.Dense(2, input_shape=(6,))]).compile("sgd")


@case("ValueError", "loss_weights.*2 outputs")
def loss_weights_of_too_few_outputs(k):
    branches(k, loss_weights=[1.0])


@case("TypeError", "loss_weights.*3")
def loss_weights_as_a_number(k):
    branches(k, loss_weights=3)


@case("ValueError", "loss_weights.*'other'")
def loss_weight_of_another_output(k):
    branches(k, loss_weights={"other": 1.0})


@case("TypeError", r"metrics=\[")
def metrics_as_a_word(k):
    dense(k, metrics="mae")


@case("ValueError", "metrics.*'other'")
def metrics_of_another_output(k):
    branches(k, metrics={"other": "mae"})


@case("ValueError", "sample_weight_mode.*2 expected, got 1")
def weight_modes_of_too_few_outputs(k):
    branches(k, sample_weight_mode=[None])


@case("ValueError", "sample_weight_mode.*right")
def weight_mode_that_misses_an_output(k):
    branches(k, sample_weight_mode={"left": None})


@case(None, "'daily'")
def an_unknown_weight_mode(k):
    dense(k, sample_weight_mode="daily")


@case("ValueError", "target_tensors.*2 outputs")
def target_tensors_of_too_few_outputs(k):
    branches(k, target_tensors=[k.layers.Input((2,))])


@case("ValueError", "target_tensors.*'other'")
def target_tensor_of_another_output(k):
    branches(k, target_tensors={"other": k.layers.Input((2,))})


@case(None, "'los'")
def an_unknown_argument_of_compile(k):
    dense(k, los="mse")
