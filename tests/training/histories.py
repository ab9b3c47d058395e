"""What a compiled model logs, and in what order: names of metrics, keys of histories, numbers of results."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from as_keras import Descriptions, outcome, show

HISTORIES = Descriptions()
X, P, Q = np.ones((6, 3), "float32"), np.zeros((6, 2), "float32"), np.zeros((6, 1), "float32")


def zero(y_true, y_pred):
    """A metric of the user's own."""
    return 0.0 * (y_true + y_pred)


def half(y_true, y_pred):
    """A loss of the user's own."""
    return 0.5 * (y_pred - y_true)


def one_output(k):
    dense = k.layers.Dense(2, input_shape=(3,), kernel_initializer="ones", name="p")
    return k.models.Sequential([dense])


def two_outputs(k):
    a = k.layers.Input((3,), name="a")
    outputs = [k.layers.Dense(n, kernel_initializer="ones", name=name)(a) for n, name in ((2, "p"), (1, "q"))]
    return k.models.Model(a, outputs)


def trained(model, y):
    """The model after `fit`, with and without validation data, as arrays and as a generator."""
    lines = [f"metrics_names {' '.join(model.metrics_names)}", f"metrics {' '.join(m.name for m in model.metrics)}"]
    batches = iter([(X, y)] * 9)
    for how, history in (
        ("fit", model.fit(X, y, verbose=0, epochs=2)),
        ("validated", model.fit(X, y, verbose=0, validation_data=(X, y))),
        ("generator", model.fit_generator(batches, 2, verbose=0, workers=0, validation_data=(X, y))),
    ):
        lines.append(f"{how}: {' '.join(history.history)}; {' '.join(history.params['metrics'])}")
        lines.append(f"{how}: {' '.join(sorted(history.params))} {history.params['do_validation']}")
    for step in (model.evaluate, model.train_on_batch, model.test_on_batch):
        found = step(X, y) if step != model.evaluate else step(X, y, verbose=0)
        lines.append(f"{step.__name__} {len(found) if isinstance(found, list) else 'a number'}")
    return lines


def _compiled(build, y, arguments):
    def lines(k):
        model = build(k)
        kwargs = {"optimizer": "sgd", "loss": "mse", **arguments(k)}
        said = outcome(lambda: model.compile(**kwargs))
        return [said] if said.startswith("raises") else trained(model, y)

    return lines


# --- one output ---------------------------------------------------------------------------------------------------

ONE = {
    "nothing": lambda k: {},
    "an empty list": lambda k: {"metrics": []},
    "a tuple": lambda k: {"metrics": ()},
    "names": lambda k: {"metrics": ["accuracy", "mse", "mean_squared_error", "MSE", "cosine", "crossentropy", "ce"]},
    "a function": lambda k: {"metrics": [zero, "mae"]},
    "functions and losses": lambda k: {"metrics": [k.losses.mean_absolute_error, k.losses.MeanAbsoluteError()]},
    "objects": lambda k: {"metrics": [k.metrics.MeanSquaredError(), k.metrics.MeanSquaredError(name="other")]},
    "the same twice": lambda k: {"metrics": ["mae", "mae", k.metrics.MeanAbsoluteError(name="mae")]},
    "weighted": lambda k: {"weighted_metrics": ["mae"]},
    "weighted as well": lambda k: {"metrics": ["mae"], "weighted_metrics": ["mae", "mse"]},
}
for _name, _arguments in ONE.items():
    HISTORIES[f"one output, {_name}"] = _compiled(one_output, P, _arguments)

# --- two outputs --------------------------------------------------------------------------------------------------

TWO = {
    "metrics": [
        {"p": "mae"}, {"p": ["mae", "acc"], "q": "mse"}, {"q": ["acc"]}, {"p": None}, {}, {"z": "mae"},
        ["mae"], ["mae", "acc"], ["mae", "acc", "mse"], [["mae"], ["mse", "acc"]], [[], ["acc"]], ["mae", ["acc"]],
        [["mae"]], [["mae"], ["mse"], ["acc"]], [zero],
    ],
    "weighted_metrics": [["mae"], {"q": "mae"}, {"z": "mae"}, [["mae"], ["mse"]]],
    "loss": [
        ["mse", "mae"], {"p": "mse", "q": "mae"}, ("mse", "mae"), half, ["mse"], ["mse", "mse", "mse"], {"z": "mse"},
        None, [None, None], "nonsense", 3,
    ],
    "loss_weights": [[1.0, 2.0], {"p": 2.0}, [1.0], [1.0, 2.0, 3.0], [None, 1.0], {"z": 1.0}, {"p": "x"}, 2.0, "a"],
    "sample_weight_mode": [
        [None, None], {"p": None, "q": None}, ["temporal"], [None], {"p": None}, {"z": None},
        {"p": None, "q": None, "z": "temporal"},
    ],
    "target_tensors": [[], {}, "x", {"z": None}],
    "optimizer": ["nonsense", 3],
}  # fmt: skip
for _argument, _values in TWO.items():
    for _value in _values:
        _text = "half" if _value is half else "[zero]" if _value == [zero] else _value
        HISTORIES[f"two outputs, {_argument}={_text}"] = _compiled(
            two_outputs, [P, Q], lambda k, argument=_argument, value=_value: {argument: value}
        )


@HISTORIES
def outputs_without_a_loss(k):
    lines = []
    for loss, kwargs in (
        (["mse", None], {"metrics": ["mae", "acc"]}),
        ([None, "mse"], {"metrics": ["mae"], "weighted_metrics": ["acc"], "loss_weights": [1.0, 2.0]}),
        ({"q": "mse"}, {"metrics": {"q": "mae"}}),
    ):
        a = k.layers.Input((3,), name="a")
        p = k.layers.Dense(2, name="p")(a)
        model = k.models.Model(a, [p, k.layers.Activation("tanh", name="q")(p)])
        model.compile("sgd", loss, **kwargs)
        y = {"p": P} if loss == ["mse", None] else {"q": P}
        history = model.fit(X, y, verbose=0, validation_data=(X, y))
        lines += [" ".join(model.metrics_names), " ".join(history.history)]
    return lines


# --- losses and metrics of layers ---------------------------------------------------------------------------------


@HISTORIES
def added_losses(k):
    a = k.layers.Input((3,), name="a")
    dense = k.layers.Dense(2, kernel_regularizer="l2", activity_regularizer=k.regularizers.l1(0.1), name="d")
    model = k.models.Model(a, dense(a))
    model.add_loss(k.backend.mean(k.backend.abs(model.outputs[0])))
    model.compile("sgd", "mse", metrics=["mae"])
    return trained(model, P)


@HISTORIES
def nothing_but_an_added_loss(k):
    a = k.layers.Input((3,), name="a")
    model = k.models.Model(a, k.layers.Dense(2, kernel_initializer="ones", name="d")(a))
    model.add_loss(k.backend.mean(model.outputs[0]))
    model.compile("sgd")
    history = model.fit(X, verbose=0, epochs=2).history
    lines = [" ".join(model.metrics_names), f"{list(history)} {show(history['loss'])}"]
    return [*lines, show(model.evaluate(X, verbose=0)), outcome(model.train_on_batch, X, None)]


@HISTORIES
def added_metrics(k):
    class Reporting(k.layers.Layer):
        def call(self, x):
            self.add_metric(k.backend.mean(x), name="inside")
            return x * 2

    a = k.layers.Input((3,), name="a")
    x = k.layers.Dense(2, kernel_initializer="ones", name="d")(a)
    model = k.models.Model(a, Reporting(name="reporting")(x))
    model.compile("sgd", "mse", metrics=["mae"])
    return trained(model, P)


# --- target tensors -----------------------------------------------------------------------------------------------


@HISTORIES
def a_target_placeholder(k):
    target = k.backend.placeholder((None, 2))
    lines = []
    for given in (target, [target], {"p": target}):
        model = one_output(k)
        model.compile("sgd", "mse", target_tensors=given)
        lines += [outcome(model.train_on_batch, X, P), outcome(lambda m: m.fit(X, P, verbose=0).history["loss"], model)]
        lines += [outcome(model.test_on_batch, X, P), f"{show(model.predict(X).mean())} {len(model._feed_targets)}"]
    return lines


@HISTORIES
def a_target_variable(k):
    target = k.backend.variable(P)
    lines = []
    for given in (target, [target], {"p": target}):
        model = one_output(k)
        model.compile("sgd", "mse", target_tensors=given)
        lines.append(outcome(model.train_on_batch, X, None))
        cadences = (dict(batch_size=6), dict(epochs=2, steps_per_epoch=3))
        lines += [show(model.fit(X, None, verbose=0, **kwargs).history["loss"]) for kwargs in cadences]
        lines += [outcome(model.evaluate, X, None, 6, 0), outcome(model.train_on_batch, X, P)]
        lines += [f"{show(model.predict(X).mean())} {len(model._feed_targets)} {len(model.targets)}"]
    return lines


@HISTORIES
def target_tensors_of_two_outputs(k):
    p, q = k.backend.variable(P), k.backend.variable(Q)
    lines = []
    for given in ([p, q], {"p": p, "q": q}, {"p": p}, [p], [p, None], {"z": p}, {}, p, [], [p, q, q], {"p": p, "z": q}):
        model = two_outputs(k)
        lines.append(f"-- {outcome(lambda m, t: m.compile('sgd', 'mse', target_tensors=t), model, given)}")
        if lines[-1] == "-- None":
            lines.append(f"{len(model._feed_targets)} {len(model.targets)} {' '.join(model.metrics_names)}")
            for y in ([P, Q], Q, {"q": Q}):
                said = outcome(model.test_on_batch, X, y)
                lines.append("a wrong call" if said.startswith("raises") else said)
    return lines


if __name__ == "__main__":
    HISTORIES.write()
