"""Weights and counts that do not fit."""

from __future__ import annotations

import numpy as np

from wrong_calls.table import ONE_HOT, X, Y, branches, case, classifier, dense, stateful, steps

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
