"""One backend's part of the tests of data, in a process of its own: errors of wrong calls, losses from every source.

The frameworks' tensors and loaders are used with whatever backend trains.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import kcore
from kcore import backend as K
from kcore.errors import KcoreError
from kcore.layers import LSTM, Dense

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from wrong_calls import CASES

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(24, 6)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")
W = np.linspace(0.5, 1.5, 24).astype("float32")


def errors() -> dict[str, str]:
    """What each wrong call raises and says."""
    found = {}
    for case in CASES:
        try:
            case.call(kcore)
        except Exception as error:  # noqa: BLE001 - they are the result
            ours = isinstance(error, KcoreError)
            found[case.name] = f"{type(error).__qualname__}: {error}" if ours else type(error).__name__
        else:
            found[case.name] = "nothing"
    return found


# --- sources ----------------------------------------------------------------------------------------------------------


def native() -> tuple[Any, ...]:
    backend = kcore.backend.active.backend()
    return backend.asarray(X), backend.asarray(Y.astype("float64")[:, 0]), W


def torch_tensors() -> tuple[Any, ...]:
    import torch

    return torch.tensor(X, requires_grad=True), torch.tensor(Y), torch.tensor(W)


def tf_tensors() -> tuple[Any, ...]:
    import tensorflow as tf

    return tf.constant(X), tf.Variable(Y), tf.constant(W)


def jax_arrays() -> tuple[Any, ...]:
    import jax.numpy as jnp

    return jnp.asarray(X), jnp.asarray(Y), W


def tables() -> tuple[Any, ...]:
    import pandas as pd

    frame = pd.DataFrame(X).assign(y=Y)
    return frame[list(range(6))], frame["y"], pd.Series(W)


def on_disk() -> tuple[Any, ...]:
    file = h5py.File(Path(tempfile.mkdtemp()) / "data.h5", "w")
    file["x"], file["y"] = X, Y[:, 0]
    return file["x"], file["y"], W


def torch_loader() -> Any:
    from torch.utils.data import DataLoader

    torch_tensors()
    import torch

    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y), torch.tensor(W))
    return DataLoader(data, batch_size=8)


def torch_stream() -> Any:
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    class Stream(IterableDataset):  # its length is unknown
        def __iter__(self) -> Iterator[Any]:
            return iter([(x, y, w) for x, y, w in zip(torch.tensor(X), torch.tensor(Y), torch.tensor(W), strict=True)])

    return DataLoader(Stream(), batch_size=8)


def tf_dataset() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y, W)).batch(8)


def tf_stream() -> Any:
    return tf_dataset().filter(lambda *_: True)  # its length is unknown


ARRAYS: list[Callable[[], tuple[Any, ...]]] = [
    lambda: (X, Y, W), native, torch_tensors, tf_tensors, jax_arrays, tables, on_disk,
]  # fmt: skip
LOADERS: list[Callable[[], Any]] = [torch_loader, torch_stream, tf_dataset, tf_stream]


@functools.cache
def model_and_weights() -> tuple[Any, Any]:
    kcore.random.set_random_seed(1)
    model = kcore.Sequential([Dense(4, activation="tanh", input_shape=(6,)), Dense(1)])
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    return model, model.get_weights()


def made() -> Any:
    """The model as it was before any training (one for all sources: each is compiled anew by some backends)."""
    model, weights = model_and_weights()
    model.set_weights(weights)
    np.random.seed(4)  # noqa: NPY002 - the global state is what shuffles
    return model


def from_arrays(x: Any, y: Any, w: Any) -> list[float]:
    """Losses of every method on these arrays."""
    model = made()
    history = model.fit(x, y, batch_size=8, epochs=2, sample_weight=w, shuffle="batch", verbose=0,
                        validation_data=(x, y, w)).history  # fmt: skip
    whole = model.fit(x, y, steps_per_epoch=2, verbose=0).history
    return [
        *history["loss"], *history["mae"], *history["val_loss"], *history["val_mae"], *whole["loss"],
        *model.evaluate(x, y, sample_weight=w, verbose=0), *model.train_on_batch(x, y, sample_weight=w),
        *model.test_on_batch(x, y), *model.predict(x, batch_size=7)[:, 0], *model.predict_on_batch(x)[:, 0],
    ]  # fmt: skip


def from_loader(loader: Any) -> list[float]:
    """Losses of every method on a loader's batches, without shuffling."""
    model = made()
    history = model.fit(loader, epochs=2, verbose=0, validation_data=loader).history
    mixed = model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, validation_data=loader).history
    return [
        *history["loss"], *history["val_loss"], *mixed["val_mae"], *model.evaluate(loader, verbose=0),
        *model.predict(loader)[:, 0],
    ]  # fmt: skip


def stateful() -> list[float]:
    """What a stateful network gives, method by method: each goes on from where the one before stopped."""
    kcore.random.set_random_seed(2)
    model = kcore.Sequential([LSTM(3, stateful=True, batch_input_shape=(4, 2, 6)), Dense(1)])
    model.compile("sgd", "mse")
    x, y = RNG_STATES
    seen = [*model.predict(x, batch_size=4)[:, 0], *model.predict(x, batch_size=4)[:, 0]]
    seen += model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
    seen += [model.evaluate(x, y, batch_size=4, verbose=0), model.test_on_batch(x[:4], y[:4])]
    seen += [model.train_on_batch(x[:4], y[:4]), *model.predict_on_batch(x[:4])[:, 0]]
    seen += [*model.predict_generator(iter([x[:4], x[4:]]), 2)[:, 0]]
    model.reset_states()
    return [*seen, *model.predict(x, batch_size=4)[:, 0]]


RNG_STATES = RNG.normal(size=(8, 2, 6)).astype("float32"), RNG.normal(size=(8, 1)).astype("float32")


def name_of(make: Callable[[], Any]) -> str:
    return "numpy_arrays" if make.__name__ == "<lambda>" else make.__name__


def numbers(values: list[Any]) -> list[float]:
    return [float(v) for v in values]


if __name__ == "__main__":
    report = {
        "errors": errors(),
        "arrays": {name_of(make): numbers(from_arrays(*make())) for make in ARRAYS},
        "loaders": {name_of(make): numbers(from_loader(make())) for make in LOADERS},
        "stateful": numbers(stateful()),
    }
    K.clear_session()
    sys.stdout.write(json.dumps(report) + "\n")
