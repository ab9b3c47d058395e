"""Whole models in `.keras` files."""

from __future__ import annotations

import datetime as dt
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from kcore import backend as K
from kcore.errors import FileFormatError
from kcore.rest import at_rest
from kcore.saving import hdf5
from kcore.saving.formats import LoadOptions, WeightOptions
from kcore.saving.hdf5_stream import new_hdf5
from kcore.saving.keras3 import archive, training, weights, writing
from kcore.saving.keras3.nodes import end_names
from kcore.saving.keras3.optimizer import KINDS, momentum_after, state_from_keras3, state_to_keras3, to_keras3
from kcore.saving.keras3.reading import ConfigReader
from kcore.saving.keras3.store import Listed, Order, trained
from kcore.saving.source import Source, Target
from kcore.version import __version__

#: The version of Keras 3 whose files these are.
KERAS_VERSION: Final = "3.15.1"
_OPTIMIZER: Final = "optimizer"
_MOMENTA: Final = 10_000  # the product of so many is zero
_NOTE: Final = "kcore"  # in metadata.json: what Keras 3's configuration cannot say


# --- saving -----------------------------------------------------------------------------------------------------------


def save(model: Any, target: Target, *, include_optimizer: bool = True) -> None:
    """Write a model. Everything is put together before the target is touched."""
    config = writing.model_config(model)
    metadata: dict[str, Any] = {
        "keras_version": KERAS_VERSION,
        "date_saved": f"{dt.datetime.now(dt.UTC):%Y-%m-%d@%H:%M:%S}",
        _NOTE: {"version": __version__},
    }
    trains = False
    if include_optimizer and getattr(model, "optimizer", None) is not None:
        compiled, own = _training(model)
        if compiled is not None:
            config["compile_config"] = compiled
            trains = True
            metadata[_NOTE].update(own)
    text = json.dumps(config, default=_refuse)
    content = io.BytesIO()
    with new_hdf5(content, target.name) as file, at_rest():
        weights.write(file, model)
        state = _state(model) if trains else None
        if state is not None:
            group = file.create_group(f"{_OPTIMIZER}/vars")
            group.attrs["name"] = type(model.optimizer).__name__.lower()
            for number, value in enumerate(state):
                weights.write_value(group, str(number), value)
    with target.binary() as stream:
        archive.write(stream, text, metadata, content)


def _refuse(value: Any) -> Any:
    if hasattr(value, "get_config"):
        return writing.object_entry(value)
    raise TypeError(
        f"Cannot save {value!r}: expected numbers, text, lists, dicts, named functions, or objects with get_config()."
    )


def _training(model: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What `compile` was told, and what of it Keras 3 cannot say; None for an optimizer that no file holds."""
    try:
        own = writing.plain(model.optimizer.get_config())
    except NotImplementedError as error:
        warnings.warn(f"The model is saved without its optimizer and must be compiled after loading: {error}",
                      stacklevel=5)  # fmt: skip
        return None, {}
    note: dict[str, Any] = {}
    if model.sample_weight_mode is not None:
        note["sample_weight_mode"] = model.sample_weight_mode
    theirs = to_keras3(model.optimizer)
    if theirs is None:
        return training.compile_config(model, writing.object_entry(model.optimizer)), note
    note["optimizer"] = {"class_name": type(model.optimizer).__name__, "config": own}
    return training.compile_config(model, theirs), note


def _state(model: Any) -> Sequence[np.ndarray] | None:
    optimizer = model.optimizer
    if to_keras3_knows(optimizer) and model._plan is not None:
        return state_to_keras3(optimizer, model._plan.params, _in_order(model, model._plan.params, None))
    return list(K.batch_get_value(optimizer.weights)) if optimizer.weights else None


def to_keras3_knows(optimizer: Any) -> bool:
    """Whether Keras 3 has this optimizer."""
    from kcore import optimizers

    kind = type(optimizer).__name__
    return kind in KINDS and type(optimizer) is getattr(optimizers, kind, None)


def _in_order(model: Any, params: Sequence[Any], order: Order | None) -> list[Any]:
    """The weights that the optimizer trains, in Keras 3's order; those it does not find come last."""
    wanted = {id(p) for p in params}
    found = [p for p in trained(model, order) if id(p) in wanted]
    rest = {id(p) for p in found}
    return found + [p for p in params if id(p) not in rest]


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: Source, options: LoadOptions) -> Any:
    """The model that a `.keras` file holds."""
    from kcore.models import model_from_config

    contents = archive.read(source)
    reader = ConfigReader(options, source.name, str(contents.metadata.get("keras_version", "3")))
    config = contents.config
    if not isinstance(config, Mapping):
        raise FileFormatError(f"{source.name!r} is damaged: config.json should hold a dictionary.")
    model = model_from_config(reader.layer(config), custom_objects={**options.custom_objects, **reader.imported})
    _check_masks(reader, model)
    order = order_of(config)
    assert contents.weights is not None
    with Source(contents.weights, name=source.name).hdf5() as file:
        if getattr(model, "built", True):
            weights.read(file, model, WeightOptions(), order)
        if options.compile:
            _compile(model, reader, config, contents.metadata, file, order)
    return model


def order_of(config: Any) -> Order | None:
    """The order of layers, as a configuration lists them."""
    inner = config.get("config") if isinstance(config, Mapping) else None
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    if not isinstance(layers, list):
        return None
    found: dict[str, Listed] = {}
    for entry in layers:
        settings = entry.get("config")
        settings = settings if isinstance(settings, Mapping) else {}
        inside = order_of(entry) or order_of(settings.get("layer"))
        found[str(entry.get("name") or settings.get("name"))] = Listed(str(entry.get("class_name")), inside)
    return found


def _check_masks(reader: ConfigReader, model: Any) -> None:
    """Where Keras 3 called a layer with a mask of the layers before, kcore's must have found one too."""
    if not reader.masked or not hasattr(model, "layers"):
        return
    by_name = {layer.name: layer for layer in _all_layers(model)}
    for name, call in reader.masked:
        nodes = getattr(by_name.get(name), "_inbound_nodes", ())
        if call < len(nodes) and all(mask is None for mask in nodes[call].input_masks):
            raise FileFormatError(
                f"{reader.name!r}: the layer {name!r} is called with a mask that operations between layers compute. "
                "kcore's layers hand masks on by themselves, and those before it make none: use a Masking layer."
            )


def _all_layers(model: Any) -> list[Any]:
    found = []
    for layer in model.layers:
        found += [layer, *(_all_layers(layer) if hasattr(layer, "layers") else ())]
    return found


def _compile(
    model: Any, reader: ConfigReader, config: Mapping[str, Any], metadata: Mapping[str, Any], file: Any,
    order: Order | None,
) -> None:  # fmt: skip
    from kcore import optimizers

    told = config.get("compile_config")
    if not told:
        warnings.warn(
            "No training configuration found in the file: the model was not compiled. Compile it by hand to train it.",
            stacklevel=4,
        )
        return
    inner = config.get("config")
    outputs = inner.get("output_layers") if isinstance(inner, Mapping) else None
    arguments = training.compile_arguments(reader, told, end_names(outputs))
    _add_note(arguments, metadata.get(_NOTE))
    entry = arguments.pop("optimizer")
    optimizer = optimizers.deserialize(entry, custom_objects={**reader.options.custom_objects, **reader.imported})
    model.compile(optimizer=optimizer, **arguments)
    if _OPTIMIZER in file and model._plan is not None:
        _load_state(model, hdf5.member(file, f"{_OPTIMIZER}/vars"), order, own_rate=not reader.is_keras3)


def _add_note(arguments: dict[str, Any], note: Any) -> None:
    """Add to the arguments of `compile` what kcore noted beside Keras 3's configuration."""
    if not isinstance(note, Mapping):
        return
    own = note.get("optimizer")
    if isinstance(own, Mapping) and own.get("class_name") == arguments["optimizer"]["class_name"]:
        arguments["optimizer"] = own
    if note.get("sample_weight_mode") is not None:
        arguments["sample_weight_mode"] = note["sample_weight_mode"]


def _load_state(model: Any, group: Any, order: Order | None, *, own_rate: bool) -> None:
    """Set the optimizer's state; `own_rate`: the learning rate is not among it, as tf.keras writes it."""
    optimizer = model.optimizer
    stored = [weights.checked(group, str(n)) for n in range(sum(name.isdigit() for name in group))]
    head = 1 if own_rate or optimizer.get_config().get("decay") else 2
    if not stored:
        return
    if not to_keras3_knows(optimizer):
        model._make_train_function()
        optimizer.set_weights([weights.read_value(array) for array in stored])
        return
    pairs = [(optimizer.iterations, weights.read_value(stored[0]).reshape(()))]
    if head == 2 and len(stored) > 1:
        pairs.append((optimizer.learning_rate, weights.read_value(stored[1]).reshape(())))
    if len(stored) > head:
        model._make_train_function()  # creates the state
        params = model._plan.params
        found = state_from_keras3(optimizer, params, _in_order(model, params, order), stored, scheduled=head == 1)
        if found is None:
            warnings.warn(
                f"The file's optimizer state ({len(stored)} arrays) does not fit; the optimizer starts afresh.",
                stacklevel=5,
            )
            return
        pairs += [
            (variable, weights.read_value(stored[n], variable))
            for variable, n in list(zip(optimizer.weights, found, strict=True))[1:] if n >= 0
        ]  # fmt: skip
        if found[1:2] == [-1] and hasattr(optimizer, "m_schedule"):
            steps = min(int(weights.read_value(stored[0])), _MOMENTA)
            pairs.append((optimizer.m_schedule, np.asarray(momentum_after(optimizer, steps))))
    K.batch_set_value(pairs)
