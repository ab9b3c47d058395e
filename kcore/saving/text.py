"""Configurations as text: JSON and YAML, read as plain data within limits. Nothing in them can run."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from kcore.errors import FileFormatError, UnsafeFileError
from kcore.saving import limits

#: The tag of tuples as Keras 2 wrote them, and of text as Python 2 did.
_TUPLE: Final = "tag:yaml.org,2002:python/tuple"
_UNICODE: Final = "tag:yaml.org,2002:python/unicode"


def parse_json(text: str | bytes | bytearray, name: str = "JSON") -> Any:
    """What a text in JSON says; NaN and infinity as Python writes them, with or without a byte order mark.

    Args:
        text: the text; bytes are UTF-8, -16 or -32.
        name: what errors call it.

    Raises:
        FileFormatError: it is no JSON, names something twice, or exceeds a limit.

    >>> parse_json(b'{"a": [1, NaN]}')
    {'a': [1, nan]}
    >>> parse_json('{"a": 1, "a": 2}', "m.json")
    Traceback (most recent call last):
    kcore.errors.FileFormatError: 'm.json' is not valid JSON: the key 'a' comes twice.
    """
    _check_size(text, limits.JSON_BYTES, name)
    try:
        if isinstance(text, str):
            text = text.removeprefix("\ufeff")
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{name!r} is not valid JSON: {_reason(error)}.") from error
    limits.check_config(value, name)
    return value


def parse_yaml(text: str | bytes | bytearray, name: str = "YAML") -> Any:
    """What a text in YAML says: lists, dictionaries, text, numbers, and tuples as Keras 2 wrote them. Needs PyYAML.

    Args:
        text: the text.
        name: what errors call it.

    Raises:
        FileFormatError: it is no YAML, names something twice, or exceeds a limit.
        UnsafeFileError: it asks for Python objects.
    """
    yaml = yaml_module()
    _check_size(text, limits.YAML_BYTES, name)
    try:
        value = yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise type(error)(f"{name!r} is not valid YAML for a model: {error}.") from error
        raise FileFormatError(f"{name!r} is not valid YAML: {_reason(error)}.") from error
    limits.check_config(value, name)
    return value


def yaml_module() -> Any:
    """PyYAML, or an error that says how to get it."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("YAML needs PyYAML: `pip install kcore[yaml]`. Or use JSON (`to_json`).") from error
    return yaml


@cache
def _loader() -> Any:
    yaml = yaml_module()

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined]
        """Plain data and tuples. Merging (`<<`) is left out: merged aliases grow without bound."""

        yaml_constructors: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's way to keep what a loader knows

        def flatten_mapping(self, node: Any) -> None:
            """No merging."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """A dictionary whose keys are text and come once."""
            pairs = [(self.construct_object(k, deep=True), self.construct_object(v, deep=deep)) for k, v in node.value]
            return _unique(pairs)

        def construct_map(self, node: Any) -> Any:
            """The same in two steps, so that aliases inside may mean it (and are refused for their circle later)."""
            data: dict[Any, Any] = {}
            yield data
            data.update(self.construct_mapping(node))

        def construct_tuple(self, node: Any) -> tuple[Any, ...]:
            """A tuple as Keras 2 wrote shapes."""
            return tuple(self.construct_sequence(node, deep=True))

        def refuse(self, node: Any) -> Any:
            """Whatever else a tag asks for."""
            raise UnsafeFileError(f"the tag {str(node.tag)[:200]!r} asks for more than plain data; nothing was run")

    for kind in ("null", "bool", "int", "float", "seq", "str"):
        tag = f"tag:yaml.org,2002:{kind}"
        Loader.add_constructor(tag, yaml.SafeLoader.yaml_constructors[tag])
    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_map)
    # Without quotes a name may look like a date: it is text all the same.
    for tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value", _UNICODE):
        Loader.add_constructor(tag, yaml.SafeLoader.construct_scalar)
    Loader.add_constructor(_TUPLE, Loader.construct_tuple)
    Loader.add_constructor(None, Loader.refuse)
    return Loader


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise FileFormatError(f"a key is text, not {key!r}"[:200])
        if key in found:
            raise FileFormatError(f"the key {key!r} comes twice"[:200])
        found[key] = value
    return found


def _check_size(text: Any, most: int, name: str) -> None:
    if not isinstance(text, (str, bytes, bytearray)):
        raise TypeError(f"Expected text (str or bytes), got {type(text).__name__}.")
    if len(text) > most:
        raise FileFormatError(f"{name!r} has {len(text)} bytes; the limit is {most}.")


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = " ".join(str(error).split()) or type(error).__name__
    return said.rstrip(".") if len(said) <= 300 else f"{said[:300]}..."
