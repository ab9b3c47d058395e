"""Model kinds: small compiled models that kcore and every Keras package build by the same code.

    model = KINDS["lstm"].build(keras)      # `keras`: kcore, Keras 2.3.1, tf_keras or Keras 3, the module
    batch = data("lstm")                    # {"x": [...], "y": [...], "sample_weight": None or an array}
    objects = KINDS["lstm"].objects(keras)  # custom_objects for loading it

This file runs on Python 3.7 too, where Keras 2.3.1 lives. `Kind.absent` says in which packages a kind does not exist.
The builders are in `kinds_plain`, `kinds_sequence`, `kinds_graph` and `kinds_training`.
"""

from __future__ import annotations

import zlib

import numpy as np

BATCH = 8
PACKAGES = ("kcore", "keras2", "tf_keras", "keras3")

#: Why kinds are missing in packages; the texts are shown in the table of `roundtrip.py`.
GONE = "the layer is gone there"
NO_GPU = "runs on GPUs alone there"
NO_CPU_NCHW = "no kernels for channels_first on CPUs there"


class Kind(object):  # noqa: UP004 - a plain class says the same on every Python
    """One kind of model.

    Attributes:
        name: of the kind.
        build: `build(keras)` -> the model, compiled unless the kind says otherwise.
        inputs, targets: one spec for each: a shape (float data), `ids(shape, n)`, `classes(n)`, `labels(n)`.
        absent: package -> why it has no such kind.
        objects: `objects(keras)` -> custom_objects for loading the model.
        random: its training steps draw random numbers, so losses of two packages differ.
        compiled: False for models that are only predicted with.
        stateful: predictions depend on those before; reset the states first.
        sample_weight: shape of weights that training takes, without the batch axis.
    """

    def __init__(self, name, build, inputs, targets, absent, objects, **traits):
        self.name, self.build, self.inputs, self.targets = name, build, inputs, targets
        self.absent = absent or {}
        self.objects = objects or (lambda keras: {})
        self.random = traits.pop("random", False)
        self.compiled = traits.pop("compiled", True)
        self.stateful = traits.pop("stateful", False)
        self.sample_weight = traits.pop("sample_weight", None)
        if traits:
            raise TypeError(f"unknown traits: {sorted(traits)}")

    def exists_in(self, package):
        """Whether a package (of PACKAGES) can build this kind."""
        return package not in self.absent


#: All kinds by name.
KINDS = {}


def kind(inputs, targets, absent=None, objects=None, **traits):
    """Decorate a builder; its function's name becomes the kind's."""

    def register(build):
        KINDS[build.__name__] = Kind(build.__name__, build, inputs, targets, absent, objects, **traits)
        return build

    return register


def package(keras):
    """Which of PACKAGES a module is."""
    if keras.__name__ in ("kcore", "tf_keras"):
        return keras.__name__
    return "keras3" if int(keras.__version__.split(".")[0]) >= 3 else "keras2"


def ops(keras):
    """Where a package keeps tensor functions that custom code calls."""
    return keras.ops if package(keras) == "keras3" else keras.backend


def ids(shape, n):
    """Integer inputs below `n`, with zeros at the end of each row."""
    return ("ids", shape, n)


def classes(n):
    """One-hot targets."""
    return ("classes", (n,), n)


def labels(n):
    """Integer targets."""
    return ("labels", (1,), n)


def data(name, batch=BATCH):
    """The batch of a kind, the same in every process: {"x": arrays, "y": arrays, "sample_weight": array or None}."""
    k = KINDS[name]
    rng = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    x = [_draw(rng, spec, batch) for spec in k.inputs]
    y = [_draw(rng, spec, batch) for spec in k.targets]
    weight = None if k.sample_weight is None else rng.uniform(0.2, 2.0, (batch,) + k.sample_weight)  # noqa: RUF005
    return {"x": x, "y": y, "sample_weight": weight}


def _draw(rng, spec, batch):
    what, shape, n = spec if isinstance(spec[0], str) else ("floats", spec, 0)
    shape = (batch,) + tuple(shape)  # noqa: RUF005 - read by formatters of Python 3.7
    if what == "floats":
        return rng.uniform(-1, 1, shape).astype("float32")
    if what == "classes":
        return np.eye(n, dtype="float32")[rng.randint(0, n, batch)]
    if what == "labels":
        return rng.randint(0, n, shape).astype("float32")
    values = rng.randint(1, n, shape)
    lengths = rng.randint(1, shape[1] + 1, batch)
    return (values * (np.arange(shape[1]) < lengths[:, None])).astype("int32")


def stir(model, seed=0):
    """Make no weight keep its initial zeros or ones, so that lost ones show. Variances stay positive."""
    rng = np.random.RandomState(seed)
    model.set_weights([np.asarray(w + 0.2 * rng.uniform(0, 1, w.shape), w.dtype) for w in model.get_weights()])


def predict(model, batch):
    """Predictions as a list of arrays."""
    for layer in [model] if hasattr(model, "reset_states") else model.layers:  # Keras 3 asks the layers themselves
        for name in ("reset_states", "reset_state"):
            if hasattr(layer, name) and (layer is model or getattr(layer, "stateful", False)):
                getattr(layer, name)()
    found = model.predict(_one_or_list(batch["x"]), batch_size=len(batch["x"][0]), verbose=0)
    return [np.asarray(a) for a in (found if isinstance(found, (list, tuple)) else [found])]


def losses(model, batch, steps=3):
    """The losses of the next training steps."""
    found = []
    for _ in range(steps):
        if hasattr(model, "reset_metrics"):
            model.reset_metrics()  # the newer packages report a mean over steps
        value = model.train_on_batch(_one_or_list(batch["x"]), _one_or_list(batch["y"]),
                                     sample_weight=batch["sample_weight"])  # fmt: skip
        found.append(float(np.ravel(np.asarray(value[0] if isinstance(value, (list, tuple)) else value))[0]))
    return found


def prepared(keras, name, steps=2):
    """A model of the kind with stirred weights and some steps of training behind it."""
    model = KINDS[name].build(keras)
    stir(model)
    if steps and KINDS[name].compiled:
        losses(model, data(name), steps)
    return model


def _one_or_list(arrays):
    return arrays[0] if len(arrays) == 1 else arrays


# The builders register themselves above.
import kinds_graph  # noqa: E402, F401
import kinds_plain  # noqa: E402, F401
import kinds_sequence  # noqa: E402, F401
import kinds_training  # noqa: E402, F401
