"""Configurations of Keras 3 as kcore's: what `config.json` says, in the form that `model_from_config` reads.

Nothing is made here and nothing is imported by a name from the file: names become those of kcore's tables or of the
caller's custom objects, and whatever has no counterpart is an error that names it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from kcore import activations, constraints, initializers, regularizers
from kcore.errors import FileFormatError, UnknownNameError, UnsafeFileError, suggestion
from kcore.layers.registry import LAYERS as KCORE_LAYERS
from kcore.saving.formats import LoadOptions
from kcore.saving.keras3 import names
from kcore.saving.keras3.nodes import NodeReader, is_operation
from kcore.utils.custom_objects import get_custom_objects
from kcore.utils.objects import import_object

_DEPTH_LIMIT: Final = 200  # of nested configurations
_BUILT_IN: Final = ("keras", "builtins")
_ROOMS: Final[dict[str, Mapping[str, Any]]] = {
    "initializers": initializers._KNOWN,
    "regularizers": regularizers._KNOWN,
    "constraints": constraints._KNOWN,
    "activations": activations._KNOWN,
}
_FLOATS: Final = ("float16", "bfloat16", "float32", "float64")


class ConfigReader:
    """Translates one configuration.

    Args:
        options: custom objects, and whether functions may be imported by name.
        name: of the file, for errors.
        version: of the Keras that wrote it: tf.keras 2 writes such files too, with the activations of Keras 2.

    Attributes:
        orders: for the model, and those inside it, the order of their layers: see `store.Order`.
        imported: classes and functions of installed modules, where the caller trusts the file.
        masked: calls (layer's name, number of the call) that Keras 3 made with a mask of the layers before.
    """

    def __init__(self, options: LoadOptions, name: str, version: str = "3") -> None:
        self.options = options
        self.is_keras3 = version.startswith("3")
        self.renamed = names.ACTIVATIONS if self.is_keras3 else {}
        self.name = name
        self.masked: list[tuple[str, int]] = []
        self.imported: dict[str, Any] = {}
        self._shared: set[Any] = set()
        self._depth = 0
        self._mixed = False

    # --- errors ---------------------------------------------------------------------------------------------

    def broken(self, what: str) -> FileFormatError:
        """The error for a configuration that Keras 3 would not have written."""
        return FileFormatError(f"{self.name!r} is no model of Keras 3, or a damaged one: {what}.")

    def unknown(self, kind: str, name: Any, known: Sequence[str] = (), advice: str = "") -> UnknownNameError:
        """The error for a thing of Keras 3, or of a user, that kcore lacks."""
        hint = suggestion(name, known)
        return UnknownNameError(
            f"{self.name!r} has the {kind} {name!r}, which kcore does not know.{hint} "
            + (advice or f"Pass your own in `custom_objects={{{str(name)!r}: ...}}`.")
        )

    def _fields(self, entry: Any) -> tuple[str, Any, str]:
        """Class name, configuration and module of a serialised object."""
        if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str) or "config" not in entry:
            raise self.broken(f"expected an object with 'class_name' and 'config', found {_short(entry)}")
        module = entry.get("module")
        return entry["class_name"], entry["config"], module if isinstance(module, str) else ""

    # --- any value ------------------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Any value of a configuration: plain data, or a serialised object."""
        if isinstance(value, Mapping):
            if "class_name" in value and "config" in value:
                return self.object(value)
            return {str(k): self.value(v) for k, v in value.items()}
        return [self.value(v) for v in value] if isinstance(value, list) else value

    def object(self, entry: Any) -> Any:
        """A serialised object inside a configuration."""
        self._depth += 1
        try:
            if self._depth > _DEPTH_LIMIT:
                raise self.broken(f"objects are nested more than {_DEPTH_LIMIT} deep")
            return self._object(entry)
        finally:
            self._depth -= 1

    def _object(self, entry: Any) -> Any:
        kind, config, module = self._fields(entry)
        if kind.startswith("__"):
            return self._special(kind, config)
        if kind == "function":
            return self.function(entry)
        custom = self.custom_name(entry)
        if custom is not None:
            return {"class_name": custom, "config": self.value(config)}
        room = module.rpartition(".")[2]
        if kind in ("DTypePolicy", "Policy"):
            return self._dtype(config)
        if kind == "SeedGenerator":
            return config.get("seed") if isinstance(config, Mapping) else None
        if not module and any(kind in known for known in (*_ROOMS.values(), KCORE_LAYERS)):
            return {"class_name": kind, "config": self.value(config)}  # as Keras 2 wrote it
        if not _is_built_in(module):
            raise self.unknown("class", entry.get("registered_name") or kind)
        if room == "initializers" or kind in names.SCALINGS:
            return self._initializer(kind, config)
        if room in _ROOMS:
            return self._penalty(room, kind, config)
        return self.layer(entry)

    def _special(self, kind: str, config: Any) -> Any:
        if kind == "__lambda__":
            raise UnsafeFileError(
                f"{self.name!r} holds a Python function as byte code, which kcore never runs: a file could bring any "
                "program. Pass the function in `custom_objects` under the name of the layer that calls it."
            )
        if kind in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
            try:
                return np.asarray(config.get("value"), str(config.get("dtype", "float32")))
            except (TypeError, ValueError) as error:
                raise self.broken(f"an array cannot be read ({error})") from error
        if kind == "__bytes__" and isinstance(config, Mapping):
            return str(config.get("value", ""))
        raise self.unknown("value", kind, advice="kcore has nothing that it could become.")

    def _dtype(self, config: Any) -> str:
        name = config.get("name") if isinstance(config, Mapping) else config
        if name in ("mixed_float16", "mixed_bfloat16"):
            if not self._mixed:
                warnings.warn(
                    f"{self.name!r} was made for computing in {name[6:]} with float32 weights ({name}); here it "
                    "computes in float32.", stacklevel=4,
                )  # fmt: skip
            self._mixed = True
            return "float32"
        if name not in (*_FLOATS, "int32", "int64", "uint8", "bool"):
            raise self.unknown("dtype policy", name, _FLOATS, f"Known: {', '.join(_FLOATS)}, mixed_float16.")
        return str(name)

    # --- names ----------------------------------------------------------------------------------------------

    def custom_name(self, entry: Mapping[str, Any]) -> str | None:
        """The name under which the caller, a scope or a registration has this class; None when none has.

        With `safe_mode=False` the class is imported from an installed module.
        """
        known = self.custom
        kind = entry["class_name"]
        for name in (entry.get("registered_name"), kind):
            if isinstance(name, str) and name in known:
                return name
        registered = entry.get("registered_name")
        own = registered.rpartition(">")[2] if isinstance(registered, str) else kind
        return own if own in known and own != kind else self._import(entry.get("module"), kind)

    @property
    def custom(self) -> dict[str, Any]:
        """The caller's objects, those in scope, and those that were imported."""
        return {**get_custom_objects(), **self.imported, **self.options.custom_objects}

    def _import(self, module: Any, name: str) -> str | None:
        """Import a class or function of an installed module where the caller trusts the file; its name if so."""
        if not isinstance(module, str) or _is_built_in(module) or module.startswith("kcore"):
            return None
        found = import_object(module, name)
        if found is None:
            return None
        self.imported[name] = found
        return name

    def function(self, entry: Any) -> Any:
        """The name of a function: the caller's, or kcore's for one of Keras 3."""
        _, name, module = self._fields(entry)
        if not isinstance(name, str):
            raise self.broken(f"a function's name is {_short(name)}")
        known = self.custom
        for candidate in (entry.get("registered_name"), name, name.rpartition(">")[2]):
            if isinstance(candidate, str) and candidate in known:
                return candidate
        if module.startswith("kcore."):
            return name.removeprefix("kcore>")
        if _is_built_in(module):
            return self.renamed.get(name, name)
        imported = self._import(module, name)
        if imported is not None:
            return imported
        raise self.unknown("function", name)

    # --- parts of layers ------------------------------------------------------------------------------------

    def _initializer(self, kind: str, config: Any) -> Any:
        config = self._plain(config, {"input_axes": None, "output_axes": None}, f"the initializer {kind}")
        if kind in names.SCALINGS:
            scale, mode, distribution = names.SCALINGS[kind]
            return {
                "class_name": "VarianceScaling",
                "config": {"scale": scale, "mode": mode, "distribution": distribution, "seed": config.get("seed")},
            }
        if kind == "VarianceScaling":
            found = config.get("distribution", "normal")
            config["distribution"] = names.DISTRIBUTIONS.get(found, "normal")  # values are loaded anyway
        kind = {"IdentityInitializer": "Identity", "OrthogonalInitializer": "Orthogonal"}.get(kind, kind)
        if kind not in initializers._KNOWN:
            raise self.unknown("initializer", kind, list(initializers._KNOWN))
        return {"class_name": kind, "config": config}

    def _penalty(self, room: str, kind: str, config: Any) -> Any:
        config = self._plain(config, {}, f"{room[:-1]} {kind}")
        if room == "regularizers" and kind in ("L1", "L2"):
            return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0} | config}
        if kind not in _ROOMS[room]:
            raise self.unknown(room[:-1], kind, list(_ROOMS[room]))
        return {"class_name": kind, "config": config}

    def _plain(self, config: Any, neutral: Mapping[str, Any], what: str) -> dict[str, Any]:
        """A configuration without the arguments that say nothing here; errors for those that say something."""
        if not isinstance(config, Mapping):
            raise self.broken(f"the configuration of {what} is {_short(config)}")
        kept = {}
        for key, value in config.items():
            if key not in neutral:
                kept[key] = self.value(value)
            elif neutral[key] is not names.ANYTHING and _tuples(value) != _tuples(neutral[key]):
                raise UnknownNameError(
                    f"{self.name!r}: {what} has {key}={value!r}, which kcore does not have (only {neutral[key]!r}). "
                    "Change the model in Keras 3, or pass a class of your own for it in `custom_objects`."
                )
        return kept

    # --- layers and models ----------------------------------------------------------------------------------

    def layer(self, entry: Any) -> dict[str, Any]:
        """A layer, a cell or a model."""
        kind, config, module = self._fields(entry)
        self._check_sharing(entry)
        custom = self.custom_name(entry)
        if custom is not None:
            return {"class_name": custom, "config": self.value(config)}
        if not isinstance(config, Mapping):
            raise self.broken(f"the configuration of a layer {kind!r} is {_short(config)}")
        if kind in ("Functional", "Model") and "layers" in config:
            return {"class_name": "Model", "config": NodeReader(self).functional(config)}
        if kind == "Sequential" and "layers" in config:
            return {"class_name": "Sequential", "config": self._sequential(config)}
        own = kind.removeprefix("kcore>")
        if is_operation(entry) or (own not in names.LAYERS and own not in KCORE_LAYERS):
            raise self._unknown_layer(kind, entry, module)
        return {"class_name": own, "config": self._layer_config(own, config)}

    def _check_sharing(self, entry: Mapping[str, Any]) -> None:
        """One layer in several models: Keras 3 makes it once, kcore's configurations have no word for it."""
        number = entry.get("shared_object_id")
        if number is None:
            return
        if number in self._shared:
            raise UnknownNameError(
                f"{self.name!r}: models inside it share the layer {(entry['config'] or {}).get('name')!r}; kcore would "
                "make copies of it. Build the model here and load the weights."
            )
        self._shared.add(number)

    def _unknown_layer(self, kind: str, entry: Mapping[str, Any], module: str) -> UnknownNameError:
        name = entry.get("name") or (entry["config"] or {}).get("name")
        if is_operation(entry):
            return self.unknown(
                "operation", kind, advice=f"It is applied to tensors between layers ({name!r}), and kcore's models are "
                "made of layers: put it into a Lambda layer before saving, or load the weights alone into a model "
                "made here.",
            )  # fmt: skip
        return self.unknown(
            "layer", entry.get("registered_name") or kind, list(names.LAYERS) if _is_built_in(module) else (),
            f"Pass a class for it in `custom_objects={{{kind!r}: ...}}`, or load the weights alone into a model made "
            "here.",
        )  # fmt: skip

    def _layer_config(self, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
        what = f"the layer {config.get('name', '')!r} ({kind})"
        neutral = {**names.NEUTRAL[""], **names.NEUTRAL.get(kind, {})}
        special = {"Lambda": self._lambda, "Bidirectional": self._bidirectional}.get(kind)
        config = {
            key: self._activation(value, what) if key in ("activation", "recurrent_activation") else value
            for key, value in config.items()
        }  # fmt: skip
        kept = special(config) if special else self._plain(config, neutral, what)
        if kind == "BatchNormalization" and isinstance(kept.get("axis"), list) and len(kept["axis"]) == 1:
            kept["axis"] = kept["axis"][0]  # as tf.keras writes it
        renamed = names.RENAMED.get(kind, {})
        kept = {renamed.get(key, key): value for key, value in kept.items()}
        if kind == "InputLayer":
            kept = {key: value for key, value in kept.items() if value is not None}
            if kept.get("sparse") is None:
                kept["sparse"] = False
        return kept

    def _activation(self, value: Any, what: str) -> Any:
        """The name of an activation function; one of Keras 3's that means another formula here has another name."""
        if isinstance(value, Mapping):
            if value.get("class_name") != "function":
                raise UnknownNameError(
                    f"{self.name!r}: {what} has an object as its activation ({value.get('class_name')!r}). kcore takes "
                    "functions there; add it as a layer of its own."
                )
            return self.function(value)
        if not isinstance(value, str) or value in self.custom:
            return value
        own = names.ALIASES.get(value, self.renamed.get(value, value))
        if own not in activations._KNOWN:
            raise self.unknown("activation function", value, list(activations._KNOWN))
        return own

    def _lambda(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A Lambda in Keras 2's form: names of functions, and what kind of name it is."""
        kept: dict[str, Any] = {
            key: self.value(config[key]) for key in ("name", "trainable", "dtype", "arguments") if key in config
        }
        for key in ("function", "output_shape"):
            value = config.get(key)
            if isinstance(value, Mapping) and value.get("class_name") == "__lambda__":
                kept[key], kept[f"{key}_type"] = None, "lambda"
            elif isinstance(value, Mapping) and value.get("class_name") == "function":
                kept[key], kept[f"{key}_type"] = self._lambda_function(config, value), "function"
            elif key == "output_shape":
                kept[key], kept[f"{key}_type"] = self.value(value), "raw"
            elif isinstance(value, list):  # tf_keras: byte code, default values, closure
                kept[key], kept[f"{key}_type"] = None, "lambda"
            else:
                kept[key], kept[f"{key}_type"] = value, "function"
        return kept

    def _lambda_function(self, config: Mapping[str, Any], entry: Mapping[str, Any]) -> Any:
        """The function's name; the layer looks it up, also under its own name."""
        name = entry.get("config")
        if entry.get("registered_name") in self.custom or not isinstance(name, str):
            return entry.get("registered_name")
        if name not in self.custom and str(config.get("name")) not in self.custom:
            self._import(entry.get("module"), name)
        return name

    def _bidirectional(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The forward layer says all; the backward one must be its mirror image."""
        layers = []
        for key in ("layer", "backward_layer"):
            if config.get(key) is None:
                continue
            entry = self._fields(config[key])
            inner = {k: v for k, v in entry[1].items() if k != "zero_output_for_mask"}  # Keras 3 sets it here
            layers.append(self.layer({**config[key], "config": inner}))
        if not layers:
            raise self.broken(f"the layer {config.get('name')!r} (Bidirectional) wraps no layer")
        forward, backward = layers[0], layers[-1]
        same = {
            key for key in (*forward["config"], *backward["config"])
            if forward["config"].get(key) == backward["config"].get(key)
        }  # fmt: skip
        differing = {*forward["config"], *backward["config"]} - same - {"name", "go_backwards", "trainable"}
        if forward["class_name"] != backward["class_name"] or differing:
            raise UnknownNameError(
                f"{self.name!r}: the layers inside {config.get('name')!r} (Bidirectional) differ in "
                f"{', '.join(sorted(differing)) or 'their class'}; kcore's Bidirectional runs one layer both ways."
            )
        forward["config"]["name"] = str(forward["config"].get("name", "")).removeprefix("forward_")
        rest = {k: v for k, v in config.items() if k not in ("layer", "backward_layer")}
        return {**self._plain(rest, names.NEUTRAL[""], "Bidirectional"), "layer": forward}

    def _sequential(self, config: Mapping[str, Any]) -> dict[str, Any]:
        entries = config.get("layers")
        if not isinstance(entries, list):
            raise self.broken("a Sequential model's layers are no list")
        layers = [self.layer(entry) for entry in entries]
        kept: dict[str, Any] = {"name": config.get("name"), "layers": layers}
        first = layers[0] if layers else {}
        if first.get("class_name") == "InputLayer" and len(layers) > 1:
            follower = layers[1]["config"]
            # The input that kcore made of `input_shape=` of the first layer becomes that again.
            if first["config"].get("name") == f"{follower.get('name')}_input" and "layers" not in follower:
                layers.pop(0)
                shape = first["config"].get("batch_input_shape")
                follower.setdefault("batch_input_shape", shape)
                follower["batch_input_shape"] = shape
        elif config.get("build_input_shape") and first:
            kept["build_input_shape"] = config["build_input_shape"]
        return kept


def _is_built_in(module: str) -> bool:
    return module in _BUILT_IN or module.startswith("keras.")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 120 else f"{shown[:120]}..."
