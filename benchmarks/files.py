"""How long saving and loading a model takes, beside writing and reading its arrays with h5py, and beside Keras 3.

    python -m benchmarks.files                                   # every installed backend, both models
    python -m benchmarks.files --backend torch --models mlp --rounds 5

Both models have 25 million parameters: `mlp` in four large matrices, `resnet` in the 320 arrays of 107 layers. Each
contender is a process of its own; they take turns. Saving goes to the disk: h5py's time is that of writing and `fsync`,
which is also given alone. Loading makes and compiles the model with its weights in the host's memory, as h5py's arrays
are; kcore brings them to the backend when it first computes, whose time is given beside. Files are in the system's
cache, in its folder for temporary files (`TMPDIR` names another). `--cpu` counts the processor time of each contender
instead, for a machine with other work. A ratio is that of two medians, in brackets the middle half of those of the
single rounds.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: make the room importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.measure import rotation
from benchmarks.stats import ratio
from benchmarks.table import markdown
from benchmarks.workers import ROOT, environment

TARGET = 1.5
CONTENDERS = ("h5py", "kcore", "keras3")
MODELS = ("mlp", "resnet")
HEADER = (
    "backend", "model", "h5py write + sync ms", "sync alone", "kcore save", "Keras 3 save (no sync)", "kcore/h5py",
    "h5py read ms", "kcore load", "then to the backend", "Keras 3 load", "kcore/h5py",
)  # fmt: skip


# --- the models -------------------------------------------------------------------------------------------------------


def mlp(keras: Any) -> Any:
    """Four matrices of 6, 9, 9 and 1 million numbers."""
    layers = keras.layers
    return keras.Sequential([
        layers.Input((2000,)), layers.Dense(3000, activation="relu"), layers.Dense(3000, activation="relu"),
        layers.Dense(3000, activation="relu"), layers.Dense(334, activation="softmax"),
    ])  # fmt: skip


def resnet(keras: Any) -> Any:
    """The layers of ResNet50 (for small images)."""
    layers = keras.layers

    def conv(x: Any, filters: int, size: int, strides: int = 1, relu: bool = True) -> Any:
        x = layers.BatchNormalization()(layers.Conv2D(filters, size, strides=strides, padding="same")(x))
        return layers.Activation("relu")(x) if relu else x

    inputs = layers.Input((64, 64, 3))
    x = layers.MaxPooling2D(3, 2, padding="same")(conv(inputs, 64, 7, 2))
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            shortcut = x if block else conv(x, 4 * filters, 1, strides, relu=False)
            x = conv(conv(conv(x, filters, 1, strides), filters, 3), 4 * filters, 1, relu=False)
            x = layers.Activation("relu")(layers.add([shortcut, x]))
    return keras.Model(inputs, layers.Dense(1000, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


# --- a contender's process --------------------------------------------------------------------------------------------


class Framework:
    """kcore, or Keras 3."""

    def __init__(self, package: str, backend: str, model: str, folder: Path) -> None:
        self.keras: Any = importlib.import_module(package)
        self.own = package == "kcore"
        self.backend = backend
        self.path = folder / ("model.h5" if self.own else "model.keras")
        self.model = {"mlp": mlp, "resnet": resnet}[model](self.keras)
        self.model.compile("sgd", "categorical_crossentropy")
        self.place()

    def place(self) -> None:
        """Weights to the backend, which Keras 3 does as it loads."""
        if self.own:
            self.model.to_backend(self.backend)

    def save(self) -> None:
        """One file with everything."""
        self.model.save(str(self.path))

    def load(self) -> None:
        """A compiled model."""
        self.model = self.keras.models.load_model(str(self.path))


class Raw:
    """The arrays of the model, and nothing else, through h5py."""

    def __init__(self, backend: str, model: str, folder: Path) -> None:
        import numpy as np

        import kcore

        with kcore.backend_scope("numpy"):
            made = {"mlp": mlp, "resnet": resnet}[model](kcore)
            self.arrays = [np.array(w) for w in made.get_weights()]
        self.path = folder / "arrays.h5"

    def save(self) -> None:
        """Write the arrays."""
        import h5py

        with h5py.File(self.path, "w") as file:
            for i, array in enumerate(self.arrays):
                file.create_dataset(str(i), data=array)

    def sync(self) -> None:
        """To the disk."""
        handle = os.open(self.path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    def load(self) -> None:
        """Read the arrays."""
        import h5py

        with h5py.File(self.path) as file:
            [file[str(i)][()] for i in range(len(self.arrays))]


def seconds(action: Callable[[], Any], clock: Callable[[], float]) -> float:
    """How long an action takes."""
    gc.collect()
    start = clock()
    action()
    return clock() - start


def serve(contender: str, backend: str, model: str, folder: Path, clock: Callable[[], float]) -> None:
    """Answer each line of the input with the times of one round."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    subject: Any
    if contender == "h5py":
        subject = Raw(backend, model, folder)
    else:
        subject = Framework("kcore" if contender == "kcore" else "keras", backend, model, folder)
    for _ in itertools.chain(["the first round warms up"], sys.stdin):
        found = {"save": seconds(subject.save, clock)}
        found["sync"] = seconds(subject.sync, clock) if contender == "h5py" else 0.0
        found["load"] = seconds(subject.load, clock)
        found["place"] = seconds(subject.place, clock) if contender == "kcore" else 0.0
        answers.write(json.dumps(found) + "\n")
        answers.flush()


# --- the parent -------------------------------------------------------------------------------------------------------


class Contender:
    """The parent's side of a process."""

    def __init__(self, name: str, backend: str, model: str, folder: Path, arguments: argparse.Namespace) -> None:
        command = [sys.executable, "-m", "benchmarks.files", "--serve", name, str(folder), "--backend", backend]
        self._process = subprocess.Popen(
            [*command, "--models", model, *(["--cpu"] if arguments.cpu else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT, env=environment(backend, arguments.threads, str(folder)),
        )  # fmt: skip
        self.rounds: list[dict[str, float]] = []
        self.error = ""
        self._receive()  # the warm-up

    def _receive(self) -> dict[str, float]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            self.error = (self._process.stderr.read().strip().splitlines() or ["the process has ended"])[-1][:100]
            return {}
        found: dict[str, float] = json.loads(line)
        return found

    def round(self) -> None:
        """One save and one load."""
        if not self.error:
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            self.rounds.append(self._receive())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def times(self, *what: str) -> list[float]:
        """Seconds of each round, summed over what is named."""
        return [sum(found[name] for name in what) for found in self.rounds if found]


def measure(backend: str, model: str, arguments: argparse.Namespace) -> dict[str, Contender]:
    """All contenders for one model on one backend, in turns."""
    with tempfile.TemporaryDirectory(prefix="kcore-bench-") as folder:
        contenders = {}
        try:
            for name in CONTENDERS:
                contenders[name] = Contender(name, backend, model, Path(folder), arguments)
            for turn in range(arguments.rounds):
                for name in rotation(CONTENDERS, turn):
                    contenders[name].round()
        finally:
            for contender in contenders.values():
                contender.close()
    return contenders


def row(backend: str, model: str, found: dict[str, Contender]) -> list[str]:
    """A line of the table."""
    raw, ours, theirs = (found[name] for name in CONTENDERS)
    cells = [backend, model]
    for ours_is, raw_is in ((("save",), ("save", "sync")), (("load",), ("load",))):
        cells.append(_milliseconds(raw, *raw_is))
        if len(raw_is) > 1:
            cells.append(_milliseconds(raw, "sync"))
        cells.append(_milliseconds(ours, *ours_is))
        if ours_is == ("load",):
            cells.append(_milliseconds(ours, "place"))
        cells.append(_milliseconds(theirs, *ours_is))
        times = ratio(ours.times(*ours_is), raw.times(*raw_is))
        verdict = "" if times is None else "met" if times.value <= TARGET else "MISSED"
        cells.append("" if times is None else f"{times.value:.2f} [{times.low:.2f}-{times.high:.2f}] {verdict}")
    return cells


def _milliseconds(contender: Contender, *what: str) -> str:
    times = contender.times(*what)
    return f"{1e3 * statistics.median(times):.0f}" if times else contender.error


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.files", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", help="one backend; every installed one without it")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2, help="threads of every contender (default 2)")
    parser.add_argument("--cpu", action="store_true", help="processor time in place of the clock's")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    arguments = parse(argv)
    if arguments.serve:
        clock = time.process_time if arguments.cpu else time.perf_counter
        serve(arguments.serve[0], arguments.backend, arguments.models[0], Path(arguments.serve[1]), clock)
        return 0
    from kcore import plugin

    backends = [arguments.backend] if arguments.backend else [
        name for name, info in plugin.discover().items() if name == "numpy" or info.installed_framework()
    ]  # fmt: skip
    rows = []
    for backend in backends:
        for model in arguments.models:
            print(f"{backend}: {model} ...", file=sys.stderr, flush=True)
            rows.append(row(backend, model, measure(backend, model, arguments)))
    kind = "processor time, " if arguments.cpu else ""
    print(f"Saving and loading 25 million parameters, {kind}{arguments.rounds} rounds; target {TARGET} of h5py.\n")
    print(markdown(HEADER, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
