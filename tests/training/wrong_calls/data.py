"""Inputs and targets of wrong shapes and numbers, and what is no data."""

from __future__ import annotations

import numpy as np

from wrong_calls.table import ONE_HOT, X, Y, branches, case, classifier, dense, forever, images, steps

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
