"""File formats: what each offers, and which one a file or a name means.

Reading goes by content, never by name; writing by the name's extension, or by the format's own name. Plug-ins add
formats through the hook `kcore_file_formats`.
"""

from __future__ import annotations

import importlib
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Final, Literal

import numpy as np

from kcore import plugin
from kcore.errors import ArgumentError, FileFormatError, UnsafeFileError, unknown_name
from kcore.saving.description import Description
from kcore.saving.source import Source, Target

#: Built-in formats, in the order in which a file is tried: module and attribute.
_BUILT_IN: Final = (
    "kcore.saving.keras3.format:KERAS3",
    "kcore.saving.keras3.format:KERAS3_WEIGHTS",
    "kcore.saving.keras3.format:KERAS3_SHARDS",
    "kcore.saving.keras2.format:KERAS2",
    "kcore.saving.safetensors.format:SAFETENSORS",
    "kcore.saving.architecture:JSON",
    "kcore.saving.architecture:YAML",
)

#: What is written of a model, and the attribute of a format that lists the endings of such files.
Part = Literal["model", "weights", "architecture"]
_EXTENSIONS: Final[dict[Part, str]] = {
    "model": "extensions",
    "weights": "weight_extensions",
    "architecture": "architecture_extensions",
}
_WRITERS: Final[dict[Part, str]] = {
    "model": "save_model",
    "weights": "save_weights",
    "architecture": "save_architecture",
}


@dataclass(frozen=True)
class LoadOptions:
    """How a model is loaded.

    Attributes:
        custom_objects: the caller's classes and functions by the names that the file uses.
        compile: whether to compile the model as it was when saved, with its optimizer's state.
        safe_mode: False when the caller trusts the file as much as a program.
    """

    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    compile: bool = True
    safe_mode: bool = True


@dataclass(frozen=True)
class WeightOptions:
    """How weights are loaded.

    Attributes:
        by_name: load the layers whose names occur in the file instead of all in order.
        skip_mismatch: leave out what does not fit, with a warning.
        reshape: reshape values of the right size.
    """

    by_name: bool = False
    skip_mismatch: bool = False
    reshape: bool = False


@dataclass(frozen=True)
class StoredLayers:
    """Weights of layers as a file has them.

    Attributes:
        layers: name of each layer, and the names and values of its weights.
        version, backend: the Keras and the backend that wrote them; "1" and None where the file does not say.
    """

    layers: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]]
    version: str = "1"
    backend: str | None = None


class FileFormat:
    """One format. A format overrides what it offers; the rest says that it does not.

    Attributes:
        name: what users pass as `save_format` and `kcore convert --to`.
        title: what messages call it.
        extensions: endings of the names that mean it when a whole model is written.
        weight_extensions: the same for weights.
        architecture_extensions: the same for architectures; only `kcore convert` writes these.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]] = ()
    weight_extensions: ClassVar[tuple[str, ...]] = ()
    architecture_extensions: ClassVar[tuple[str, ...]] = ()

    def recognizes(self, source: Source) -> bool:
        """Whether the content is of this format. Must not raise for any content."""
        raise NotImplementedError

    def save_model(self, model: Any, target: Target, *, include_optimizer: bool = True) -> None:
        """Write architecture, weights and, if asked for, training configuration and optimizer state."""
        raise self._unable("hold a whole model: save its weights with `model.save_weights`")

    def load_model(self, source: Source, options: LoadOptions) -> Any:
        """The model that the file holds."""
        raise self._unable("hold a whole model: make the model and load the weights with `model.load_weights`")

    def save_weights(self, model: Any, target: Target) -> None:
        """Write the weights of a model."""
        raise self._unable("write weights alone")

    def load_weights(self, model: Any, source: Source, options: WeightOptions) -> None:
        """Set the weights of a model to those of a file of weights or of a whole model."""
        raise self._unable("load weights alone")

    def save_architecture(self, model: Any, target: Target) -> None:
        """Write the architecture of a model, without its weights."""
        raise self._unable("hold an architecture alone")

    def load_architecture(self, source: Source, options: LoadOptions) -> Any:
        """A model of the architecture that a file holds; its weights do not matter."""
        return self.load_model(source, replace(options, compile=False))

    def read_layers(self, source: Source) -> StoredLayers:
        """The weights that a file has for each layer, without a model.

        Only for formats that keep weights as plain lists by layer: such files can be converted without a model.
        """
        raise self._unable("tell which weights are whose without the model")

    def describe(self, source: Source) -> Description:
        """What the file holds, found without making anything of it."""
        raise self._unable("be inspected")

    def writes(self, part: Part) -> bool:
        """Whether the format has a writer of its own for this part of a model."""
        return getattr(type(self), _WRITERS[part]) is not getattr(FileFormat, _WRITERS[part])

    def _unable(self, what: str) -> ArgumentError:
        return ArgumentError(f"{self.title} cannot {what}.")


@cache
def _built_in() -> tuple[FileFormat, ...]:
    found = []
    for place in _BUILT_IN:
        module, attribute = place.split(":")
        found.append(getattr(importlib.import_module(module), attribute))
    return tuple(found)


@cache
def _plugged_in() -> tuple[FileFormat, ...]:
    """The formats of plug-ins, looked for once. They cannot take a name of the core's, nor one of each other's."""
    found: list[FileFormat] = []
    for form in plugin.file_formats():
        if form.name in {taken.name for taken in (*_built_in(), *found)}:
            warnings.warn(
                f"The file format {form!r} of a plug-in is left out: there is one named {form.name!r} already.",
                stacklevel=2,
            )
        else:
            found.append(form)
    return tuple(found)


def known() -> dict[str, FileFormat]:
    """All formats by name: those of plug-ins, then those of the core. A file is tried in this order.

    Plug-ins are asked first, since theirs may be a special kind of HDF5 or of zip archive.
    """
    return {form.name: form for form in (*_plugged_in(), *_built_in())}


def of(source: Source) -> FileFormat:
    """The format of a content. Raises FileFormatError when no format knows it."""
    formats = known().values()
    for form in formats:
        if form.recognizes(source):
            return form
    raise _unknown(source, ", ".join(form.title for form in formats))


def named(name: str) -> FileFormat:
    """The format of that name. Raises UnknownNameError."""
    formats = known()
    if name not in formats:
        raise unknown_name("save_format", name, formats)
    return formats[name]


def by_extension(filename: str, part: Part | None = None) -> FileFormat | None:
    """The format that the longest known ending of a file's name means, when that part of a model (any) is written."""
    endings = {
        ending: form
        for form in known().values()
        for attribute in ([_EXTENSIONS[part]] if part else _EXTENSIONS.values())
        for ending in getattr(form, attribute)
        if filename.lower().endswith(ending)
    }
    return endings[max(endings, key=len)] if endings else None


def to_write(target: Target, name: str | None, *, part: Part = "model", default: str = "keras2") -> FileFormat:
    """The format to write: the one named, else by the longest known extension, else the default."""
    if name is not None:
        return named(name)
    return (by_extension(target.name, part) if target.is_path else None) or named(default)


def _unknown(source: Source, titles: str) -> FileFormatError:
    """The error for a content that no format knows; it says what it is, where that helps."""
    start = source.start(8)
    pickled = start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5")
    if pickled or (source.is_zip and _holds_pickles(source)):
        return UnsafeFileError(
            f"{source.name!r} is a pickle, or an archive of pickles, which run code when they are read; kcore does not "
            "open it. Write the weights with a safe format where it was made (HDF5, safetensors)."
        )
    if start[:6] == b"\x93NUMPY":
        return FileFormatError(
            f"{source.name!r} is one NumPy array, no model or weight file: read it with numpy.load and give it to "
            "`layer.set_weights`."
        )
    return FileFormatError(
        f"{source.name!r} is no model or weight file, or a damaged one: it begins with {start!r}. Known: {titles}."
    )


def _holds_pickles(source: Source) -> bool:
    try:
        with source.binary() as stream, zipfile.ZipFile(stream) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, zipfile.LargeZipFile):
        return False
