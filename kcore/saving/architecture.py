"""Architectures as text without weights: what `model.to_json()` and `model.to_yaml()` give, as files."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from kcore.errors import FileFormatError
from kcore.saving import limits, text
from kcore.saving.description import Description
from kcore.saving.formats import FileFormat, LoadOptions
from kcore.saving.source import Source, Target

#: How much of a file is looked at to recognise it.
_START: Final = 512
_BOM: Final = b"\xef\xbb\xbf"
_YAML_KEYS: Final = re.compile(rb"(?m)^(backend|class_name|config|keras_version):")


class _Text(FileFormat):
    """What JSON and YAML share. `load_model` of them is refused: a model without its weights is no loaded model."""

    _reader: ClassVar[str]

    def save_architecture(self, model: Any, target: Target) -> None:
        """The model's configuration."""
        content = getattr(model, f"to_{self.name}")().encode("utf-8")
        with target.binary() as stream:
            stream.write(content)

    def load_architecture(self, source: Source, options: LoadOptions) -> Any:
        """The model, with new weights."""
        from kcore.models import serialization

        return getattr(serialization, self._reader)(_content(source), custom_objects=options.custom_objects)

    def load_model(self, source: Source, options: LoadOptions) -> Any:
        """Refused."""
        raise self._unable(
            f"hold weights: `{self._reader}(text)` makes a model with new ones, `model.load_weights` sets them"
        )

    def describe(self, source: Source) -> Description:
        """The configuration, and what wrote it."""
        config = self._parse(_content(source), source.name)
        if not isinstance(config, dict) or "class_name" not in config:
            raise FileFormatError(f"{source.name!r} holds no model: a model's configuration has the key 'class_name'.")
        versions = {"keras": config.get("keras_version"), "backend": config.get("backend")}
        return Description(self.title, {k: str(v) for k, v in versions.items() if v}, config)

    def _parse(self, content: bytes, where: str) -> Any:
        raise NotImplementedError


class Json(_Text):
    """`model.to_json()` in a file."""

    name = "json"
    title = "JSON of an architecture"
    architecture_extensions: ClassVar[tuple[str, ...]] = (".json",)
    _reader = "model_from_json"

    def recognizes(self, source: Source) -> bool:
        """Text that begins with a brace."""
        return source.start(_START).removeprefix(_BOM).lstrip().startswith(b"{")

    def _parse(self, content: bytes, where: str) -> Any:
        return text.parse_json(content, where)


class Yaml(_Text):
    """`model.to_yaml()` in a file."""

    name = "yaml"
    title = "YAML of an architecture"
    architecture_extensions: ClassVar[tuple[str, ...]] = (".yaml", ".yml")
    _reader = "model_from_yaml"

    def recognizes(self, source: Source) -> bool:
        """Lines that begin with one of the keys of a model."""
        return _YAML_KEYS.search(source.start(_START)) is not None

    def _parse(self, content: bytes, where: str) -> Any:
        return text.parse_yaml(content, where)


def _content(source: Source) -> bytes:
    with source.binary() as stream:
        return stream.read(max(limits.JSON_BYTES, limits.YAML_BYTES) + 1)


JSON = Json()
YAML = Yaml()
