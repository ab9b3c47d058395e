"""What `compile` was told: Keras 3's `compile_config` to kcore's arguments and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kcore import losses, metrics
from kcore.losses import Loss
from kcore.metrics import Metric
from kcore.saving.keras3 import names
from kcore.saving.keras3.optimizer import by_name, from_keras3
from kcore.utils.custom_objects import get_registered_name

if TYPE_CHECKING:
    from kcore.saving.keras3.reading import ConfigReader

#: Arguments of losses and metrics in Keras 3 that kcore's lack, with the values that mean what kcore does.
_NEUTRAL: Final = {
    "axis": -1, "ignore_class": None, "multi_label": False, "num_labels": None, "label_weights": None,
    "from_logits": False, "class_id": None, "dtype": None, "sparse_y_true": True, "sparse_y_pred": True,
}  # fmt: skip
_REDUCTIONS: Final = {"sum_over_batch_size": "sum_over_batch_size", "sum": "sum", "none": "none", None: "none",
                      "auto": "sum_over_batch_size"}  # fmt: skip
_STRUCTURES: Final = ("loss", "metrics", "weighted_metrics", "loss_weights")


# --- reading ----------------------------------------------------------------------------------------------------------


def compile_arguments(reader: ConfigReader, config: Any, outputs: Mapping[str, str]) -> dict[str, Any]:
    """Arguments for `model.compile`, the optimizer as a configuration or a custom object.

    Args:
        reader: of the file.
        config: Keras 3's `compile_config`.
        outputs: keys of the model's outputs, where they are a dictionary, to the layers that make them.
    """
    if not isinstance(config, Mapping):
        raise reader.broken("'compile_config' is no dictionary")
    found: dict[str, Any] = {"optimizer": _optimizer(reader, config.get("optimizer") or "rmsprop")}
    for key in _STRUCTURES:
        value = config.get(key)
        if isinstance(value, Mapping) and "class_name" not in value:
            value = {outputs.get(k, k): v for k, v in value.items()}
        found[key] = _measures(reader, value, "loss" if key == "loss" else "metric")
    if isinstance(found["loss_weights"], (int, float)):
        found["loss_weights"] = [found["loss_weights"]]
    for key in ("metrics", "weighted_metrics"):
        if found[key] is not None and not isinstance(found[key], (list, dict)):
            found[key] = [found[key]]
    return found


def _optimizer(reader: ConfigReader, entry: Any) -> Any:
    if isinstance(entry, str):
        if entry in reader.custom:
            return {"class_name": entry, "config": {}}
        return from_keras3(reader.name, by_name(entry), {})
    kind, config, _ = reader._fields(entry)
    custom = reader.custom_name(entry)
    if custom is not None:
        return {"class_name": custom, "config": reader.value(config)}
    if not isinstance(config, Mapping):
        raise reader.broken(f"the configuration of the optimizer {kind!r} is no dictionary")
    return from_keras3(reader.name, kind, config)


def _measures(reader: ConfigReader, value: Any, what: str) -> Any:
    """Losses or metrics in their nests of lists and dictionaries."""
    if isinstance(value, list):
        return [_measures(reader, v, what) for v in value]
    if isinstance(value, str):
        return _by_name(reader, value, what)
    if not isinstance(value, Mapping):
        return value
    if "class_name" not in value:
        return {k: _measures(reader, v, what) for k, v in value.items()}
    if value["class_name"] == "function":
        return _by_name(reader, reader.function(value), what)
    return _object(reader, value, what)


def _by_name(reader: ConfigReader, name: str, what: str) -> Any:
    custom = reader.custom
    if name in custom:
        return custom[name]
    own = (names.LOSSES if what == "loss" else names.METRICS).get(name, name)
    known = losses._KNOWN if what == "loss" else metrics._KNOWN
    if own in known or (what == "metric" and own in ("accuracy", "acc", "crossentropy", "ce")):
        return own
    for candidate in known:  # Keras 3 also takes the classes' names in lower case
        if candidate[:1].isupper() and _snake(candidate) == own:
            return candidate
    raise reader.unknown(what, name, list(known))


def _snake(name: str) -> str:
    from kcore.saving.keras3.store import snake_case

    return snake_case(name)


def _object(reader: ConfigReader, entry: Mapping[str, Any], what: str) -> Any:
    kind, config, module = reader._fields(entry)
    custom = reader.custom_name(entry)
    room = losses if what == "loss" else metrics
    if custom is not None:
        return room.deserialize({"class_name": custom, "config": reader.value(config)}, reader.custom)
    if not isinstance(config, Mapping):
        raise reader.broken(f"the configuration of the {what} {kind!r} is no dictionary")
    if what == "loss" and kind == "CosineSimilarity":
        kept = {k: v for k, v in config.items() if k in ("name", "reduction", "axis")}
        reduction = _reduction(reader, kept.pop("reduction", "sum_over_batch_size"))
        return losses.LossFunctionWrapper(losses.cosine_proximity, reduction=reduction, **kept)
    if kind == "MeanMetricWrapper" or (what == "loss" and kind == "LossFunctionWrapper"):
        return _by_name(reader, str(reader.value(config.get("fn"))), what)
    cls = room._KNOWN.get(kind)
    if not isinstance(cls, type) or module.split(".")[0] not in ("keras", "kcore", ""):
        raise reader.unknown(what, entry.get("registered_name") or kind, list(room._KNOWN))
    kept = {k: reader.value(v) for k, v in config.items() if k != "fn"}  # tf.keras names the class's function too
    if "reduction" in kept:
        kept["reduction"] = _reduction(reader, kept["reduction"])
    taken = _parameters(cls)
    for key in [k for k in kept if k not in taken]:
        if key not in _NEUTRAL or (kept[key] != _NEUTRAL[key] and key != "dtype"):
            raise reader.unknown(
                "argument", key, advice=f"It is an argument of {kind}; kcore's takes {', '.join(sorted(taken))}."
            )
        del kept[key]
    return cls(**kept)


def _reduction(reader: ConfigReader, name: Any) -> str:
    if name not in _REDUCTIONS:
        raise reader.unknown("reduction", name, advice=f"Known: {', '.join(sorted(map(str, _REDUCTIONS)))}.")
    return _REDUCTIONS[name]


def _parameters(cls: Any) -> set[str]:
    return {p for p in inspect.signature(cls.__init__).parameters if p not in ("self", "args", "kwargs")}


# --- writing ----------------------------------------------------------------------------------------------------------


def compile_config(model: Any, optimizer: Any) -> dict[str, Any]:
    """Keras 3's `compile_config` of a compiled model.

    Args:
        model: the model.
        optimizer: Keras 3's configuration of its optimizer.
    """
    outputs = list(model.output_names or ()) if getattr(model, "outputs", None) else [""]
    loss = model.loss if model.loss != {} else None
    return {
        "optimizer": optimizer,
        "loss": _written(_for_each(loss, outputs), "loss"),
        "loss_weights": _unpacked(model.loss_weights, outputs),
        "metrics": _written(_metrics_for_each(model._compile_metrics, outputs), "metric"),
        "weighted_metrics": _written(_metrics_for_each(model._compile_weighted_metrics, outputs), "metric"),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": False,
    }


def _for_each(value: Any, outputs: Sequence[str]) -> Any:
    """One loss for several outputs as a list; a list for one output as its item."""
    if isinstance(value, (list, tuple)):
        return value[0] if len(outputs) == 1 and len(value) == 1 else list(value)
    if value is None or isinstance(value, Mapping) or len(outputs) == 1:
        return value[outputs[0]] if isinstance(value, Mapping) and list(value) == [outputs[0]] == outputs else value
    return [value] * len(outputs)


def _metrics_for_each(value: Any, outputs: Sequence[str]) -> Any:
    if not value:
        return None
    if len(outputs) == 1:
        if isinstance(value, Mapping):
            found = value.get(outputs[0], [])
            return list(found) if isinstance(found, (list, tuple)) else [found]
        flat = [item for v in value for item in (v if isinstance(v, (list, tuple)) else [v])]
        return flat or None
    if isinstance(value, Mapping):
        return {k: v if isinstance(v, (list, tuple)) else [v] for k, v in value.items()}
    if any(isinstance(v, (list, tuple)) for v in value):
        return [v if isinstance(v, (list, tuple)) else [v] for v in value]
    return [list(value) for _ in outputs]


def _unpacked(value: Any, outputs: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {k: float(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return float(value[0]) if len(outputs) == 1 and len(value) == 1 else [float(v) for v in value]
    return value


def _written(value: Any, what: str) -> Any:
    if isinstance(value, Mapping) and "class_name" not in value:
        return {k: _written(v, what) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(v, what) for v in value]
    if value is None:
        return None
    back = names.LOSSES_BACK if what == "loss" else names.METRICS_BACK
    room = losses if what == "loss" else metrics
    if isinstance(value, str):
        return back.get(value, value)
    if isinstance(value, Mapping):
        return _written(room.get(value), what)
    if inspect.isfunction(value) and room._KNOWN.get(value.__name__) is value:
        return back.get(value.__name__, value.__name__)
    if isinstance(value, type):
        return _written(value(), what)
    if isinstance(value, (Loss, Metric)):
        return _written_object(value, room, what)
    return _function(value)


def _written_object(value: Any, room: Any, what: str) -> dict[str, Any]:
    kind = type(value).__name__
    if type(value) in (losses.LossFunctionWrapper, metrics.MeanMetricWrapper):
        fn = getattr(value, "fn", None) or getattr(value, "_fn", None)
        if fn is losses.cosine_proximity and what == "loss":
            kind = "CosineSimilarity"
        else:
            return _written(fn, what)  # type: ignore[no-any-return]
    elif room._KNOWN.get(kind) is not type(value):
        return {
            "module": type(value).__module__,
            "class_name": kind,
            "config": _plain(value.get_config()),
            "registered_name": get_registered_name(type(value)),
        }
    return {
        "module": "keras.losses" if what == "loss" else "keras.metrics",
        "class_name": kind,
        "config": _plain(value.get_config()),
        "registered_name": None,
    }


def _plain(value: Any) -> Any:
    """Values of configurations as JSON has them."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _function(value: Any) -> dict[str, Any]:
    """A function of the user's own, by name."""
    name = get_registered_name(value)
    return {
        "module": getattr(value, "__module__", None), "class_name": "function", "config": name, "registered_name": name,
    }  # fmt: skip
