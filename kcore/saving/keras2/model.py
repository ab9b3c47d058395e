"""Whole models in one HDF5 file: architecture, weights, training configuration, optimizer state."""

from __future__ import annotations

import json
import warnings
from typing import Any, Final

import numpy as np

from kcore import backend as K
from kcore.errors import FileFormatError
from kcore.legacy import training_configs
from kcore.ops import dtypes
from kcore.rest import at_rest
from kcore.saving import hdf5
from kcore.saving.formats import LoadOptions
from kcore.saving.keras2 import compiling
from kcore.saving.keras2 import weights as weights_file
from kcore.saving.source import Source, Target
from kcore.utils.generic_utils import get_registered_name, serialize_keras_object


def save(model: Any, target: Target, *, include_optimizer: bool = True) -> None:
    """Write a model to one HDF5 file."""
    # Everything is serialised before the file is opened: a model that cannot be saved leaves no trace.
    config = _dump(_saying_frozen(model, serialize_keras_object(model)))
    training = _training_config(model) if include_optimizer and getattr(model, "optimizer", None) else None
    # At rest until all is in the file, but not while the disk is waited for: training elsewhere may go on then.
    with target.hdf5() as file, at_rest():
        file.attrs["keras_version"] = weights_file.LAYOUT_VERSION.encode("utf-8")
        file.attrs["backend"] = K.backend().encode("utf-8")
        file.attrs["model_config"] = config
        weights_file.write_layers(file.create_group("model_weights"), model.layers)
        if training is not None:
            file.attrs["training_config"] = training
            _write_optimizer(file, model.optimizer)


def load(source: Source, options: LoadOptions) -> Any:
    """The model that an HDF5 file holds."""
    from kcore.models.serialization import model_from_parsed

    with source.hdf5() as file:
        config = hdf5.read_json(file, "model_config")
        if config is None:
            raise FileFormatError(
                f"{source.name!r} holds no architecture (attribute 'model_config'). A file of weights alone is loaded "
                "with model.load_weights(path)."
            )
        model = model_from_parsed(config, custom_objects=options.custom_objects)
        weights_file.read_layers(hdf5.member(file, "model_weights"), model.layers)
        if options.compile:
            compiling.compile_as_saved(model, file, options.custom_objects)
    return model


def _saying_frozen(model: Any, entry: Any) -> Any:
    """A model's configuration with `trainable` for it and the models in it that are frozen as a whole.

    Keras 2 leaves that out and forgets it; it passes over the entry. The layers' own flags stay as they are.
    """
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list) or not hasattr(model, "layers"):
        return entry
    layers = {layer.name: layer for layer in model.layers}
    inner = [_saying_frozen(layers.get(e["config"].get("name")), e) if _is_model(e) else e for e in config["layers"]]
    return {**entry, "config": {**config, **({} if model.trainable else {"trainable": False}), "layers": inner}}


def _is_model(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("config"), dict) and "layers" in entry["config"]


def _dump(config: Any) -> bytes:
    return json.dumps(config, default=_plain).encode("utf-8")


#: Objects made of a function, and where they keep it. Keras 2.3.1 leaves its name out, tf.keras writes it as `fn`.
_WRAPPERS: Final = {"MeanMetricWrapper": "_fn", "LossFunctionWrapper": "fn"}


def _plain(obj: Any) -> Any:
    """JSON form of what configurations hold beside plain data."""
    if type(obj).__name__ in _WRAPPERS:
        entry = serialize_keras_object(obj)
        function = getattr(obj, _WRAPPERS[type(obj).__name__])
        return {**entry, "config": {**entry["config"], "fn": serialize_keras_object(function)}}
    if hasattr(obj, "get_config") or (callable(obj) and hasattr(obj, "__name__")):
        return serialize_keras_object(obj)
    if isinstance(obj, np.ndarray):
        return obj.tolist()
    if isinstance(obj, np.generic):
        return obj.item()
    raise TypeError(
        f"Cannot save {obj!r}: expected numbers, text, lists, dicts, named functions, or objects with get_config()."
    )


def _training_config(model: Any) -> bytes | None:
    try:
        name = get_registered_name(type(model.optimizer))
        config = training_configs.stored_optimizer(name, model.optimizer.get_config())
    except NotImplementedError as error:
        warnings.warn(f"The model is saved without its optimizer and must be compiled after loading: {error}",
                      stacklevel=4)  # fmt: skip
        return None
    return _dump({
        "optimizer_config": {"class_name": name, "config": config},
        "loss": model.loss,
        "metrics": model._compile_metrics,
        "weighted_metrics": model._compile_weighted_metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
    })  # fmt: skip


def _write_optimizer(file: Any, optimizer: Any) -> None:
    weights = optimizer.weights
    if not weights:
        return
    group = file.create_group("optimizer_weights")
    names = hdf5.unique_names([w.name or f"param_{i}" for i, w in enumerate(weights)])
    hdf5.write_names(group, "weight_names", names)
    for name, variable in zip(names, weights, strict=True):
        # Step counts are int64 in files, also from backends that compute them in a narrower dtype.
        hdf5.write_array(group, name, variable.view().astype(dtypes.numpy_dtype(variable.dtype), copy=False))
