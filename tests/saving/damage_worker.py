"""Loads damaged files, one after the other, and says what came of each. A process of its own: it may crash or hang.

Reads frames of (length of kind, length of content, kind, content) from standard input, writes a line for each:
`refused ...` (an error of ours), `sound` (a model that predicts), or `bare ...` (any other error, a fault). It may use
one GiB more than at its start, and 20 seconds of its time for one file; whoever reads sees it die otherwise.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import struct
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import kcore as keras
from kcore import layers
from kcore.errors import KcoreError
from kcore.models import load_model, model_from_json, model_from_yaml
from kcore.saving.state_file import read_state

GIB = 2**30
SECONDS = 20


def small_model() -> Any:
    """The model whose files are damaged: layers with states of their own, a cell, a nested model, a second input."""
    inner = keras.Sequential([layers.Dense(3, input_shape=(4,), name="inner_dense")], name="inner")
    a, b = layers.Input((5, 2), name="a"), layers.Input((4,), name="b")
    x = layers.LSTM(4, kernel_regularizer="l2", name="lstm")(a)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Concatenate(name="join")([inner(x), layers.Dropout(0.5, name="drop")(b)])
    return keras.Model([a, b], layers.Dense(2, activation="softmax", name="out")(x), name="small")


def data() -> tuple[list[np.ndarray], np.ndarray]:
    """A batch for it."""
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(4, 5, 2)).astype("f4"), random.normal(size=(4, 4)).astype("f4")]
    return inputs, np.eye(2, dtype="f4")[[0, 1, 1, 0]]


def load(kind: str, content: bytes, folder: Path, model: Any) -> Any:
    """What a file of a kind holds; `weights...` are set to the model."""
    if kind == "json":
        return model_from_json(content)
    if kind == "yaml":
        return model_from_yaml(content)
    path = folder / "damaged"
    path.write_bytes(content)
    if kind == "state":
        return read_state(path)
    if kind.startswith("weights"):
        model.load_weights(path)
        return model
    return load_model(path if len(content) % 2 else content)


def verdict(kind: str, content: bytes, folder: Path, model: Any) -> str:
    """What came of loading."""
    try:
        found = load(kind, content, folder, model)
    except KcoreError as error:
        return f"refused {type(error).__qualname__}: {error}"
    except Exception as error:  # noqa: BLE001 - these are what is looked for
        return f"bare {type(error).__name__}: {error}"
    if kind == "state":
        return "sound"
    try:
        shapes = [(1, *(n or 1 for n in x.shape[1:])) for x in found.inputs]
        if max(math.prod(shape) for shape in shapes) < 10**5 and found.count_params() < 10**6:
            inputs = [np.zeros(shape, "f4") for shape in shapes]
            found.predict(inputs if len(inputs) > 1 else inputs[0])
    except KcoreError:
        return "sound, for other data"
    except Exception as error:  # noqa: BLE001
        return f"bare at predict {type(error).__name__}: {error}"
    return "sound"


def main() -> None:
    """Answer frames until there are no more."""
    warnings.simplefilter("ignore")
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with keras.backend_scope("numpy"), tempfile.TemporaryDirectory() as name:
        model = small_model()
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        model.train_on_batch(*data())
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + GIB, used + GIB))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        while head := stdin.read(8):
            kind, content = (stdin.read(n) for n in struct.unpack("<II", head))
            signal.alarm(SECONDS)
            line = verdict(kind.decode(), content, Path(name), model)
            signal.alarm(0)
            keras.backend.clear_session()
            stdout.write(" ".join(line[:2000].split()).encode("utf-8", "replace") + b"\n")


if __name__ == "__main__":
    main()
