"""Handwritten digits: the data that scikit-learn ships, and two small models that read them."""

from __future__ import annotations

import numpy as np

import kcore as keras
from kcore.layers import LSTM, Conv2D, Dense, Dropout, Flatten, MaxPooling2D


def load(test_share: float = 0.2) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (x_train, y_train), (x_test, y_test): images (n, 8, 8, 1) in [0, 1], labels one-hot (n, 10).

    The last part of the set, written by other people than the first, is held out after a fixed shuffle.
    """
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    images = (x.reshape(-1, 8, 8, 1) / 16.0).astype("float32")
    targets = np.eye(10, dtype="float32")[labels]
    order = np.random.RandomState(0).permutation(len(images))
    images, targets = images[order], targets[order]
    cut = int(len(images) * (1 - test_share))
    return (images[:cut], targets[:cut]), (images[cut:], targets[cut:])


def convnet(dropout: float = 0.25) -> keras.models.Sequential:
    """Build a convolutional classifier of the 8 x 8 images, compiled."""
    model = keras.models.Sequential([
        Conv2D(32, (3, 3), activation="relu", padding="same", input_shape=(8, 8, 1)),
        Conv2D(64, (3, 3), activation="relu"),
        MaxPooling2D((2, 2)),
        Dropout(dropout),
        Flatten(),
        Dense(128, activation="relu"),
        Dropout(2 * dropout),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def row_reader(units: int = 64) -> keras.models.Sequential:
    """Build an LSTM that reads an image row by row, top to bottom, compiled."""
    model = keras.models.Sequential([
        LSTM(units, input_shape=(8, 8)),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def stateful_row_reader(trained: keras.models.Model, batch_size: int) -> keras.models.Sequential:
    """Build the trained reader again as one that takes a single row per call and remembers the earlier ones."""
    units = trained.layers[0].units
    model = keras.models.Sequential([
        LSTM(units, stateful=True, batch_input_shape=(batch_size, 1, 8)),
        Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.set_weights(trained.get_weights())
    return model
