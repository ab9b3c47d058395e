"""What the configuration of a model says, read as data: its layers one by one, and what in it is unsafe or unknown.

Configurations of Keras 1, 2 and 3 are understood alike. Nothing is built, imported by a name, or looked up elsewhere
than in the closed tables. A configuration may come from anywhere: whatever is not as expected is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from kcore.saving.description import Finding
from kcore.saving.keras3.nodes import as_layers
from kcore.utils.custom_objects import get_custom_objects

#: The arguments that tell most of a layer, in the order in which they are shown; with the value that is not worth it.
_SETTINGS: Final[dict[str, Any]] = {
    "units": None, "filters": None, "input_dim": None, "output_dim": None, "kernel_size": None, "pool_size": None,
    "size": None, "target_shape": None, "dims": None, "n": None, "strides": 1, "padding": "valid",
    "dilation_rate": 1, "depth_multiplier": 1, "groups": 1, "rate": None, "stddev": None, "alpha": None,
    "activation": "linear", "recurrent_activation": None, "merge_mode": None, "axis": -1, "axes": None,
    "num_heads": None, "key_dim": None, "mask_value": None, "mask_zero": False, "function": None,
    "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "reset_after": False,
    "data_format": "channels_last", "trainable": True,
}  # fmt: skip
_SHAPES: Final = ("batch_input_shape", "batch_shape", "input_shape", "build_input_shape")


@dataclass(frozen=True)
class Row:
    """A layer as the configuration describes it.

    Attributes:
        name, kind: of the layer; `kind` is the class's name in the file.
        shape: of its inputs, where the configuration says it; a list for several inputs.
        settings: what tells most about it: `{"units": 10, "activation": "relu"}`.
        inputs: the layers whose outputs it takes, call by call.
        depth: 0 for layers of the model itself, 1 for those of models inside it, and so on.
    """

    name: str
    kind: str
    shape: Any
    settings: Mapping[str, Any]
    inputs: Sequence[str]
    depth: int


def rows(config: Any, depth: int = 0) -> Iterator[Row]:
    """The layers of a model, those of models inside it below theirs."""
    for entry in _entries(config):
        inside = _mapping(entry.get("config"))
        name = str(entry.get("name") or inside.get("name") or "?")
        yield Row(name, _kind(entry), _shape(entry, inside), _settings(inside), _inputs(entry), depth)
        yield from rows(entry, depth + 1)


def ends(config: Any, which: str) -> list[str]:
    """The layers at the model's `input` or `output`; of a Sequential model the first and the last."""
    coordinates = _mapping(_mapping(config).get("config")).get(f"{which}_layers")
    if coordinates is None:
        names = [row.name for row in rows(config) if row.depth == 0]
        return names[:1] if which == "input" else names[-1:]
    return list(dict.fromkeys(_histories(coordinates)))


def _entries(config: Any) -> list[Mapping[str, Any]]:
    """The configurations of a model's layers; none for what is no model."""
    inside = _mapping(config).get("config")
    layers = inside if isinstance(inside, list) else _mapping(inside).get("layers")  # Keras 1 had the list alone
    return [entry for entry in layers if isinstance(entry, Mapping)] if isinstance(layers, list) else []


def _kind(entry: Mapping[str, Any]) -> str:
    kind = str(entry.get("registered_name") or entry.get("class_name") or "?")
    inside = _mapping(entry.get("config"))
    wrapped = [inside[key] for key in ("layer", "cell") if isinstance(inside.get(key), Mapping)]
    return f"{kind} of {', '.join(_kind(x) for x in wrapped)}" if wrapped else kind


def _shape(entry: Mapping[str, Any], inside: Mapping[str, Any]) -> Any:
    for place in (inside, _mapping(entry.get("build_config"))):
        for key in _SHAPES:
            if place.get(key):
                return _plain_shape(place[key])
    return None


def _plain_shape(shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return {key: _plain_shape(value) for key, value in shape.items()}
    if isinstance(shape, (list, tuple)):
        nested = any(isinstance(part, (list, tuple)) for part in shape)
        return [_plain_shape(part) for part in shape] if nested else tuple(shape)
    return shape


def _settings(inside: Mapping[str, Any]) -> dict[str, Any]:
    wrapped = next((inside[key] for key in ("layer", "cell") if isinstance(inside.get(key), Mapping)), None)
    own = _settings(_mapping(wrapped.get("config"))) if wrapped else {}
    for key, usual in _SETTINGS.items():
        value = inside.get(key)
        if key in inside and value is not None and value != usual and not _all_equal(value, usual):
            own[key] = value.get("class_name", "...") if isinstance(value, Mapping) else value
    return own


def _all_equal(value: Any, usual: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(part == usual for part in value)


def _inputs(entry: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(_histories(entry.get("inbound_nodes") or [])))


def _histories(nest: Any) -> Iterator[str]:
    """The layers in a nest of `[layer, call, tensor, ...]` (Keras 2) or of Keras 3's tensors."""
    if isinstance(nest, Mapping):
        history = _mapping(nest.get("config")).get("keras_history")
        for part in [[history]] if nest.get("class_name") == "__keras_tensor__" else nest.values():
            yield from _histories(part)
    elif isinstance(nest, (list, tuple)):
        if len(nest) > 1 and isinstance(nest[0], str) and isinstance(nest[1], int):
            yield nest[0]
            nest = nest[3:]
        for part in nest:
            yield from _histories(part)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# --- what is unsafe or unknown ----------------------------------------------------------------------------------------


def findings(config: Any, training: Any = None) -> Iterator[Finding]:
    """Byte code, and classes and functions that neither kcore nor a registration knows, each said once."""
    seen = set()
    for finding in (*_walk(config, "config", layer=True), *_unknown_training(training)):
        if finding.what not in seen:
            seen.add(finding.what)
            yield finding


def _walk(root: Any, where: str, *, layer: bool) -> Iterator[Finding]:
    waiting: list[tuple[Any, str, bool]] = [(root, where, layer)]
    while waiting:
        nest, where, layer = waiting.pop()
        if isinstance(nest, Mapping):
            inside = _mapping(nest.get("config"))
            at = f"{where}/{inside['name']}" if isinstance(inside.get("name"), str) else where
            yield from _byte_code(nest, inside, at)
            yield from _unknown(nest, inside, at, layer=layer)
            for key, part in reversed(list(nest.items())):
                place = at if key in ("config", "layers") else f"{at}.{key}"
                part = as_layers(part) if key == "layers" else part
                waiting.append((part, place, key in ("layers", "layer", "cell", "cells")))
        elif isinstance(nest, (list, tuple)):
            waiting += [(part, where, layer) for part in reversed(nest)]


def _byte_code(nest: Mapping[str, Any], inside: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Functions as byte code, as Lambda layers of Keras 2 and 3 have them."""
    advice = "is Python byte code, which is never run: pass the function in custom_objects"
    for key in ("function", "output_shape", "mask"):
        if inside.get(f"{key}_type") == "lambda":
            yield Finding(where, f"the {key!r} of the layer {inside.get('name', '?')!r} {advice}", "code")
    if nest.get("class_name") == "__lambda__":
        yield Finding(where, f"the function at {where} {advice}", "code")


def _unknown(nest: Mapping[str, Any], inside: Mapping[str, Any], where: str, *, layer: bool) -> Iterator[Finding]:
    """Classes and functions that no table has."""
    name, registered = nest.get("class_name"), nest.get("registered_name")
    names = [x for x in (name, registered) if isinstance(x, str)]
    if isinstance(name, str) and not name.startswith("__") and not any(_known(x, layer=layer) for x in names):
        yield _not_known("layer" if layer else "class", registered or name, where)
    elif "class_name" in nest and not isinstance(name, str):
        yield Finding(where, f"the class name is {name!r:.100}, where text belongs", "name")
    functions = {f"{where}.{key}": nest.get(key) for key in ("activation", "recurrent_activation", "fn")}
    if name == "Lambda" and inside.get("function_type") == "function":
        functions[where] = inside.get("function")
    if name == "function":  # as Keras 3 writes them
        functions[where] = nest.get("config")
    for place, function in functions.items():
        if isinstance(function, str) and not _known(function):
            yield _not_known("function", function, place)


def _unknown_training(training: Any) -> Iterator[Finding]:
    """Optimizers, losses and metrics that no table has."""
    waiting = [(_mapping(training).get(key), f"training.{key}") for key in _COMPILED]
    while waiting:
        nest, where = waiting.pop(0)
        if isinstance(nest, Mapping) and "class_name" in nest:
            yield from _walk(nest, where, layer=False)
        elif isinstance(nest, Mapping):
            waiting += [(part, f"{where}.{key}") for key, part in nest.items()]
        elif isinstance(nest, (list, tuple)):
            waiting += [(part, where) for part in nest]
        elif isinstance(nest, str) and not _known(nest):
            yield _not_known("function", nest, where)


def _not_known(kind: str, name: Any, where: str) -> Finding:
    return Finding(where, f"the {kind} {name!r} is not one of kcore's: pass it in custom_objects", "name")


#: The parts of a training configuration that name classes and functions; Keras 3 has another word for the first.
_COMPILED: Final = ("optimizer_config", "optimizer", "loss", "metrics", "weighted_metrics")

#: Names of what is no class of a table: functional models, wrappers of plain data and of metrics, short names.
_OTHERS: Final = frozenset({
    "Functional", "Network", "DTypePolicy", "Policy", "TensorShape", "ListWrapper", "MeanMetricWrapper", "function",
    "acc", "crossentropy", "ce",
})  # fmt: skip


def _known(name: str, *, layer: bool = False) -> bool:
    """Whether a class or function has a room here, or was registered."""
    from kcore.layers.registry import LAYERS

    if name in get_custom_objects() or name in LAYERS or name in _OTHERS:
        return True
    return not layer and _folded(name.rpartition(">")[2]) in _folded_names()


def _folded(name: str) -> str:
    """A name without what Keras versions spell differently: `GlorotUniform`, `glorot_uniform`."""
    return name.replace("_", "").lower()


@cache
def _folded_names() -> frozenset[str]:
    from kcore import activations, constraints, initializers, losses, metrics, optimizers, regularizers

    rooms = (activations, constraints, initializers, losses, metrics, regularizers)
    tables = (*(room._KNOWN for room in rooms), optimizers._BY_NAME)
    return frozenset(_folded(name) for table in tables for name in table)
