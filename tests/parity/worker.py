"""One backend's part of the parity tests, in a process of its own: trains, draws, and reports in JSON.

With the argument `again` it does only what must be the same in another process of the same backend.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import kcore
from kcore import backend as K

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


def digest(arrays: list[np.ndarray]) -> str:
    """A fingerprint of arrays, bit for bit."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def train(steps: int, dropout: float) -> dict[str, object]:
    """Losses of the first steps, fingerprints of the weights before and after."""
    import digits

    K.clear_session()
    kcore.random.set_random_seed(5)
    (x, y), _ = digits.load()
    model = digits.convnet(dropout)
    before = digest(model.get_weights())
    order = np.random.RandomState(0).permutation(len(x))
    losses = []
    for i in range(steps):
        rows = order[(32 * i) % 1400 : (32 * i) % 1400 + 32]
        losses.append(float(model.train_on_batch(x[rows], y[rows])[0]))
    return {"initial": before, "final": digest(model.get_weights()), "losses": losses}


def noisy_model() -> Any:
    """An MLP behind a recurrent layer, with every kind of random layer."""
    from kcore import layers

    return kcore.Sequential([
        layers.LSTM(6, dropout=0.3, recurrent_dropout=0.3, input_shape=(4, 3)),
        layers.GaussianNoise(0.2), layers.Dense(8, activation="tanh"), layers.Dropout(0.5),
        layers.GaussianDropout(0.3), layers.AlphaDropout(0.2), layers.Dense(1),
    ])  # fmt: skip


def train_noisily() -> dict[str, object]:
    """The losses of shuffled batches, a fingerprint of the weights after them."""
    kcore.backend.clear_session()
    kcore.random.set_random_seed(11)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4, 3)).astype("float32"), rng.normal(size=(24, 1)).astype("float32")
    model = noisy_model()
    model.compile("adam", "mse")
    losses: list[float] = []
    gather = kcore.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: losses.append(float(logs["loss"])))
    model.fit(x, y, batch_size=8, epochs=2, shuffle=True, verbose=0, callbacks=[gather])
    return {"losses": losses, "final": digest(model.get_weights())}


def draws() -> dict[str, object]:
    """What K draws in two calls of a function, in nested loops, and at once: exact draws' fingerprint, normal draws."""
    K.clear_session()
    shape, x = (7, 3), K.placeholder((None, 3))
    exact = [
        K.random_uniform(shape, seed=1), K.random_uniform(shape, -3.0, 2.7, seed=2), K.dropout(x, 0.3, seed=3),
        K.random_uniform(shape, -5, 9, dtype="int32", seed=4), K.random_binomial(shape, 0.3, seed=5),
        K.random_uniform(K.shape(x), 1.0, 2.0, dtype="float16", seed=6),
        K.map_fn(lambda row: K.map_fn(lambda e: e + K.random_uniform((2,), seed=7), row, dtype="float32"), x),
    ]  # fmt: skip
    normal = [K.random_normal(shape, seed=1), K.truncated_normal(shape, 1.0, 2.0, seed=2)]
    f = K.function([x], [*exact, *normal])
    zeros = np.zeros(shape, "float32")
    results = [*f([zeros]), *f([zeros])]
    at_once = np.asarray(K.dropout(K.eval(K.ones(shape)), 0.5, seed=8))
    n = len(exact)
    nested = results[n - 1]
    return {
        "exact": digest([*results[:n], *results[n + 2 : -2], at_once]),
        "normal": [a.tolist() for a in (*results[n : n + 2], *results[-2:])],
        "different": len(set(nested.ravel().tolist())) == nested.size,
    }


def main() -> None:
    """Report what the tests compare."""
    report: dict[str, object] = {"dropout": train(12, 0.25), "noisy": train_noisily()}
    if sys.argv[1:] != ["again"]:
        report.update(dropout_again=train(12, 0.25), noisy_again=train_noisily(), plain=train(50, 0.0))
        with kcore.random.portable():
            report["portable"] = {"dropout": train(12, 0.25), "noisy": train_noisily(), "draws": draws()}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
