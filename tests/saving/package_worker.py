"""One package's part of a round trip; runs by that package's own Python (3.7 for Keras 2.3.1).

    python package_worker.py MODULE write FOLDER SUFFIX kind ...     # MODULE: kcore, keras or tf_keras
    python package_worker.py MODULE read FOLDER SUFFIX kind ...

`write` makes each kind, trains it for two steps, and leaves the model, its JSON and YAML text, its weights, and
`<kind>.npz` with its predictions and its next three losses. `read` loads all that and prints one line of JSON: kind ->
what differs, an empty list where nothing does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import warnings

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

#: Predictions and losses of two packages agree so far, absolutely and relatively.
TOLERANCE = 1e-5


def write(keras, kinds, folder, suffix, name):
    """Leave all files of a kind."""
    model = kinds.prepared(keras, name)
    kind, batch = kinds.KINDS[name], kinds.data(name)
    place = os.path.join(folder, name)
    predictions = kinds.predict(model, batch)
    model.save(place + suffix)
    model.save_weights(place + "_weights" + suffix)
    for text in ("json", "yaml"):
        _write_text(model, place, text)
    if kind.stateful:
        model.reset_states()
    found = kinds.losses(model, batch) if kind.compiled else []
    np.savez(place + ".npz", *predictions, losses=np.asarray(found))


def _write_text(model, place, kind):
    try:
        content = getattr(model, "to_" + kind)()
    except (AttributeError, RuntimeError, NotImplementedError):  # the newer packages have no YAML
        return
    with open(place + "." + kind, "w") as file:
        file.write(content)


def read(keras, kinds, folder, suffix, name):
    """Load all files of a kind; what differs from what their writer said, as a list of texts."""
    kind, batch = kinds.KINDS[name], kinds.data(name)
    place = os.path.join(folder, name)
    with np.load(place + ".npz") as file:
        expected = [file["arr_%d" % i] for i in range(len(file.files) - 1)]
        losses = file["losses"]
    objects = kind.objects(keras)
    wrong = []
    model = keras.models.load_model(place + suffix, custom_objects=objects)
    wrong += _differences("predictions", expected, kinds.predict(model, batch))
    for text in ("json", "yaml"):
        again = _from_text(keras, place, text, objects)
        if again is not None:
            again.load_weights(place + "_weights" + suffix)
            wrong += _differences("predictions by " + text, expected, kinds.predict(again, batch))
    if kind.compiled and not kind.random:
        if kind.stateful:
            model.reset_states()
        wrong += _differences("losses", [losses], [np.asarray(kinds.losses(model, batch))])
    return wrong


def _from_text(keras, place, kind, objects):
    reader = getattr(keras.models, "model_from_" + kind, None)
    if reader is None or not os.path.exists(place + "." + kind):
        return None
    with open(place + "." + kind) as file:
        content = file.read()
    try:
        return reader(content, custom_objects=objects)
    except RuntimeError:  # tf_keras has the name, and says that it reads no YAML
        return None


def _differences(what, expected, found):
    if len(expected) != len(found):
        return ["%s: %d arrays for %d" % (what, len(found), len(expected))]
    wrong = []
    for one, other in zip(expected, found):
        if one.shape != other.shape:
            wrong.append("%s: shape %s for %s" % (what, other.shape, one.shape))
            continue
        difference = np.max(np.abs(one - other) / (1 + np.abs(one))) if one.size else 0.0
        if not difference <= TOLERANCE:
            wrong.append("%s: off by %.1e" % (what, difference))
    return wrong


def order_updates(keras):
    """Have Keras 2.3.1 compute a step from the values before it, as its formulas say.

    On TensorFlow 1 it may read counters after their own increment. Here they are written after everything else.
    """
    from keras import backend, optimizers

    tf = importlib.import_module("tensorflow")

    def ordered(get_updates):
        def wrapper(self, loss, params):
            late = []
            add = backend.update_add
            backend.update_add = lambda x, by: late.append((x, by))
            try:
                updates = get_updates(self, loss, params)
            finally:
                backend.update_add = add
            now = [u for u in updates if u is not None and not isinstance(u, tuple)]
            late = [(x, x + by) for x, by in late] + [u for u in updates if isinstance(u, tuple)]
            values = [tf.identity(value) for _, value in late]
            with tf.control_dependencies(now + values):
                return now + [tf.assign(x, value) for (x, _), value in zip(late, values)]

        return wrapper

    for cls in vars(optimizers).values():
        if isinstance(cls, type) and "get_updates" in vars(cls):
            cls.get_updates = ordered(cls.get_updates)


def main(module, action, folder, suffix, *names):
    """The command line."""
    warnings.simplefilter("ignore")
    keras = importlib.import_module(module)
    kinds = importlib.import_module("kinds")
    if kinds.package(keras) == "keras2":
        order_updates(keras)
    results = {}
    for name in names:
        keras.backend.clear_session()
        try:
            results[name] = {"write": write, "read": read}[action](keras, kinds, folder, suffix, name) or []
        except Exception as error:
            text = str(error).strip().split("\n")
            results[name] = ["%s: %s" % (type(error).__name__, text[0][:200])]
            if os.environ.get("TRACE"):
                traceback.print_exc()
    print("RESULTS " + json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
