"""Kill processes that save a model, at random moments, and look at what they leave: `python kills.py --help`.

One process imports everything and forks the victims, so that a kill costs no more than a save. In each version of the
model all weights and the whole optimizer state are one number: a file in which two versions are mixed shows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kcore
from kcore import layers
from kcore.callbacks import LambdaCallback, ModelCheckpoint

X, Y = np.ones((4, 300), "float32"), np.ones((4, 10), "float32")


def build() -> Any:
    """A model of about a million parameters; with Adam's state, 12 MB in a file."""
    model = kcore.Sequential([layers.Dense(900, input_shape=(300,)), layers.Dense(700), layers.Dense(10)])
    model.compile("adam", "mse")
    model.train_on_batch(X, Y)  # makes the optimizer's state
    return model


def set_version(model: Any, version: int) -> None:
    """Every number that a file holds becomes the version."""
    model.set_weights([np.full(w.shape, version) for w in model.get_weights()])
    model.optimizer.set_weights([np.full(np.shape(w), version) for w in model.optimizer.get_weights()])


def version_of(path: Path) -> int:
    """The version that a file holds. Raises AssertionError for a mixture, and whatever loading a broken file raises."""
    model = kcore.models.load_model(str(path))
    values = {float(x) for w in (*model.get_weights(), *model.optimizer.get_weights()) for x in (w.min(), w.max())}
    assert len(values) == 1, f"a mixture of versions: {sorted(values)}"
    return int(values.pop())


# --- what is killed ---------------------------------------------------------------------------------------------------


def save(model: Any, path: Path, started: Callable[[], None], version: int) -> None:
    """One save."""
    set_version(model, version)
    started()
    model.save(str(path))


def checkpoint(model: Any, path: Path, started: Callable[[], None], version: int) -> None:
    """An epoch of training with a checkpoint after it."""

    def prepare(epoch: int, logs: Any) -> None:
        set_version(model, version)
        started()

    before = LambdaCallback(on_epoch_end=prepare)
    model.fit(X, Y, verbose=0, callbacks=[before, ModelCheckpoint(str(path))])


VICTIMS = {"save": save, "checkpoint": checkpoint}


def start(kind: str, model: Any, path: Path, version: int) -> tuple[int, int]:
    """A process that saves a version: its number, and a pipe that tells when it begins."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 1
    try:
        os.close(reader)
        VICTIMS[kind](model, path, lambda: os.write(writer, b"s") and None, version)
        status = 0
    finally:
        os._exit(status)


def run(kind: str, model: Any, path: Path, version: int, delay: float | None) -> tuple[float, bool]:
    """Let a process save, killed after a time if one is given: how long it lived, and whether it was killed."""
    child, reader = start(kind, model, path, version)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        assert pipe.read(1), "the process that saves has failed"
        begun = time.perf_counter()
        if delay is not None:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if delay is None:
        assert status == 0, "the process that saves has failed"
    return time.perf_counter() - begun, os.WIFSIGNALED(status)


def litter(path: Path) -> int:
    """How many files there are beside the model."""
    return len(os.listdir(path.parent)) - path.exists()


def kill_often(kind: str, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Until `count` processes were killed before they had saved: what was left is loaded each time."""
    rng = random.Random(seed)
    path = folder / "model.h5"
    model = build()
    lives = sorted(run(kind, model, path, version, None)[0] for version in (1, 2, 3))
    assert version_of(path) == 3
    seen: Counter[str] = Counter()
    longest = lives[1]
    current = 3
    version = 3
    while seen["killed"] < count:
        version += 1
        littered = litter(path)
        _, killed = run(kind, model, path, version, rng.uniform(0, longest))
        longest *= 1.1 if killed else 0.8  # how long a save takes depends on what else the machine does
        found = version_of(path)
        assert found in (current, version), f"version {found} after {current} and {version}"
        seen["killed" if killed else "was faster"] += 1
        seen["old" if found == current else "new"] += 1
        seen["killed while it wrote"] += litter(path) > littered
        current = found
    run(kind, model, path, version + 1, None)
    assert version_of(path) == version + 1
    assert litter(path) == 0, f"litter: {os.listdir(folder)}"
    return {"kind": kind, "save_s": round(lives[1], 4), "bytes": path.stat().st_size, **seen}


def main() -> None:
    """The command line; prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(VICTIMS))
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    with kcore.backend_scope("numpy"):
        print(json.dumps(kill_often(arguments.kind, arguments.folder, arguments.count, arguments.seed)))  # noqa: T201 - the result


if __name__ == "__main__":
    sys.exit(main())
