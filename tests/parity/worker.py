"""One backend's part of the parity tests, in a process of its own: trains the digits model and reports in JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


def digest(arrays: list[np.ndarray]) -> str:
    """A fingerprint of arrays, bit for bit."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def train(steps: int, dropout: float) -> dict[str, object]:
    """Losses of the first steps, fingerprints of the weights before and after."""
    import digits

    import kcore as keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    (x, y), _ = digits.load()
    model = digits.convnet(dropout)
    before = digest(model.get_weights())
    order = np.random.RandomState(0).permutation(len(x))
    losses = []
    for i in range(steps):
        rows = order[(32 * i) % 1400 : (32 * i) % 1400 + 32]
        losses.append(float(model.train_on_batch(x[rows], y[rows])[0]))
    return {"initial": before, "final": digest(model.get_weights()), "losses": losses}


def main() -> None:
    """Report what the tests compare."""
    report = {
        "plain": train(50, 0.0),
        "dropout": train(12, 0.25),
        "dropout_again": train(12, 0.25),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
