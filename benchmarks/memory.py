"""Does memory stay flat? Rounds of build, fit, predict and `K.clear_session` on each backend, measured.

    python -m benchmarks.memory                         # 200 rounds on every installed backend
    python -m benchmarks.memory --backend jax --rounds 50

Each backend runs in a process of its own. The first ten rounds warm up caches and the allocator's pools; from then on
the resident memory may grow by LIMIT_KIB a round at most (a leaked model of this size would be ten times that). The
exit status is 1 when one backend grows more.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: make the room importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

WARM_UP = 10
LIMIT_KIB = 50.0
COLUMNS = (0, 10, 25, 50, 100, 150, 200)


def resident_kib() -> int:
    """The process's resident memory (Linux), after what is free has been given back to the system."""
    gc.collect()
    with contextlib.suppress(OSError):  # another C library: its pools stay in the number
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def one_round(number: int) -> None:
    """Build a model of several kinds of layers, train it, ask it, forget it. Sizes repeat after a few rounds."""
    import numpy as np

    import kcore
    from kcore import backend as K
    from kcore import layers

    samples = 40 + number % 3  # so that the last batch differs
    image, tokens = layers.Input((8, 8, 1)), layers.Input((6,), dtype="int32")
    a = layers.Flatten()(layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image)))
    b = layers.LSTM(8)(layers.Embedding(50, 8, mask_zero=True)(tokens))
    x = layers.Dropout(0.3)(layers.BatchNormalization()(layers.Dense(128)(layers.concatenate([a, b]))))
    model = kcore.Model([image, tokens], layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(number)
    data = [rng.random((samples, 8, 8, 1), dtype="float32"), rng.integers(0, 50, (samples, 6))]
    model.fit(data, np.eye(3)[rng.integers(0, 3, samples)], batch_size=16, epochs=1, verbose=0)
    model.predict(data)
    K.clear_session()


def measure(rounds: int, say: bool = False) -> list[int]:
    """Resident KiB before the first round and after each."""
    import kcore.backend

    kcore.backend.eval(kcore.backend.ones((2, 2)) + 1.0)  # the framework is loaded
    found = [resident_kib()]
    for number in range(rounds):
        one_round(number)
        found.append(resident_kib())
        if say:
            print(f"{number + 1}: {found[-1] / 1024:.1f} MiB", file=sys.stderr, flush=True)
    return found


def growth(found: Sequence[int]) -> float:
    """KiB a round after the first ten: the slope of the best line, which single jumps do not decide."""
    tail = list(found[min(WARM_UP, len(found) // 2) :])
    n = len(tail)
    mean_x, mean_y = (n - 1) / 2, sum(tail) / n
    spread = sum((i - mean_x) ** 2 for i in range(n))
    return sum((i - mean_x) * (y - mean_y) for i, y in enumerate(tail)) / spread if spread else 0.0


def table(results: dict[str, list[int]]) -> str:
    """A markdown table: MiB after some of the rounds, and the growth."""
    rounds = max(len(found) for found in results.values()) - 1
    columns = [c for c in COLUMNS if c <= rounds]
    lines = [f"| backend | {' | '.join(f'after {c}' for c in columns)} | KiB a round after the first {WARM_UP} |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for name, found in results.items():
        cells = " | ".join(f"{found[c] / 1024:.1f} MiB" for c in columns)
        lines.append(f"| {name} | {cells} | {growth(found):.1f} |")
    return "\n".join(lines)


def in_process(backend: str, arguments: argparse.Namespace) -> list[int]:
    """Measure one backend in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--here", "--rounds", str(arguments.rounds)]
    command += ["--say"] if arguments.say else []
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, env=environment, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return [int(value) for value in json.loads(done.stdout.splitlines()[-1])]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--backend", help="one backend; every installed one without it")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--say", action="store_true", help="every round's memory, on stderr")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, judge."""
    arguments = parse(argv)
    if arguments.here:
        print(json.dumps(measure(arguments.rounds, arguments.say)))
        return 0
    from kcore import plugin

    backends: Any = [arguments.backend] if arguments.backend else [
        name for name, info in plugin.discover().items() if name == "numpy" or info.installed_framework()
    ]  # fmt: skip
    results = {name: in_process(name, arguments) for name in backends}
    print(f"{arguments.rounds} rounds of build, fit, predict, clear_session:", table(results), sep="\n\n")
    grown = [name for name, found in results.items() if growth(found) > LIMIT_KIB]
    print(f"\ngrows: {', '.join(grown)}" if grown else f"\nflat: at most {LIMIT_KIB:.0f} KiB a round")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
