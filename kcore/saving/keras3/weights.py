"""Weights of a model in Keras 3's layout, in an open HDF5 group; everything is compared before anything is read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kcore import backend as K
from kcore.errors import FileFormatError, NotBuiltError, ShapeError
from kcore.saving import hdf5
from kcore.saving.formats import WeightOptions
from kcore.saving.keras2 import weights as keras2_weights
from kcore.saving.keras3.store import Order, Place, places, with_weights

_VARS: Final = "vars"
#: What HDF5 has no type for is stored as raw bytes, with the name of the type beside it.
_BFLOAT16: Final = "bfloat16"


def write(group: Any, model: Any) -> None:
    """Store all weights, each layer's under its path."""
    found = places(model)
    variables = [v for place in found for v in place.variables]
    values = iter(K.batch_get_value(variables))
    for place in found:
        write_place(group, place, [next(values) for _ in place.variables])


def link(group: Any, model: Any) -> None:
    """Make the arrays of Keras 2's layout, written already, findable by Keras 3's paths, and tf_keras's."""
    arrays = keras2_weights.arrays(group, model.layers)
    for place in places(model):
        inside = group.require_group(f"{place.path}/{_VARS}" if place.path else _VARS)
        if place.name:
            inside.attrs["name"] = place.name
        for number, variable in enumerate(place.variables):
            if id(variable) in arrays:
                inside[str(number)] = arrays[id(variable)]
            else:
                write_value(inside, str(number), K.get_value(variable))
        parent, _, own = place.path.rpartition("/")
        for other in place.other_paths:
            if other.rpartition("/")[0] == parent and parent and other.rpartition("/")[2] != own:
                group[other] = group[place.path]


def write_place(group: Any, place: Place, values: Sequence[np.ndarray]) -> None:
    """Store the weights of one layer; the group carries the layer's name, which Keras 3 does not need to read them."""
    inside = group.require_group(f"{place.path}/{_VARS}" if place.path else _VARS)
    if place.name:
        inside.attrs["name"] = place.name
    for number, value in enumerate(values):
        write_value(inside, str(number), value)


def write_value(group: Any, name: str, value: Any) -> None:
    """Store one array as Keras 3 does."""
    value = np.asarray(value)
    if value.dtype.name == _BFLOAT16:
        group.create_dataset(name, data=value.view(np.dtype("V2"))).attrs["dtype"] = _BFLOAT16
    else:
        hdf5.write_array(group, name, value)


def is_layout(group: Any) -> bool:
    """Whether an HDF5 group looks like Keras 3's weights: no list of layers, but paths with `vars`."""
    if any(name in group.attrs for name in ("layer_names", "layer_names0", "model_config")):
        return False
    # Names alone are looked at: what is behind them may lead out of the file.
    return not {"layers", _VARS, "_layer_checkpoint_dependencies"}.isdisjoint(group)


def read(group: Any, model: Any, options: WeightOptions, order: Order | None = None) -> None:
    """Set a model's weights from an open group of Keras 3's layout.

    Args:
        group: the file.
        model: a model whose weights exist.
        options: as of `load_weights`.
        order: of the layers, where the file's configuration tells it.

    Raises:
        FileFormatError: the file lacks a layer, or has other weights for it.
        ShapeError: a weight has another shape.
    """
    if not getattr(model, "built", True):
        raise NotBuiltError(
            f"The model {model.name} has no weights yet to load into. Build it first: call build() or fit(), or give "
            "its first layer an input shape."
        )
    found = places(model, order)
    if options.by_name:
        matched = _by_name(group, found)
    else:
        matched = [(place, _group_of(group, place)) for place in with_weights(found)]
    pairs: list[tuple[Any, Any]] = []
    for place, stored in matched:
        try:
            pairs += _pairs(place, stored, reshape=options.reshape)
        except (ShapeError, FileFormatError) as error:
            if not options.skip_mismatch:
                raise
            warnings.warn(f"Skipping layer {place.name!r}: {error}", stacklevel=4)
    if not options.by_name and not options.skip_mismatch:
        _check_nothing_left(group, with_weights(found))
    K.batch_set_value([(variable, read_value(dataset, variable)) for variable, dataset in pairs])


def _pairs(place: Place, stored: Any, *, reshape: bool) -> list[tuple[Any, Any]]:
    """Variables and datasets of one layer, compared but not read."""
    names = [name for name in (stored or ()) if name.isdigit()]
    if stored is None or len(names) != len(place.variables):
        has = "none" if stored is None else len(names)
        raise FileFormatError(
            f"The layer {place.name!r} has {len(place.variables)} weights; the file has {has} of them at "
            f"{place.path + '/' + _VARS!r}. Keras 3 finds layers by their class and order: is this the same model?"
        )
    pairs = []
    for number, variable in enumerate(place.variables):
        dataset = checked(stored, str(number))
        expected, shape = tuple(variable.shape), tuple(dataset.shape)
        if shape != expected and not (reshape and np.prod(shape) == np.prod(expected)):
            raise ShapeError(
                f"Weight {variable.name!r} of layer {place.name!r} has shape {expected}; the file holds shape {shape} "
                f"at {place.path}/{_VARS}/{number}."
            )
        pairs.append((variable, dataset))
    return pairs


def checked(group: Any, name: str) -> Any:
    """A dataset whose values are numbers that lie in the file itself; not read yet."""
    dataset = hdf5.member(group, name)
    if getattr(dataset, "dtype", None) is not None and dataset.dtype == np.dtype("V2"):
        if _attribute(dataset, "dtype") != _BFLOAT16 or dataset.external or dataset.is_virtual:
            raise FileFormatError(f"{group.name}/{name}: expected numbers, found raw bytes of no known type.")
        return dataset
    return hdf5.dataset(group, name)


def _attribute(item: Any, name: str) -> str:
    return hdf5.text(item.attrs[name]) if name in item.attrs else ""


def read_value(dataset: Any, variable: Any = None) -> np.ndarray:
    """The values of a dataset that was checked, in the shape of the variable."""
    value = hdf5.in_memory(dataset)
    return value if variable is None else value.reshape(tuple(variable.shape))


def _group_of(group: Any, place: Place) -> Any:
    """The group of a layer's own weights, at the first of its paths that is there; None where none is."""
    for path in (place.path, *place.other_paths):
        full = f"{path}/{_VARS}" if path else _VARS
        if _is_there(group, full):
            return hdf5.member(group, full)
    return None


def _is_there(group: Any, path: str) -> bool:
    at = group
    for part in path.split("/"):
        if not hasattr(at, "keys") or part not in at:
            return False
        at = hdf5.member(at, part)
    return hasattr(at, "keys")


def _by_name(group: Any, found: Sequence[Place]) -> list[tuple[Place, Any]]:
    """Places in layers of the model whose names occur in the file, with the groups that hold theirs."""
    stored: dict[str, str] = {}
    layers = hdf5.member(group, "layers") if _is_there(group, "layers") else {}
    for name in layers:
        if _is_there(layers, f"{name}/{_VARS}"):
            stored[_attribute(hdf5.member(layers, f"{name}/{_VARS}"), "name")] = name
    if not any(stored):
        raise FileFormatError(
            "The file does not say what its layers are called (newer versions of Keras 3 write it): load it without "
            "by_name."
        )
    tops = {place.path: place.name for place in found if place.path.count("/") == 1}
    matched = []
    for place in with_weights(found):
        _, top, *rest = place.path.split("/")
        name = tops.get(f"layers/{top}")
        if name in stored:
            path = "/".join(["layers", stored[name], *rest, _VARS])
            matched.append((place, hdf5.member(group, path) if _is_there(group, path) else None))
    return matched


def _check_nothing_left(group: Any, found: Sequence[Place]) -> None:
    """The file must not hold weights of layers that the model does not have: it would be another model."""
    known = {path for place in found for path in (place.path, *place.other_paths)}
    for top in ("layers", "_layer_checkpoint_dependencies"):
        if not _is_there(group, top):
            continue
        for name in hdf5.member(group, top):
            path = f"{top}/{name}"
            if not any(p == path or p.startswith(f"{path}/") for p in known) and _holds_values(group, path):
                raise FileFormatError(
                    f"The file holds weights at {path!r}, a layer that the model does not have. Is this the same "
                    "model? Use by_name=True to load those whose names agree."
                )


def _holds_values(group: Any, path: str) -> bool:
    stack = [hdf5.member(group, path)]
    while stack:
        at = stack.pop()
        for name in at:
            if name.isdigit() and not hasattr(at.get(name, default=None), "keys"):
                return True
            item = hdf5.member(at, name)
            if hasattr(item, "keys"):
                stack.append(item)
    return False
