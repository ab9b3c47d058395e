"""Keras 3's part of a round trip, in a process of its own.

    python keras3_worker.py JOBS

JOBS is JSON: {"write": [folder, [name, ...]], "read": [folder, [name, ...]]}. `write` leaves files of models that it
makes, `read` loads files that lie there; both leave predictions and the losses of the next steps in
`FOLDER/<action>.json`. Each name is a kind (`kinds.KINDS`) or a model of
`keras3_models`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import keras
import numpy as np
import trips


def keras2_hard_sigmoid(x):
    """What kcore writes as `kcore>hard_sigmoid`."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def write(folder: str, name: str) -> dict:
    """Make a model, train it, leave its files."""
    made = trips.made(keras, name)
    place = os.path.join(folder, name)
    made.save(f"{place}.keras")
    made.save_weights(f"{place}.weights.h5")
    return trips.results(made, name)


def read(folder: str, name: str) -> dict:
    """Load the files; the weights also alone, into the model with zeros for weights."""
    place = os.path.join(folder, name)
    objects = {"kcore>hard_sigmoid": keras2_hard_sigmoid, **trips.objects(keras, name)}
    loaded = keras.models.load_model(f"{place}.keras", custom_objects=objects)
    before = loaded.get_weights()
    loaded.set_weights([np.zeros_like(w) for w in before])
    loaded.load_weights(f"{place}.weights.h5")
    same = all(np.array_equal(a, b) for a, b in zip(before, loaded.get_weights()))
    return {**trips.results(loaded, name), "weights alone": same}


def run(action: str, folder: str, names: list[str]) -> None:
    """Do one job."""
    found = {}
    for name in names:
        keras.utils.clear_session()
        try:
            found[name] = {"write": write, "read": read}[action](folder, name)
        except Exception as error:  # noqa: BLE001 - told in the table
            found[name] = {"error": f"{type(error).__name__}: {str(error)[-400:]}"}
            if os.environ.get("TRACE"):
                traceback.print_exc()
    with open(os.path.join(folder, f"{action}.json"), "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for job, (place, kinds_of_models) in json.loads(sys.argv[1]).items():
        run(job, place, kinds_of_models)
