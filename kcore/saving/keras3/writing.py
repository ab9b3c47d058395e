"""Configurations in Keras 3's form: what it needs to build the same model with layers of its own.

What Keras 3 does not have is written under `kcore>Name`, so that it can be read with `custom_objects`; kcore reads it
back as it was. What it could not read at all is an error, before any file is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from kcore import activations, constraints, initializers, regularizers
from kcore.backend import int_shape
from kcore.errors import ArgumentError
from kcore.layers.registry import LAYERS as KCORE_LAYERS
from kcore.models.topology import node_key
from kcore.saving.keras3 import names
from kcore.utils.custom_objects import get_registered_name

_POLICY: Final = {"module": "keras", "class_name": "DTypePolicy", "registered_name": None}
_ROOMS: Final[dict[str, tuple[str, Mapping[str, Any]]]] = {
    "initializer": ("keras.initializers", initializers._KNOWN),
    "regularizer": ("keras.regularizers", regularizers._KNOWN),
    "constraint": ("keras.constraints", constraints._KNOWN),
}


def model_config(model: Any) -> dict[str, Any]:
    """The configuration of a model as `config.json` has it, without what `compile` was told."""
    return layer_entry(model, trainable=True)


def layer_entry(layer: Any, *, trainable: bool = True) -> dict[str, Any]:
    """A layer, cell or model.

    Args:
        layer: it.
        trainable: whether what it lies in is trained: Keras 3 has no other way to freeze what is inside.
    """
    kind = type(layer).__name__
    trainable = trainable and bool(getattr(layer, "trainable", True))
    if _is_own(type(layer)):
        if kind == "Sequential":
            return _entry("keras", kind, _sequential(layer, trainable))
        if getattr(layer, "_is_graph_network", False) and kind in ("Model", "Network"):
            return _entry("keras.src.models.functional", "Functional", _functional(layer, trainable))
        if kind in names.LAYERS:
            return _entry("keras.layers", kind, _layer_config(layer, kind, trainable))
        config = _config(layer, trainable)
        return _entry("kcore.layers", kind, config, f"kcore>{kind}")
    config = _config(layer, trainable)
    for base in type(layer).__mro__:  # a class of the user's own, with arguments that its bases here brought along
        for key in names.OWN[""] | names.OWN.get(base.__name__, frozenset()):
            config.pop(key, None)
    return _entry(type(layer).__module__, kind, config, get_registered_name(type(layer)))


def _entry(module: str, kind: str, config: Any, registered: str | None = None) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def _is_own(cls: type) -> bool:
    """Whether a class is kcore's, not a user's of the same name."""
    if cls.__name__ in ("Model", "Sequential", "Network"):
        return cls.__module__.startswith("kcore.models")
    return cls.__name__ in KCORE_LAYERS and KCORE_LAYERS[cls.__name__] is cls


# --- layers -----------------------------------------------------------------------------------------------------------


def _config(layer: Any, trainable: bool) -> dict[str, Any]:
    """The configuration with its parts in Keras 3's form."""
    config = {key: _value(key, value) for key, value in layer.get_config().items()}
    if "trainable" in config:
        config["trainable"] = trainable
    for name in ("layer", "cell"):
        if name in config and hasattr(layer, name):
            config[name] = layer_entry(getattr(layer, name), trainable=trainable)
    if "cells" in config and hasattr(layer, "cells"):
        config["cells"] = [layer_entry(cell, trainable=trainable) for cell in layer.cells]
    return config


def _layer_config(layer: Any, kind: str, trainable: bool) -> dict[str, Any]:
    config = _config(layer, trainable)
    renamed = {new: old for old, new in names.RENAMED.get(kind, {}).items()}
    config = {renamed.get(key, key): value for key, value in config.items()}
    for key in names.OWN[""] | names.OWN.get(kind, frozenset()):
        config.pop(key, None)
    if kind == "InputLayer":
        return {**config, "dtype": layer.dtype, "ragged": False, "optional": False}
    if "dtype" in config:
        config["dtype"] = {**_POLICY, "config": {"name": layer.dtype}}
    if kind == "Lambda":
        _lambda(layer, config)
    if kind == "Bidirectional":
        config["layer"] = layer_entry(layer.forward_layer, trainable=trainable)
        config["backward_layer"] = layer_entry(layer.backward_layer, trainable=trainable)
    return config


def _lambda(layer: Any, config: dict[str, Any]) -> None:
    """Functions by name; those without one, or of Python's own, cannot be found again."""
    for key, function in (("function", layer.function), ("output_shape", layer._output_shape), ("mask", layer.mask)):
        if callable(function):
            config[key] = _function(function)
        elif key == "mask" and function is None:
            config.pop(key, None)


def _value(key: str, value: Any) -> Any:
    """A value of a configuration: its key says what names in it mean."""
    if key.endswith("activation") and isinstance(value, str):
        return _activation(value)
    for ending, (module, known) in _ROOMS.items():
        if key.endswith(ending) and isinstance(value, Mapping):
            return _part(module, known, value)
    if isinstance(value, Mapping) and set(value) == {"class_name", "config"}:
        for module, known in _ROOMS.values():  # an argument of a user's own layer
            if value["class_name"] in known:
                return _part(module, known, value)
    return plain(value)


def _activation(name: str) -> Any:
    """Keras 3's name of an activation; functions that it lacks, by a name to pass in `custom_objects`."""
    if name in names.OWN_ACTIVATIONS:
        name = names.OWN_ACTIVATIONS[name]
        return {"module": "kcore.activations", "class_name": "function", "config": name, "registered_name": name}
    back = {own: theirs for theirs, own in names.ACTIVATIONS.items()}
    if name in back or name in activations._KNOWN:
        return back.get(name, name)
    return {"module": None, "class_name": "function", "config": name, "registered_name": name}


def _part(module: str, known: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """An initializer, regularizer or constraint."""
    kind, config = entry["class_name"], plain(dict(entry["config"]))
    if kind not in known:
        return {"module": None, "class_name": kind.rpartition(">")[2], "config": config, "registered_name": kind}
    if kind == "VarianceScaling":
        scaling = (config.get("scale"), config.get("mode"), config.get("distribution"))
        for name, meant in names.SCALINGS.items():
            if scaling == meant:
                return _entry(module, name, {"seed": config.get("seed")})
        if config.get("distribution") == "normal":
            config["distribution"] = "truncated_normal"
    return _entry(module, kind, config)


def _function(function: Any) -> dict[str, Any]:
    name = get_registered_name(function)
    return {
        "module": getattr(function, "__module__", None), "class_name": "function", "config": name,
        "registered_name": name,
    }  # fmt: skip


def object_entry(value: Any) -> dict[str, Any]:
    """An object of a user's own that has `get_config`: an optimizer, a regularizer inside a configuration."""
    return _entry(
        type(value).__module__, type(value).__name__, plain(value.get_config()), get_registered_name(type(value))
    )


def plain(value: Any) -> Any:
    """Plain data as JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str) and type(value) is not str:
        return str(value)
    return value


# --- models -----------------------------------------------------------------------------------------------------------


def _sequential(model: Any, trainable: bool) -> dict[str, Any]:
    layers = [layer_entry(layer, trainable=trainable) for layer in model.layers]
    config: dict[str, Any] = {"name": model.name, "trainable": trainable,
                              "dtype": {**_POLICY, "config": {"name": model.dtype}}}  # fmt: skip
    if model.inputs:
        first = model.inputs[0]._keras_history[0]
        layers.insert(0, layer_entry(first, trainable=trainable))
        config["build_input_shape"] = list(int_shape(model.inputs[0]))
    return {**config, "layers": layers}


def _functional(model: Any, trainable: bool) -> dict[str, Any]:
    numbers = model._saved_node_numbers()
    layers = []
    for layer in model.layers:
        entry = layer_entry(layer, trainable=trainable)
        calls = [
            _call(layer, node, numbers) for index, node in enumerate(layer._inbound_nodes)
            if node_key(layer, index) in model._network_nodes and node.inbound_layers
        ]  # fmt: skip
        layers.append({**entry, "name": layer.name, "inbound_nodes": calls})
    return {
        "name": model.name,
        "trainable": trainable,
        "layers": layers,
        "input_layers": _ends(model._input_coordinates, numbers),
        "output_layers": _ends(model._output_coordinates, numbers),
    }


def _ends(coordinates: Sequence[tuple[Any, int, int]], numbers: Mapping[str, int]) -> list[Any]:
    """Inputs or outputs: Keras 3 counts calls of functional models from 1 here, those of others from 0."""
    found = [
        [layer.name, numbers[node_key(layer, index)] - (type(layer).__name__ == "Sequential"), tensor]
        for layer, index, tensor in coordinates
    ]
    return found[0] if len(found) == 1 else found


def _call(layer: Any, node: Any, numbers: Mapping[str, int]) -> dict[str, Any]:
    """One call: the arguments as Keras 3's layer takes them."""
    tensors = []
    origins = zip(node.inbound_layers, node.node_indices, node.tensor_indices, node.input_tensors, strict=True)
    for before, index, number, tensor in origins:
        is_model = hasattr(before, "_is_graph_network") and _is_own(type(before))
        call = numbers.get(node_key(before, index), 0) - (1 if is_model else 0)
        tensors.append(_tensor(before.name, call, number, tensor))
    arguments = {k: plain(v) for k, v in node.arguments.items()}
    kind = type(layer).__name__
    if not _is_own(type(layer)):
        return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": arguments}
    if kind == "MultiHeadAttention":
        named = list(arguments.pop("named", ()))
        keywords = {**dict(zip(named, tensors[3:], strict=True)), **arguments}
        return {"args": tensors[:2], "kwargs": {"key": tensors[2], **keywords}}
    if kind in names.RECURRENT and len(tensors) > 1:
        if getattr(layer, "_num_constants", None):
            raise ArgumentError(
                f"Recurrent layers of Keras 3 take no constants, which {layer.name!r} is called with: its files cannot "
                "hold this model. Save it as HDF5 (`.h5`)."
            )
        return {"args": tensors[:1], "kwargs": {"initial_state": tensors[1:], **arguments}}
    single = len(tensors) == 1 and not kind_takes_list(layer)
    return {"args": [tensors[0] if single else tensors], "kwargs": arguments}


def kind_takes_list(layer: Any) -> bool:
    """Whether a layer takes a list of tensors, even of one."""
    return type(layer).__name__ in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply")


def _tensor(name: str, call: int, number: int, tensor: Any) -> dict[str, Any]:
    return {
        "class_name": "__keras_tensor__",
        "config": {
            "shape": list(tensor._keras_shape), "dtype": tensor.dtype, "keras_history": [name, call, number],
        },
    }  # fmt: skip
