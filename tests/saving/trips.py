"""What both sides of a round trip with Keras 3 do: make a model by name, predict, take the next steps of training."""

from __future__ import annotations

from typing import Any

import keras3_models
import kinds
import numpy as np


def made(keras: Any, name: str) -> Any:
    """The model of a name, trained for two steps."""
    if name in kinds.KINDS:
        return kinds.prepared(keras, name)
    model = keras3_models.MODELS[name][0](keras)
    losses(model, name, 2)
    return model


def objects(keras: Any, name: str) -> dict[str, Any]:
    """The custom objects to load it with."""
    return dict(kinds.KINDS[name].objects(keras)) if name in kinds.KINDS else {}


def results(model: Any, name: str) -> dict[str, Any]:
    """Predictions and the next three losses, as plain data."""
    if name in kinds.KINDS:
        kind, batch = kinds.KINDS[name], kinds.data(name)
        found = {"predictions": [a.tolist() for a in kinds.predict(model, batch)]}
        if kind.compiled and not kind.random:
            kinds.predict(model, batch)  # stateful ones start from where this ends
            found["losses"] = kinds.losses(model, batch)
        return found
    predictions = model.predict(_fed(model, keras3_models.data(name)[0]), verbose=0)
    listed = [predictions[key] for key in sorted(predictions)] if isinstance(predictions, dict) else predictions
    listed = list(listed) if isinstance(listed, (list, tuple)) else [listed]
    return {"predictions": [np.asarray(a, "float32").tolist() for a in listed], "losses": losses(model, name, 3)}


def losses(model: Any, name: str, steps: int) -> list[float]:
    """Losses of the next steps of a model of `keras3_models`."""
    x, y = keras3_models.data(name)
    found = []
    for _ in range(steps):
        if hasattr(model, "reset_metrics"):
            model.reset_metrics()
        value = model.train_on_batch(_fed(model, x), _fed(model, y, outputs=True))
        found.append(float(np.ravel(np.asarray(value[0] if isinstance(value, (list, tuple)) else value))[0]))
    return found


def _fed(model: Any, arrays: list[np.ndarray], *, outputs: bool = False) -> Any:
    """Arrays as the model takes them: one, a list, or by the names of Keras 3's dictionaries."""
    structure = getattr(model, "_outputs_struct" if outputs else "_inputs_struct", None)
    if isinstance(structure, dict):
        return dict(zip(sorted(structure), arrays))
    return arrays[0] if len(arrays) == 1 else arrays


def differences(expected: dict[str, Any], found: dict[str, Any], tolerance: float = 1e-5) -> str:
    """What differs between two results; nothing where they agree."""
    for side in (expected, found):
        if "error" in side:
            return side["error"]
    wrong = []
    if found.get("weights alone") is False:
        wrong.append("other weights in .weights.h5")
    for what in ("predictions", "losses"):
        one, other = expected.get(what), found.get(what)
        if one is None:
            continue
        if other is None or len(one) != len(other):
            wrong.append(f"{what}: {other and len(other)} for {len(one)}")
            continue
        errors = [_error(a, b) for a, b in zip(one, other)]
        if not max(errors) <= tolerance:
            wrong.append(f"{what} off by {max(errors):.1e}")
    return "; ".join(wrong)


def _error(one: Any, other: Any) -> float:
    a, b = np.asarray(one), np.asarray(other)
    return float(np.max(np.abs(a - b) / (1 + np.abs(a)))) if a.shape == b.shape else np.inf
