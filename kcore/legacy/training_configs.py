"""How models were compiled, as old and later versions of Keras 2 wrote it, in the words of Keras 2.3.1."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any, Final

from kcore.errors import ArgumentError, FileFormatError
from kcore.legacy.configs import modernize

#: Arguments of optimizers that say how, not what, is computed, or nothing any more.
_IDLE: Final = frozenset({"name", "jit_compile", "is_legacy_optimizer", "ema_momentum", "ema_overwrite_frequency"})
#: Arguments that were not there -> the value with which nothing changes.
_NEUTRAL: Final[dict[str, Any]] = {
    "weight_decay": None, "global_clipnorm": None, "use_ema": False, "centered": False, "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}  # fmt: skip
_CLASSES: Final = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
_NOT_COMPILED: Final = "Load the model with compile=False and compile it anew."


def optimizer(entry: Mapping[str, Any], own: Collection[str] = ()) -> dict[str, Any]:
    """The `{"class_name", "config"}` of an optimizer as Keras 2.3.1 would have it.

    Args:
        entry: as the file has it.
        own: names of the caller's own classes.

    Raises:
        FileFormatError: `entry` describes no optimizer.
        ArgumentError: it asks for something that no optimizer here does.

    >>> optimizer({"class_name": "Custom>SGD", "config": {"learning_rate": 0.1, "jit_compile": True}})
    {'class_name': 'SGD', 'config': {'learning_rate': 0.1}}
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
        raise FileFormatError(f"The training configuration describes no optimizer: {str(entry)[:200]}.")
    name, settings = entry["class_name"], entry.get("config")
    if name in own or not isinstance(settings, Mapping):
        return {"class_name": name, "config": settings}
    name = _class_of(name)
    kept = {key: value for key, value in settings.items() if key not in _IDLE}
    for key in [key for key in _NEUTRAL if key in kept and kept[key] == _NEUTRAL[key]]:
        del kept[key]
    for key in [key for key in ("clipnorm", "clipvalue") if kept.get(key, 0.0) is None]:
        del kept[key]
    if name not in _CLASSES:
        return {"class_name": name, "config": kept}
    later = "name" in settings  # Keras 2.3.1 and those before it gave optimizers no names
    newest = settings.get("is_legacy_optimizer") is False
    return {"class_name": name, "config": _adjusted(name, kept, later=later, newest=newest)}


def stored_optimizer(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's configuration for a file: with what Keras 2.3.1 did not have, in the words of later versions.

    >>> stored_optimizer("SGD", {"learning_rate": 0.1, "clipnorm": 1.0})
    {'learning_rate': 0.1, 'clipnorm': 1.0}
    """
    more = {"clip_each", "epsilon_inside", "centered", "initial_accumulator_value"} & set(config)
    if name not in _CLASSES or not (more or (name == "RMSprop" and "momentum" in config)):
        return dict(config)
    newest = bool(config.get("epsilon_inside"))
    kept = {key: value for key, value in config.items() if key not in ("clip_each", "epsilon_inside")}
    if newest and not kept.get("decay"):
        kept.pop("decay", None)
    if "clipnorm" in kept and not config.get("clip_each"):
        kept["global_clipnorm"] = kept.pop("clipnorm")
    return {"name": name, **kept, "is_legacy_optimizer": not newest}


def _class_of(name: str) -> str:
    """Built-in optimizers by their own names: later versions registered them like a user's."""
    plain = name.rsplit(">", maxsplit=1)[-1].removeprefix("Experimental")
    by_lower = {known.lower(): known for known in _CLASSES}
    return by_lower.get(plain.lower(), name)


def _adjusted(name: str, settings: dict[str, Any], *, later: bool, newest: bool) -> dict[str, Any]:
    if "learning_rate" in settings:
        settings["learning_rate"] = _rate(settings, settings["learning_rate"])
    if settings.get("weight_decay") == 0 and settings["weight_decay"] is not False:
        del settings["weight_decay"]
    if "global_clipnorm" in settings:
        settings["clipnorm"] = settings.pop("global_clipnorm")  # what Keras 2 calls so is over all gradients
    elif later and "clipnorm" in settings:
        settings["clip_each"] = True
    if name == "RMSprop" and settings.get("momentum") == 0:
        del settings["momentum"]
    if name in ("RMSprop", "Adagrad") and (newest or settings.get("momentum") or settings.get("centered")):
        settings["epsilon_inside"] = True
    if name == "Nadam" and later and "schedule_decay" not in settings:
        # A decay that was always 0.004 became an argument, then 1.
        settings["schedule_decay"] = settings.pop("decay", 1.0)
    left = sorted(set(settings) & (set(_NEUTRAL) - {"centered"}))
    if left:
        given = ", ".join(f"{key}={settings[key]!r}" for key in left)
        raise ArgumentError(f"The file's optimizer is a {name} with {given}, which is not known here. {_NOT_COMPILED}")
    return settings


def _rate(settings: dict[str, Any], rate: Any) -> Any:
    """The learning rate; of a schedule, the one that it starts with, or the decay that is the same."""
    if not isinstance(rate, Mapping):
        return rate
    schedule, arguments = rate.get("class_name"), rate.get("config")
    if not isinstance(arguments, Mapping):
        raise FileFormatError(f"The learning rate of the file's optimizer is {str(rate)[:200]}. {_NOT_COMPILED}")
    start = arguments.get("initial_learning_rate", (arguments.get("values") or [None])[0])
    if start is None:
        raise ArgumentError(f"The learning rate of the file's optimizer is a {schedule}. {_NOT_COMPILED}")
    if schedule == "InverseTimeDecay" and not arguments.get("staircase") and not settings.get("decay"):
        settings["decay"] = arguments["decay_rate"] / arguments["decay_steps"]
        return start
    warnings.warn(
        f"The learning rate of the file's optimizer is a {schedule}; the model is compiled with its initial rate of "
        f"{start}. Use the callback LearningRateScheduler to go on with it.", stacklevel=3,
    )  # fmt: skip
    return start


# --- losses and metrics -----------------------------------------------------------------------------------------------


def losses_and_metrics(item: Any, own: Collection[str] = ()) -> Any:
    """Losses or metrics as Keras 2.3.1 would have them: names, objects, and lists and dictionaries of those.

    Args:
        item: as the file has it.
        own: names of the caller's own.
    """
    if isinstance(item, (list, tuple)):
        return [losses_and_metrics(one, own) for one in item]
    if not isinstance(item, Mapping):
        return item
    if "class_name" not in item or "config" not in item:
        return {key: losses_and_metrics(value, own) for key, value in item.items()}
    found = modernize(item, own)
    if isinstance(found, Mapping) and found["class_name"] not in own and isinstance(found["config"], Mapping):
        return {**found, "config": _arguments(found["class_name"], found["config"])}
    return found


def _arguments(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(settings)
    if kept.get("reduction") == "auto":
        kept["reduction"] = "sum_over_batch_size"
    if not name.endswith("Wrapper"):
        kept.pop("fn", None)  # the class says which
    for key, neutral in (("ignore_class", None), ("axis", -1)):
        if name.endswith("Crossentropy") and key in kept and kept[key] == neutral:
            del kept[key]
    return kept
