"""What cannot be compiled."""

from __future__ import annotations

from wrong_calls.table import X, Y, branches, case, dense

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
