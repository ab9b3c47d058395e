"""What `load_weights` does in each case, in kcore or in Keras 2.3.1 (Python 3.7): prints one line of JSON.

    python by_name_worker.py MODULE FOLDER
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def models(keras):
    """Models that fit the file in every degree: name -> a function that makes it."""
    L = keras.layers

    def chain(*layers):
        return lambda: keras.models.Sequential([make() for make in layers])

    def first(units=4, **kwargs):
        return lambda: L.Dense(units, input_shape=(5,), name="first", **kwargs)

    def conv():
        return lambda: L.Conv2D(3, (2, 3), input_shape=(6, 6, 2), name="conv")

    return {
        "same": chain(first(), lambda: L.BatchNormalization(name="norm"), lambda: L.Dense(2, name="last")),
        "other_names": chain(lambda: L.Dense(4, input_shape=(5,), name="a"), lambda: L.BatchNormalization(name="b"),
                             lambda: L.Dense(2, name="c")),
        "fewer_layers": chain(first(), lambda: L.Dense(2, name="last")),
        "more_layers": chain(first(), lambda: L.BatchNormalization(name="norm"), lambda: L.Dense(2, name="last"),
                             lambda: L.Dense(2, name="more")),
        "other_units": chain(first(3), lambda: L.BatchNormalization(name="norm"), lambda: L.Dense(2, name="last")),
        "no_bias": chain(first(use_bias=False), lambda: L.BatchNormalization(name="norm"),
                         lambda: L.Dense(2, name="last")),
        "no_weights": chain(first(), lambda: L.Dropout(0.1, name="norm"), lambda: L.BatchNormalization(name="x"),
                            lambda: L.Dense(2, name="last")),
        "other_kinds": chain(lambda: L.Dense(4, input_shape=(5,), name="norm"),
                             lambda: L.BatchNormalization(name="first"), lambda: L.Dense(2, name="last")),
        "conv": chain(conv(), L.Flatten, lambda: L.Dense(2, name="last")),
        "conv_turned": chain(lambda: L.Conv2D(3, (3, 2), input_shape=(6, 6, 2), name="conv"), L.Flatten,
                             lambda: L.Dense(2, name="last")),
        "conv_larger": chain(lambda: L.Conv2D(4, (2, 3), input_shape=(6, 6, 2), name="conv"), L.Flatten,
                             lambda: L.Dense(2, name="last")),
    }  # fmt: skip


def weights_of(model, start):
    """Weights that tell where they come from."""
    values = model.get_weights()
    at = np.cumsum([0] + [w.size for w in values])
    return [(start + at[i] + np.arange(w.size)).reshape(w.shape).astype("float32") for i, w in enumerate(values)]


def outcome(model, path, **options):
    """The weights afterwards, or the kind of error; and how many warnings there were."""
    model.set_weights(weights_of(model, -1000))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            model.load_weights(path, **options)
        except Exception as error:
            return "ValueError" if isinstance(error, ValueError) else type(error).__name__
    about = [w for w in told if "kipping" in str(w.message)]
    return [[w.ravel().tolist() for w in model.get_weights()], bool(about)]


def main(module, folder):
    """The command line."""
    keras = importlib.import_module(module)
    made = models(keras)
    for name in ("same", "conv"):
        model = made[name]()
        model.set_weights(weights_of(model, 1))
        model.save_weights(os.path.join(folder, name + ".h5"))
    results = {}
    for stored in ("same", "conv"):
        for name, make in made.items():
            for by_name in (False, True):
                for skip_mismatch in (False, True):
                    for reshape in (False, True):
                        options = {"by_name": by_name, "skip_mismatch": skip_mismatch, "reshape": reshape}
                        key = "%s into %s %s" % (stored, name, sorted(k for k, v in options.items() if v))
                        keras.backend.clear_session()
                        results[key] = outcome(make(), os.path.join(folder, stored + ".h5"), **options)
    print("RESULTS " + json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
