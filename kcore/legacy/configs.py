"""Configurations of models as Keras 1, Keras 2.0 to 2.2 and the framework-bound Keras 2 wrote them, in today's words.

`modernize` takes and gives plain data; it makes nothing and imports no layer. Names and arguments are tables:
of Keras 1 in `keras1_configs`, of what came after Keras 2.3.1 in `later_configs`. What says today's words already stays
as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kcore.errors import FileFormatError
from kcore.legacy import keras1_configs, later_configs

#: What later versions write beside the class and its configuration; the class is found without it.
_BESIDE = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id"})
_OWN_MODULES = ("keras", "builtins", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
_GRAPHS = frozenset({"Model", "Functional", "Network"})


def modernize(config: Any, own: Collection[str] = ()) -> Any:
    """A copy of a configuration in which every layer, model, initializer, ... is as Keras 2.3.1 would say it.

    Args:
        config: plain data: `{"class_name": ..., "config": ...}` at any depth.
        own: names of the caller's own classes and functions; nothing about them is changed.

    Raises:
        FileFormatError: it holds something that has no counterpart; the text says what.

    >>> modernize({"class_name": "L2", "config": {"l2": 0.5}})
    {'class_name': 'L1L2', 'config': {'l1': 0.0, 'l2': 0.5}}
    """
    if isinstance(config, (list, tuple)):
        return [modernize(item, own) for item in config]
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") == "__tuple__" and "items" in config:
        return modernize(config["items"], own)
    if isinstance(config.get("class_name"), str) and "config" in config:
        return _object(config, own)
    return {key: modernize(value, own) for key, value in config.items()}


def _object(entry: Mapping[str, Any], own: Collection[str]) -> Any:
    name, settings = entry["class_name"], entry["config"]
    if name in ("function", "builtin_function_or_method") and isinstance(settings, str):
        registered = entry.get("registered_name")
        return registered if registered in own else settings
    if name in later_configs.POLICIES:
        return later_configs.dtype_of(entry)
    name = _registered(name, entry.get("registered_name"), own)
    rest = {key: value for key, value in entry.items() if key not in _BESIDE and key not in ("class_name", "config")}
    if rest.get("module") is None or str(rest["module"]).startswith(_OWN_MODULES):
        rest.pop("module", None)
    if "inbound_nodes" in rest:
        rest["inbound_nodes"] = [_call(call) for call in rest["inbound_nodes"]]
    if name not in own:
        name, settings = _known(name, settings, own)
    else:
        settings = modernize(settings, own)
    return {"class_name": name, "config": settings, **rest}


def _registered(name: str, registered: Any, own: Collection[str]) -> str:
    """The name under which a class is looked up: with its package where the caller knows that."""
    for full in (registered, name):
        if isinstance(full, str) and ">" in full:
            short = full.split(">")[-1]
            # What has no package of its own is found by its plain name too.
            return full if full in own or not (full.startswith("Custom>") and short in own) else short
    return name


def _known(name: str, settings: Any, own: Collection[str]) -> tuple[str, Any]:
    """Class and configuration of a class that is not the caller's."""
    refuse_foreign(name, settings)
    if name in _GRAPHS and isinstance(settings, Mapping) and "layers" in settings:
        return "Model", _graph(settings, own)
    if name == "Sequential":
        return _sequential(settings, own)
    for translate in (keras1_configs.translate, later_configs.translate):
        name, settings = translate(name, settings)
    return name, modernize(settings, own)


def refuse_foreign(name: str, settings: Any) -> None:
    """Raise FileFormatError for layers that stand for a framework's own operation."""
    if name in later_configs.FOREIGN:
        what = settings.get("function", settings.get("node_def", settings)) if isinstance(settings, Mapping) else ""
        layer = settings.get("name", name) if isinstance(settings, Mapping) else name
        raise FileFormatError(
            f"The layer {layer!r} ({name}) stands for an operation that was applied outside of any layer "
            f"({str(what)[:80]}). Only the framework that wrote the file has it: build the model with a layer of your "
            "own in its place and load the weights, or pass a class for it in `custom_objects`."
        )


# --- models -----------------------------------------------------------------------------------------------------------


def _graph(settings: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    changed = {key: value for key, value in settings.items() if key not in ("layers", "trainable")}
    changed["layers"] = modernize(keras1_configs.with_channels(settings["layers"]), own)
    for end in ("input_layers", "output_layers"):
        if end in settings:
            changed[end] = _ends(settings[end])
    if settings.get("trainable") is False:
        changed["trainable"] = False
    return changed


def _sequential(settings: Any, own: Collection[str]) -> tuple[str, Any]:
    old = not isinstance(settings, Mapping)
    layers = keras1_configs.with_channels(settings if old else settings.get("layers", []))
    if keras1_configs.starts_with_merge(layers):
        name = None if old else settings.get("name")
        return "Model", _graph(keras1_configs.graph_of_branches(layers, name), own)
    if old:
        return "Sequential", modernize(layers, own)
    kept = {key: value for key, value in settings.items() if key not in ("layers", "trainable")}
    if settings.get("trainable") is False:
        kept["trainable"] = False
    return "Sequential", {**kept, "layers": modernize(layers, own)}


def _is_tensor(item: Any) -> bool:
    """Whether it is `[layer, call, tensor]`, perhaps with arguments."""
    return isinstance(item, (list, tuple)) and len(item) >= 3 and isinstance(item[0], str)


def _ends(ends: Any) -> Any:
    """Inputs or outputs as a list of tensors: alone, in a list, or in a dictionary, which goes by its keys' order."""
    if _is_tensor(ends):
        return [list(ends)]
    if isinstance(ends, Mapping):
        return [list(ends[key]) for key in sorted(ends)]
    return _flat(ends)


def _flat(nest: Any) -> list[Any]:
    found: list[Any] = []
    for item in nest or ():
        found.extend([list(item)] if _is_tensor(item) else _flat(item))
    return found


def _call(call: Any) -> Any:
    """A call of a layer as a list of tensors; a tensor alone is a list of one."""
    if isinstance(call, Mapping):  # Keras 3's {"args": ..., "kwargs": ...}: for its own reader
        return dict(call)
    return [list(call)] if _is_tensor(call) else _flat(call)


#: How a translator looks: class and configuration in, class and configuration out.
Translator = Callable[[str, Any], tuple[str, Any]]
