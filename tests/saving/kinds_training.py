"""Model kinds: optimizers, losses and metrics."""

from __future__ import annotations

from kinds import KINDS, Kind, classes, kind, labels, package
from kinds_plain import chain

#: Optimizers: name of the kind -> class and arguments.
OPTIMIZERS = {
    "sgd_nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "sgd_clipnorm": ("SGD", {"learning_rate": 0.05, "momentum": 0.5, "clipnorm": 0.5}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01, "rho": 0.8}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    "adam": ("Adam", {"learning_rate": 0.02, "beta_1": 0.8}),
    "adam_amsgrad": ("Adam", {"learning_rate": 0.02, "amsgrad": True}),
    "adam_clipvalue": ("Adam", {"learning_rate": 0.02, "clipvalue": 0.2}),
    "adamax": ("Adamax", {"learning_rate": 0.02}),
    "nadam": ("Nadam", {"learning_rate": 0.02}),
}


def _with_optimizer(name):
    class_name, arguments = OPTIMIZERS[name]

    def build(keras):
        L = keras.layers
        return chain(keras, L.Dense(4, activation="tanh", input_shape=(5,)), L.BatchNormalization(), L.Dense(2),
                     optimizer=getattr(keras.optimizers, class_name)(**arguments))  # fmt: skip

    return build


for _name in OPTIMIZERS:
    KINDS["optimizer_" + _name] = Kind("optimizer_" + _name, _with_optimizer(_name), [(5,)], [(2,)], None, None)

_ONLY_KERAS2 = {"tf_keras": "the newer optimizers take schedules instead", "keras3": "it takes schedules instead"}


@kind([(5,)], [(2,)], absent=_ONLY_KERAS2)
def optimizer_decay(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, input_shape=(5,)), L.Dense(2),
                 optimizer=keras.optimizers.Adam(learning_rate=0.02, decay=0.1))  # fmt: skip


@kind([(5,)], [classes(3)])
def loss_objects(keras):
    L = keras.layers
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return chain(keras, L.Dense(4, activation="tanh", input_shape=(5,)), L.Dense(3), loss=loss)


@kind([(5,)], [labels(3)])
def sparse_labels(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, activation="tanh", input_shape=(5,)), L.Dense(3, activation="softmax"),
                 loss="sparse_categorical_crossentropy", metrics=["accuracy"])  # fmt: skip


@kind([(5,)], [(1,)])
def named_losses(keras):
    """Losses by name on outputs of their own."""
    L = keras.layers
    return chain(keras, L.Dense(4, activation="tanh", input_shape=(5,)), L.Dense(1),
                 loss="logcosh" if package(keras) == "keras2" else "log_cosh"
                 if package(keras) == "keras3" else "logcosh", metrics=["mse", "mae"])  # fmt: skip


@kind([(5,)], [(3,)])
def metric_objects(keras):
    L, M = keras.layers, keras.metrics
    return chain(keras, L.Dense(4, input_shape=(5,)), L.Dense(3, activation="sigmoid"),
                 metrics=[M.MeanSquaredError(name="error"), M.CosineSimilarity(axis=-1)])  # fmt: skip


@kind([(5,)], [(2,)], sample_weight=())
def weighted_metrics(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, input_shape=(5,)), L.Dense(2), metrics=["mae"], weighted_metrics=["mse"])


@kind([(5,)], [(2,)], sample_weight=())
def huber_object(keras):
    L = keras.layers
    return chain(keras, L.Dense(4, input_shape=(5,)), L.Dense(2), loss=keras.losses.Huber(delta=0.4))
