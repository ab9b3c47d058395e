"""What generators and Sequences give, and how they are asked."""

from __future__ import annotations

import numpy as np

from wrong_calls.table import X, Y, case, dense, forever, once

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
