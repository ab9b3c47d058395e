"""Run in a process of its own, on a backend whose two CPUs are "/cpu:0" and "/cpu:1": prints what ran where as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

import kcore
from kcore import backend as K
from kcore import layers
from kcore.backend import active
from kcore.errors import BackendError


def split_cpu(name: str) -> Callable[[Any], str]:
    """Make two devices of the CPU; returns a function that tells a native tensor's device."""
    if name == "jax":
        import jax

        assert len(jax.devices()) == 2  # by XLA_FLAGS
        return lambda x: f"/cpu:{next(iter(x.devices())).id}"
    import tensorflow as tf

    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    return lambda x: "/" + x.device.rsplit("/device:")[-1].lower()


def ran_on(where: Callable[[Any], str], inputs: list[Any], outputs: list[Any]) -> list[str]:
    """The devices of a function's results."""
    f = K.function(inputs, outputs)
    return [where(x) for x in f.run_native([np.ones((2, 3), "float32")] * len(inputs), 0)]


def graphs(where: Callable[[Any], str]) -> dict[str, Any]:
    """Ops in no, in one, and in several scopes."""
    x = K.placeholder((2, 3))
    with kcore.device_scope("cpu:1"):
        on_one = K.exp(x) * 2.0
        with kcore.device_scope("/cpu:0"):
            on_zero = on_one + 1.0
        on_one_again = on_zero * 3.0
    with kcore.device_scope("/device:CPU:1"):
        at_once = where(active.backend().kernels["add"](*[active.backend().asarray(np.ones(2))] * 2))
    several = K.function([x], [on_one_again])
    values = several([np.zeros((2, 3))])[0]
    # Where kernels were called, in order: a compiled function may hand its results over elsewhere.
    kernels = [f"/cpu:{n}" for n in re.findall(r"= k_\w+?_on_cpu_(\d)\(", several.source())]
    return {
        "unplaced": ran_on(where, [x], [K.exp(x)]),
        "one": ran_on(where, [x], [on_one]),
        "kernels": kernels,
        "at_once": at_once,
        "values": values.tolist(),
        "gradient": K.function([x], K.gradients(K.sum(on_one_again), [x]))([np.zeros((2, 3))])[0].tolist(),
    }


def trained(where: Callable[[Any], str], first: str | None, second: str | None) -> dict[str, Any]:
    """A small model, each layer on a device of its own or on none: where its weights are, and its losses."""
    K.clear_session()
    kcore.random.set_random_seed(3)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    model = kcore.Sequential()
    for units, device in ((5, first), (1, second)):
        with nullcontext() if device is None else kcore.device_scope(device):
            layer = layers.Dense(units, activation="tanh")
        if units == 5:
            model.add(kcore.layers.InputLayer((4,)))
        model.add(layer)  # outside of the scope: the layer remembers
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False).history
    scores = model.evaluate(x, y, verbose=0)
    weights = [where(w.state(active.backend())) for w in model.weights]
    late = model.layers[0](K.placeholder((None, 4)))  # a layer stays where it was made
    assert late.node.device == first
    return {"weights": weights, "loss": history["loss"], "scores": scores,
            "predictions": model.predict(x[:2]).tolist()}  # fmt: skip


def main(name: str) -> None:
    """Report what the tests look at."""
    where = split_cpu(name)
    with kcore.backend_scope(name):
        report: dict[str, Any] = {"devices": active.backend().devices(), "graphs": graphs(where)}
        for label, first, second in (
            ("plain", None, None),
            ("whole", "/cpu:1", "/cpu:1"),
            ("half", "/cpu:1", None),
            ("both", "/cpu:0", "/cpu:1"),
        ):
            report[label] = trained(where, first, second)
        try:
            with kcore.device_scope("/gpu:3"):
                pass
        except BackendError as error:
            report["error"] = str(error)
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
