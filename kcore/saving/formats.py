"""File formats: what each offers, and which one a file or a name means.

Reading goes by content, never by name; writing by the name's extension, or by the format's own name. Plug-ins add
formats through the hook `kcore_file_formats`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final

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
)


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


class FileFormat:
    """One format. A format overrides what it offers; the rest says that it does not.

    Attributes:
        name: what users pass as `save_format` and `kcore convert --to`.
        title: what messages call it.
        extensions: endings of the names that mean it when a whole model is written.
        weight_extensions: the same for weights.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]] = ()
    weight_extensions: ClassVar[tuple[str, ...]] = ()

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

    def describe(self, source: Source) -> Description:
        """What the file holds, found without making anything of it."""
        raise self._unable("be inspected")

    def _unable(self, what: str) -> ArgumentError:
        return ArgumentError(f"{self.title} cannot {what}.")


@cache
def _built_in() -> tuple[FileFormat, ...]:
    found = []
    for place in _BUILT_IN:
        module, attribute = place.split(":")
        found.append(getattr(importlib.import_module(module), attribute))
    return tuple(found)


def known() -> dict[str, FileFormat]:
    """All formats by name: those of the core, then those of plug-ins."""
    formats = {form.name: form for form in _built_in()}
    for form in plugin.file_formats():
        formats.setdefault(form.name, form)
    return formats


def of(source: Source) -> FileFormat:
    """The format of a content. Raises FileFormatError when no format knows it."""
    formats = known()
    for form in formats.values():
        if form.recognizes(source):
            return form
    start = source.start(8)
    if start[:1] == b"\x80" and source.name.endswith((".pkl", ".pickle")):
        raise UnsafeFileError(f"{source.name!r} is a pickle, which runs code when it is read; kcore does not open it.")
    titles = ", ".join(form.title for form in formats.values())
    raise FileFormatError(
        f"{source.name!r} is no model or weight file, or a damaged one: it begins with {start!r}. Known: {titles}."
    )


def to_write(target: Target, name: str | None, *, weights: bool, default: str = "keras2") -> FileFormat:
    """The format to write: the one named, else by the longest known extension, else the default."""
    formats = known()
    if name is not None:
        if name not in formats:
            raise unknown_name("save_format", name, formats)
        return formats[name]
    if target.is_path:
        endings = {
            ending: form
            for form in formats.values()
            for ending in (form.weight_extensions if weights else form.extensions)
            if target.name.lower().endswith(ending)
        }
        if endings:
            return endings[max(endings, key=len)]
    return formats[default]
