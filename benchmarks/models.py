"""The four workloads under their neutral names: sizes, data, and the model in Keras layers.

Everything that the contenders must share is said here once (layer sizes, batch size, learning rate,
data, epoch length), so that no contender can measure something else. May import NumPy; a Keras-like
module is handed in by the caller, never imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEARNING_RATE = 1e-3
BETA_1, BETA_2 = 0.9, 0.999
EPSILON = 1e-7  # Keras' default; the native loops use it too

CATEGORICAL = "sparse_categorical_crossentropy"
BINARY = "binary_crossentropy"


@dataclass(frozen=True)
class Workload:
    """One training task: what goes in, what comes out, and how much of it is timed.

    `input_shape` is the shape of one sample, channels last. `outputs` is the width of the last layer.
    `input_high` bounds integer inputs (token ids). `parameters` is the number of trainable values that every
    contender must have; `epoch_batches` the number of batches in one epoch.
    """

    name: str
    title: str
    batch: int
    input_shape: tuple[int, ...]
    input_dtype: str
    input_high: int | None
    outputs: int
    loss: str
    parameters: int
    epoch_batches: int

    @property
    def samples(self) -> int:
        """Number of samples in the data set: whole batches only, so every step has one shape."""
        return self.batch * self.epoch_batches


@dataclass(frozen=True)
class Data:
    """The data set of a workload: `x` is (samples, *input_shape); `y` is (samples,) or (samples, 1)."""

    x: Array
    y: Array


@dataclass(frozen=True)
class MLPSizes:
    """Sizes of a stack of relu layers and one output layer."""

    hidden: tuple[int, ...]


@dataclass(frozen=True)
class ConvnetSizes:
    """Sizes of the classic MNIST convnet: two 3x3 convolutions, one 2x2 max pooling, one hidden layer."""

    filters: tuple[int, int] = (32, 64)
    kernel: int = 3
    pool: int = 2
    dropout: tuple[float, float] = (0.25, 0.5)
    hidden: int = 128


@dataclass(frozen=True)
class LSTMSizes:
    """Sizes of the text classifier: embedding, one LSTM, one sigmoid."""

    vocabulary: int = 20_000
    embedding: int = 128
    units: int = 128


Sizes = MLPSizes | ConvnetSizes | LSTMSizes

SIZES: dict[str, Sizes] = {
    "mlp": MLPSizes((512, 512)),
    "tiny_mlp": MLPSizes((32,)),
    "convnet": ConvnetSizes(),
    "lstm": LSTMSizes(),
}

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("mlp", "MLP 784-512-512-10", 128, (784,), "float32", None, 10, CATEGORICAL, 669_706, 100),
        Workload("tiny_mlp", "tiny MLP 20-32-1", 32, (20,), "float32", None, 1, BINARY, 705, 500),
        Workload("convnet", "MNIST convnet", 128, (28, 28, 1), "float32", None, 10, CATEGORICAL, 1_199_882, 8),
        Workload("lstm", "LSTM text model", 32, (80,), "int32", 20_000, 1, BINARY, 2_691_713, 12),
    )
}


def make_data(workload: Workload, seed: int = 0) -> Data:
    """Random data with something to learn in it, the same for every contender and every run.

    Real inputs are uniform in [0, 1); token ids uniform in the vocabulary. The label follows from a random
    linear map of the sample, so that a training step that is wired wrongly shows in the loss.
    """
    rng = np.random.default_rng(seed)
    shape = (workload.samples, *workload.input_shape)
    x: Array
    if workload.input_high is None:
        x = rng.random(shape, dtype=np.float32)
    else:
        x = rng.integers(0, workload.input_high, shape, dtype=np.int32)
    flat = x.reshape(len(x), -1).astype(np.float32)
    flat = flat - flat.mean(axis=0)
    scores = flat @ rng.standard_normal((flat.shape[1], max(workload.outputs, 1)), dtype=np.float32)
    if workload.loss == BINARY:
        return Data(x, (scores > 0).astype(np.float32))
    return Data(x, scores.argmax(axis=1).astype(np.int32))


def batches(workload: Workload, data: Data) -> list[tuple[Array, Array]]:
    """The data set cut into batches, in order: what the step measures cycle over."""
    size = workload.batch
    return [(data.x[i : i + size], data.y[i : i + size]) for i in range(0, workload.samples, size)]


def shuffled_indices(workload: Workload, rng: np.random.Generator) -> Iterator[Array]:
    """One epoch's batches as index arrays, freshly shuffled: the native epoch loops slice with these."""
    order = rng.permutation(workload.samples)
    for start in range(0, workload.samples, workload.batch):
        yield order[start : start + workload.batch]


def native_tuned() -> bool:
    """Whether the native loops turn on the faster options that their frameworks leave off (`--native-tuned`)."""
    return os.environ.get("BENCHMARK_NATIVE_TUNED") == "1"


def glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Glorot-uniform initial weights (Keras' default), for the frameworks that bring no initializer.

    The last two dimensions are fan-in and fan-out; those before them (a convolution's window) multiply both.
    """
    window = math.prod(shape[:-2])
    limit = math.sqrt(6.0 / (window * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def build_keras_model(keras: ModuleType, workload: Workload) -> Any:
    """The workload's model, compiled, through a Keras-like module (kcore or Keras 3)."""
    layers = keras.layers
    inputs = layers.Input(shape=workload.input_shape, dtype=workload.input_dtype)
    x = _hidden_layers(layers, SIZES[workload.name], inputs)
    last = "sigmoid" if workload.loss == BINARY else "softmax"
    model = keras.models.Model(inputs, layers.Dense(workload.outputs, activation=last)(x))
    optimizer = keras.optimizers.Adam(learning_rate=LEARNING_RATE)
    model.compile(optimizer=optimizer, loss=workload.loss)
    return model


def _hidden_layers(layers: Any, sizes: Sizes, x: Any) -> Any:
    """All layers between the input and the output layer."""
    if isinstance(sizes, MLPSizes):
        for units in sizes.hidden:
            x = layers.Dense(units, activation="relu")(x)
        return x
    if isinstance(sizes, LSTMSizes):
        x = layers.Embedding(sizes.vocabulary, sizes.embedding)(x)
        return layers.LSTM(sizes.units)(x)
    for filters in sizes.filters:
        x = layers.Conv2D(filters, (sizes.kernel, sizes.kernel), activation="relu")(x)
    x = layers.MaxPooling2D(pool_size=(sizes.pool, sizes.pool))(x)
    x = layers.Dropout(sizes.dropout[0])(x)
    x = layers.Flatten()(x)
    x = layers.Dense(sizes.hidden, activation="relu")(x)
    return layers.Dropout(sizes.dropout[1])(x)
