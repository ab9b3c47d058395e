"""Compiling a loaded model as its file says that it was: optimizer with its state, losses, metrics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from kcore.errors import FileFormatError
from kcore.legacy import training_configs
from kcore.saving import hdf5
from kcore.saving.keras2 import optimizer as optimizer_state
from kcore.utils.custom_objects import get_custom_objects


def compile_as_saved(model: Any, file: Any, custom_objects: Mapping[str, Any]) -> None:
    """Compile a model by the attribute `training_config` of its file; warn when it has none.

    Args:
        model: with its weights.
        file: the open HDF5 group.
        custom_objects: the caller's classes and functions by the names that the file uses.

    Raises:
        FileFormatError: the attribute is no training configuration.
        UnknownNameError: it names something that neither kcore nor the caller knows.
    """
    from kcore import optimizers

    training = hdf5.read_json(file, "training_config")
    if training is None:
        warnings.warn(
            "No training configuration found in the file: the model was not compiled. Compile it by hand to train it.",
            stacklevel=4,
        )
        return
    if not isinstance(training, dict) or "optimizer_config" not in training:
        raise FileFormatError(f"The attribute 'training_config' names no optimizer: {str(training)[:200]}.")
    own = {**get_custom_objects(), **custom_objects}
    entry = training_configs.optimizer(training["optimizer_config"], own)
    loss, metrics, weighted = (
        training_configs.losses_and_metrics(training.get(key), own) for key in ("loss", "metrics", "weighted_metrics")
    )
    model.compile(
        optimizer=optimizers.deserialize(entry, custom_objects=custom_objects),
        loss=_objects(loss, own, _loss),
        metrics=_objects(_without_outputs(metrics, model), own, _metric),
        weighted_metrics=_objects(_without_outputs(weighted, model), own, _metric),
        loss_weights=training.get("loss_weights"),
        sample_weight_mode=training.get("sample_weight_mode"),
    )
    if "optimizer_weights" in file:
        _load_optimizer(model, hdf5.member(file, "optimizer_weights"))


def _objects(item: Any, own: Mapping[str, Any], make: Any) -> Any:
    """Configurations and names of the caller's as objects, in nests of lists and dictionaries."""
    if isinstance(item, list):
        return [_objects(one, own, make) for one in item]
    if isinstance(item, dict):
        if "class_name" in item and "config" in item:
            return make(item, own)
        return {key: _objects(value, own, make) for key, value in item.items()}
    return own.get(item, item) if isinstance(item, str) else item


def _loss(entry: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    from kcore import losses

    if entry["class_name"] == "LossFunctionWrapper":
        return _wrapped(entry, own, losses.LossFunctionWrapper, losses.deserialize)
    return losses.deserialize(entry, custom_objects=own)


def _metric(entry: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    from kcore import metrics

    if entry["class_name"].endswith("MetricWrapper"):
        return _wrapped(entry, own, metrics.MeanMetricWrapper, metrics.deserialize)
    return metrics.deserialize(entry, custom_objects=own)


def _wrapped(entry: Mapping[str, Any], own: Mapping[str, Any], wrapper: Any, deserialize: Any) -> Any:
    """A function in a wrapper; by the function's own name where that is all the wrapper adds."""
    settings = dict(entry["config"])
    function = settings.pop("fn", None)
    if function is None:
        raise FileFormatError(f"A {entry['class_name']} in the file does not say which function it wraps.")
    return wrapper(deserialize(function, custom_objects=own), **settings)


def _without_outputs(metrics: Any, model: Any) -> Any:
    """Metrics by their own names: later versions put the output's name before them, which compiling does again."""
    names = list(getattr(model, "output_names", []))
    if len(names) < 2 or not isinstance(metrics, list) or len(metrics) != len(names):
        return metrics
    return [_without_prefix(one, f"{name}_") for one, name in zip(metrics, names, strict=True)]


def _without_prefix(item: Any, prefix: str) -> Any:
    if isinstance(item, list):
        return [_without_prefix(one, prefix) for one in item]
    if not isinstance(item, dict) or not isinstance(item.get("config"), dict):
        return item
    name = item["config"].get("name")
    if not isinstance(name, str):
        return item
    return {**item, "config": {**item["config"], "name": name.removeprefix(prefix)}}


def _load_optimizer(model: Any, group: Any) -> None:
    model._make_train_function()  # creates the optimizer's variables
    names = hdf5.read_names(group, "weight_names")
    if hdf5.too_large([hdf5.dataset(group, name) for name in names], model.optimizer.weights):
        warnings.warn("The file's optimizer state is larger than this optimizer's, which starts afresh.", stacklevel=5)
        return
    values = [hdf5.read_array(group, name) for name in names]
    try:
        model.optimizer.set_weights(optimizer_state.ordered(model.optimizer, names, values))
    except ValueError as error:
        warnings.warn(f"The file's optimizer state does not fit; the optimizer starts afresh. ({error})", stacklevel=5)
