"""From one format to another: read, write beside the target, read again, compare, and only then replace the target."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError, FileFormatError
from kcore.saving import formats, limits
from kcore.saving.atomic import replacing
from kcore.saving.formats import FileFormat, LoadOptions, Part, StoredLayers, WeightOptions
from kcore.saving.keras2.conversion import depends_on_layers
from kcore.saving.source import Source, Target
from kcore.variables import deferring


@dataclass(frozen=True)
class Request:
    """What is to be converted, and how.

    Attributes:
        source, target: paths.
        source_format, target_format: names of formats; None for what the content and the name mean.
        architecture: path of a file of the model that weights belong to.
        part: what to write; None for all that the source holds and the target's format can.
        include_optimizer: whether a whole model keeps training configuration and optimizer state.
        custom_objects: the caller's classes and functions.
    """

    source: str
    target: str
    source_format: str | None = None
    target_format: str | None = None
    architecture: str | None = None
    part: Part | None = None
    include_optimizer: bool = True
    custom_objects: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was done.

    Attributes:
        source, target: titles of the formats.
        part: what was written.
        arrays: how many arrays of layers were compared; `optimizer` those of the optimizer.
        optimizer_lost: whether the source has optimizer state that the target lacks.
    """

    source: str
    target: str
    part: Part
    arrays: int = 0
    optimizer: int = 0
    optimizer_lost: bool = False


def convert(request: Request) -> Result:
    """Convert a file. The target is replaced once it was read again and found equal, or not at all.

    Raises:
        ArgumentError: the formats do not fit together, or something is missing.
        FileFormatError: the source is damaged, or the written file does not hold what the source holds.
    """
    source = Source(request.source)
    reader = formats.named(request.source_format) if request.source_format else formats.of(source)
    writer = _writer(request)
    with limits.reading(request.source):
        held = _held(reader, source)
    if held == "weights" and request.architecture is None and (part := _part(request, writer, "weights")) == "weights":
        return _weights_alone(request, reader, writer, source)
    with limits.reading(request.source), deferring():
        model = _model(request, reader, source, held)
    part = _part(request, writer, "architecture" if held == "architecture" else "model")
    with replacing(request.target) as temporary:
        _write(writer, part, model, temporary, include_optimizer=request.include_optimizer)
        with limits.reading(request.target), deferring():
            arrays, optimizer = _verify(writer, part, model, temporary, request)
    lost = bool(_state(model)) and not optimizer
    return Result(reader.title, writer.title, part, arrays, optimizer, lost)


def _writer(request: Request) -> FileFormat:
    if request.target_format:
        return formats.named(request.target_format)
    writer = formats.by_extension(request.target, request.part) or formats.by_extension(request.target)
    if writer is None:
        names = ", ".join(formats.known())
        raise ArgumentError(f"The name {request.target!r} says no format; name one of: {names}.")
    return writer


def _held(reader: FileFormat, source: Source) -> Part:
    """What a file holds, by its description."""
    if reader.writes("architecture") and not reader.writes("weights"):
        return "architecture"
    return "weights" if reader.describe(source).config is None else "model"


def _part(request: Request, writer: FileFormat, most: Part) -> Part:
    """The part to write: the one asked for, or the largest that the source has and the target's format can hold."""
    possible: dict[Part, Sequence[Part]] = {
        "model": ("model", "weights", "architecture"),
        "weights": ("weights",),
        "architecture": ("architecture",),
    }
    wanted = [request.part] if request.part else possible[most]
    for part in wanted:
        if part in possible[most] and writer.writes(part):
            # A name such as `x.weights.h5` means weights, although HDF5 could hold the whole model.
            return part
    if most == "weights":
        raise ArgumentError(
            f"{request.source!r} holds weights alone, and {writer.title} needs to know the model: name a file of its "
            "architecture (JSON, YAML, or a whole model) with --architecture."
        )
    if most == "architecture":
        raise ArgumentError(
            f"{request.source!r} holds an architecture alone; {request.target!r} would need weights too. Convert the "
            f"file of the weights, with --architecture {request.source}."
        )
    raise ArgumentError(f"{writer.title} cannot hold {' or '.join(map(str, wanted))}.")


# --- reading ----------------------------------------------------------------------------------------------------------


def _model(request: Request, reader: FileFormat, source: Source, held: Part) -> Any:
    """The model that the source, and the file of its architecture, hold."""
    options = LoadOptions(custom_objects=request.custom_objects, compile=False)
    if held == "architecture":
        return reader.load_architecture(source, options)
    if held == "weights":
        if request.architecture is None:
            raise ArgumentError(
                f"{request.source!r} holds weights alone: name a file of the architecture (JSON, YAML, or a whole "
                "model) with --architecture."
            )
        whole = Source(request.architecture)
        model = formats.of(whole).load_architecture(whole, options)
        reader.load_weights(model, source, WeightOptions())
        return model
    compiled = request.include_optimizer and reader.describe(source).training is not None
    return reader.load_model(source, LoadOptions(request.custom_objects, compile=compiled))


# --- writing and comparing --------------------------------------------------------------------------------------------


def _write(writer: FileFormat, part: Part, model: Any, path: str, *, include_optimizer: bool) -> None:
    target = Target(path)
    if part == "model":
        writer.save_model(model, target, include_optimizer=include_optimizer)
    elif part == "weights":
        writer.save_weights(model, target)
    else:
        writer.save_architecture(model, target)


def _verify(writer: FileFormat, part: Part, model: Any, path: str, request: Request) -> tuple[int, int]:
    """Read the written file and compare; returns the numbers of equal arrays of layers and of the optimizer."""
    source = Source(path, name=request.target)
    if part == "weights":
        expected = model.get_weights()
        model.set_weights([np.zeros_like(value) for value in expected])
        writer.load_weights(model, source, WeightOptions())
        return _compare(expected, model.get_weights(), request.target), 0
    compiled = getattr(model, "optimizer", None) is not None and request.include_optimizer
    options = LoadOptions(request.custom_objects, compile=compiled)
    if part == "architecture":
        writer.load_architecture(source, options)
        if _sorted(writer.describe(source).config) != _sorted(json.loads(model.to_json())):
            raise FileFormatError(f"{request.target!r} is not written: read again, its architecture is another one.")
        return 0, 0
    again = writer.load_model(source, options)
    arrays = _compare(model.get_weights(), again.get_weights(), request.target)
    before, after = (_state(model), _state(again)) if compiled else ((), ())
    if not before or getattr(again, "optimizer", None) is None:
        return arrays, 0
    if not after:  # a format may leave out what does not matter: the moments of an SGD without momentum
        before, after = ([x.optimizer.iterations] for x in (model, again))
    return arrays, _compare(K.batch_get_value(before), K.batch_get_value(after), request.target, "optimizer's state")


def _compare(
    expected: Sequence[np.ndarray], got: Sequence[np.ndarray], name: str, what: str = "weights"
) -> int:
    """The number of arrays, all equal bit for bit. Raises FileFormatError when they are not."""
    same = len(expected) == len(got) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(expected, got, strict=True)
    )
    if not same:
        raise FileFormatError(f"{name!r} is not written: read again, the values of its {what} differ.")
    return len(expected)


def _sorted(config: Any) -> str:
    """A text that is equal for equal configurations (NaN, which some hold, is not equal to itself)."""
    return json.dumps(config, sort_keys=True)


def _state(model: Any) -> Sequence[Any]:
    """The variables of a model's optimizer."""
    return getattr(getattr(model, "optimizer", None), "weights", None) or ()


# --- weights without a model ------------------------------------------------------------------------------------------


class _Bag:
    """Stands for a model, or a layer, of which only the weights are known."""

    def __init__(self, name: str, layers: Sequence[_Bag] = (), weights: Sequence[Any] = ()) -> None:
        self.name = name
        self.layers = list(layers)
        self.weights = list(weights)


def _weights_alone(request: Request, reader: FileFormat, writer: FileFormat, source: Source) -> Result:
    """From one format that lists weights by layer to another."""
    for form in (reader, writer):
        if type(form).read_layers is FileFormat.read_layers:
            raise ArgumentError(
                f"{form.title} does not list weights layer by layer: name a file of the architecture (JSON, YAML, or a "
                "whole model) with --architecture."
            )
    with limits.reading(request.source):
        stored = reader.read_layers(source)
    if depends_on_layers(stored.version, stored.backend):
        raise ArgumentError(
            f"The weights in {request.source!r} were written by Keras {stored.version} on {stored.backend}; their "
            "order depends on their layers: name a file of the architecture with --architecture."
        )
    with replacing(request.target) as temporary:
        writer.save_weights(_bag(stored), Target(temporary))
        again = writer.read_layers(Source(temporary, name=request.target))
        if [name for name, _ in again.layers] != [name for name, _ in stored.layers]:
            raise FileFormatError(f"{request.target!r} is not written: read again, its layers are others.")
        arrays = _compare(_values(stored), _values(again), request.target)
    return Result(reader.title, writer.title, "weights", arrays)


def _bag(stored: StoredLayers) -> _Bag:
    layers = []
    for name, weights in stored.layers:
        variables = [K.variable(value, dtype=value.dtype.name) for _, value in weights]
        for variable, (own, _) in zip(variables, weights, strict=True):
            variable.name = own if ":" in own else f"{own}:0"
        layers.append(_Bag(name, weights=variables))
    return _Bag("weights", layers)


def _values(stored: StoredLayers) -> list[np.ndarray]:
    return [value for _, weights in stored.layers for _, value in weights]
