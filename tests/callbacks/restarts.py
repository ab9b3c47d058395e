"""Trainings that are killed and started again: what the tests of `BackupAndRestore` share, and the process they kill.

python restarts.py FOLDER BATCH     train, kill the process at the start of this batch
python restarts.py FOLDER           go on, then train again without a break; print whether all is equal
"""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import os
import random
import signal
import sys

import numpy as np

import kcore
from kcore import backend as K
from kcore import callbacks, layers
from kcore.callbacks import BackupAndRestore, Callback
from kcore.models import Model, Sequential
from kcore.utils import Sequence

RNG = np.random.default_rng(5)
X = RNG.normal(size=(22, 3, 4)).astype("float32")
Y = RNG.normal(size=(22, 2)).astype("float32")
EPOCHS = 3


class Killed(BaseException):
    """Stands for the end of the process."""


class Killer(Callback):
    """Ends the training when so many batches have begun."""

    def __init__(self, batches, kill):
        super().__init__()
        self.left = batches
        self.kill = kill

    def on_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            self.kill()


class Noise(Callback):
    """A callback of one's own that draws random numbers, and keeps something."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def get_state(self):
        return {"seen": self.seen}

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((random.random(), float(np.random.rand())))
        logs["drawn"] = sum(map(sum, self.seen))


def small_model():
    """Dropout, a weight that no gradient moves, and metrics with state."""
    model = Sequential([
        layers.Flatten(input_shape=(3, 4)), layers.Dense(6, activation="relu"), layers.BatchNormalization(),
        layers.Dropout(0.3), layers.Dense(2),
    ])  # fmt: skip
    model.compile("adam", "mse", metrics=["mae", kcore.metrics.RootMeanSquaredError()])
    return model


def stateful_model():
    """A recurrent layer whose state goes from batch to batch, with dropout inside its loop; two outputs."""
    inputs = layers.Input(batch_shape=(2, 3, 4))
    states = layers.LSTM(3, stateful=True, recurrent_dropout=0.2)(inputs)
    noisy = layers.GaussianNoise(0.1)(states)
    model = Model(inputs, [layers.Dense(2)(noisy), layers.Dense(2)(states)])
    model.compile(kcore.optimizers.SGD(0.1, momentum=0.9, decay=0.01, clipnorm=1.0), "mse", metrics=["mae"])
    return model


class Batches(Sequence):
    """Reorders its samples between epochs, by a generator of its own."""

    def __init__(self, size=4):
        self.size = size
        self.random = np.random.default_rng(1)
        self.order = np.arange(len(X))

    def __len__(self):
        return (len(X) + self.size - 1) // self.size

    def __getitem__(self, index):
        chosen = self.order[index * self.size : (index + 1) * self.size]
        return X[chosen], Y[chosen]

    def on_epoch_end(self):
        self.random.shuffle(self.order)


def batches():
    """A generator that draws from `np.random`."""
    while True:
        chosen = np.random.permutation(len(X))[:5]
        yield X[chosen], Y[chosen]


def of_arrays(model, own, **kwargs):
    settings = {"batch_size": 4, "validation_split": 0.2, "epochs": EPOCHS, "verbose": 0, **kwargs}
    return model.fit(X, Y, callbacks=own, **settings)


def of_weighted_arrays(model, own):
    weights = np.linspace(0.5, 2, len(X)).astype("float32")
    return of_arrays(model, own, sample_weight=weights, shuffle="batch")


def of_two_targets(model, own):
    validation = (X[:4], [Y[:4], Y[:4]])
    return model.fit(X, [Y, Y], batch_size=2, epochs=EPOCHS, verbose=0, callbacks=own, validation_data=validation)


def of_sequence(model, own, **kwargs):
    settings = {"epochs": EPOCHS, "verbose": 0, "validation_data": (X, Y), "shuffle": False, **kwargs}
    return model.fit_generator(Batches(), callbacks=own, **settings)


def of_sequence_without_workers(model, own):
    return of_sequence(model, own, workers=0, validation_freq=2)


def of_generator(model, own):
    return model.fit_generator(batches(), 4, EPOCHS, verbose=0, callbacks=own, workers=0, validation_data=batches(),
                               validation_steps=2)  # fmt: skip


class Loader:
    """As the frameworks' data loaders: each pass is an epoch in an order of its own."""

    def __init__(self):
        self.random = np.random.default_rng(2)

    def __iter__(self):
        order = self.random.permutation(len(X))
        return ((X[order[i : i + 5]], Y[order[i : i + 5]]) for i in range(0, len(X), 5))


def of_loader(model, own):
    """A loader that cannot count its batches, and one for validation."""
    return model.fit(Loader(), epochs=EPOCHS, verbose=0, callbacks=own, validation_data=Loader())


def of_arrays_validated_by_a_generator(model, own):
    return model.fit(X, Y, batch_size=4, epochs=EPOCHS, verbose=0, callbacks=own, workers=0,
                     validation_data=batches(), validation_steps=3)  # fmt: skip


RUNS = {
    "arrays": (small_model, of_arrays),
    "weighted": (small_model, of_weighted_arrays),
    "stateful": (stateful_model, of_two_targets),
    "sequence": (small_model, of_sequence),
    "sequence_without_workers": (small_model, of_sequence_without_workers),
    "generator": (small_model, of_generator),
    "loader": (small_model, of_loader),
    "validated_by_a_generator": (small_model, of_arrays_validated_by_a_generator),
}


def run(kind, *keeping):
    """Train as a fresh process would; returns weights and history."""
    K.clear_session()
    kcore.set_random_seed(11)
    make, fit = RUNS[kind]
    model = make()
    own = [
        callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10, factor=0.8),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9), Noise(), *keeping,
        callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
    ]  # fmt: skip
    history = fit(model, own)
    return [*model.get_weights(), *model.optimizer.get_weights()], history.history


def same(a, b):
    """Whether two results are equal bit for bit."""
    return a[1] == b[1] and len(a[0]) == len(b[0]) and all(x.tobytes() == y.tobytes() for x, y in zip(a[0], b[0]))


if __name__ == "__main__":
    folder, *at = sys.argv[1:]
    keeping = BackupAndRestore(folder, save_freq=2)
    if at:
        run("stateful", keeping, Killer(int(at[0]), lambda: os.kill(os.getpid(), signal.SIGKILL)))
    else:
        print(keeping.path.exists(), same(run("stateful", keeping), run("stateful")))
