"""Round trips of `.keras` and `.weights.h5` files between kcore and the real Keras 3: the table.

    python tests/saving/keras3_roundtrip.py [--match REGEX] [--backend numpy]

`columns(names)` gives the same for other scripts: direction -> kind -> "ok", what differs, or "- why it is left out".
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import keras3_models  # noqa: E402
import kinds  # noqa: E402
import numpy as np  # noqa: E402
import trips  # noqa: E402

#: Kinds that Keras 3 does not run on its torch backend: its checks or functions are stricter there.
NOT_ON_TORCH = {"siamese", "custom_functions", "stateful"}
_FROZEN = "a frozen BatchNormalization of Keras 3 uses its moving statistics in training, that of Keras 2 the batch's"
_STEPWISE = "BatchNormalization sees each step by itself in Keras 3's TimeDistributed"
#: Kinds whose losses differ for a reason that no file can change: direction -> kind -> reason.
DIFFERENT: dict[str, dict[str, str]] = {
    "kcore -> keras3": {
        "frozen": _FROZEN,
        "mixed_trainable": _FROZEN,
        "objects_as_arguments": "activity penalties of Keras 3 are divided by the batch size",
        "time_distributed": _STEPWISE,
        "wrapped_model": _STEPWISE,
        "optimizer_nadam": "Keras 3 has one schedule of the momentum, that of schedule_decay=1",
    },
    "keras3 -> kcore": {
        "frozen": _FROZEN,
        "mixed_trainable": _FROZEN,
        "objects_as_arguments": "activity penalties of Keras 3 are divided by the batch size",
        "time_distributed": _STEPWISE,
        "wrapped_model": _STEPWISE,
        "huber_object": "Keras 3 does not write the delta of Huber",
    },
}


def every() -> list[str]:
    """The names of all kinds and models that there are."""
    return [*kinds.KINDS, *keras3_models.MODELS]


def absent(name: str, direction: str) -> str:
    """Why a trip does not exist; nothing when it does."""
    if name in keras3_models.MODELS:
        only = direction == "kcore -> keras3" and name not in keras3_models.BOTH
        return "kcore makes no such model" if only else ""
    why = kinds.KINDS[name].absent
    return str(why.get("keras3") or why.get("kcore") or "")


def run_keras3(jobs: dict[str, tuple[str, list[str]]], backend: str) -> dict[str, dict[str, Any]]:
    """Run the worker in a process of its own: action -> (folder, names); its results by action."""
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "PYTHONPATH")}
    kept |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(HERE / "keras3_worker.py"), json.dumps(jobs)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
    if run.returncode:
        raise RuntimeError(f"Keras 3 died with {run.returncode}:\n{run.stderr[-3000:]}")
    return {action: json.loads(Path(folder, f"{action}.json").read_text()) for action, (folder, _) in jobs.items()}


def write(folder: Path, names: list[str]) -> dict[str, Any]:
    """Write the files by kcore, on its active backend."""
    import kcore

    found = {}
    for name in names:
        kcore.backend.clear_session()
        model = trips.made(kcore, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(str(folder / f"{name}.keras"))
        model.save_weights(str(folder / f"{name}.weights.h5"))
        found[name] = trips.results(model, name)
    return found


def read(folder: Path, names: list[str]) -> dict[str, Any]:
    """Load the files that Keras 3 wrote."""
    import kcore

    found = {}
    for name in names:
        kcore.backend.clear_session()
        try:
            loaded = kcore.models.load_model(str(folder / f"{name}.keras"), custom_objects=trips.objects(kcore, name))
            before = loaded.get_weights()
            loaded.set_weights([np.zeros_like(w) for w in before])
            loaded.load_weights(str(folder / f"{name}.weights.h5"))
            same = all(np.array_equal(a, b) for a, b in zip(before, loaded.get_weights(), strict=True))
            found[name] = {**trips.results(loaded, name), "weights alone": same}
        except Exception as error:  # noqa: BLE001 - told in the table
            found[name] = {"error": f"{type(error).__qualname__}: {str(error)[:400]}"}
    return found


def verdict(direction: str, name: str, expected: dict[str, Any], found: dict[str, Any]) -> str:
    """`ok`, or what differs; losses that must differ are named, and not compared."""
    reason = DIFFERENT[direction].get(name)
    if reason:
        expected = {k: v for k, v in expected.items() if k != "losses"}
    return trips.differences(expected, found) or (f"ok, but for losses: {reason}" if reason else "ok")


def columns(names: list[str] | None = None) -> dict[str, dict[str, str]]:
    """The table: direction -> kind -> verdict."""
    names = every() if names is None else names
    there, back = DIFFERENT
    table = {d: {name: f"- {absent(name, d)}" for name in names if absent(name, d)} for d in DIFFERENT}
    for backend in ("torch", "tensorflow"):
        group = [name for name in names if (name in NOT_ON_TORCH) == (backend != "torch")]
        ours, theirs = ([name for name in group if name not in table[direction]] for direction in DIFFERENT)
        if not ours and not theirs:
            continue
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            written = write(Path(one), ours)
            found = run_keras3({"read": (one, ours), "write": (other, theirs)}, backend)
            table[there] |= {name: verdict(there, name, written[name], found["read"][name]) for name in ours}
            read_back = read(Path(other), theirs)
            table[back] |= {name: verdict(back, name, found["write"][name], read_back[name]) for name in theirs}
    return {direction: {name: column[name] for name in names} for direction, column in table.items()}


def main() -> int:
    """The command line; exits with 1 when a trip fails."""
    import kcore

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="kinds whose name matches")
    parser.add_argument("--backend", default="numpy", help="kcore's backend")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with kcore.backend_scope(options.backend):
        table = columns([name for name in every() if re.search(options.match, name)])
    print("| kind | " + " | ".join(table) + " |\n|---|" + "---|" * len(table))
    for name in next(iter(table.values())):
        print("| " + " | ".join([name, *(column[name] for column in table.values())]) + " |")
    failed = 0
    for direction, column in table.items():
        good, gone = (sum(text.startswith(start) for text in column.values()) for start in ("ok", "-"))
        failed += len(column) - good - gone
        print(f"{direction}: {good} ok, {gone} do not exist, {len(column) - good - gone} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
