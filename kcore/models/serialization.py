"""Models from configurations, JSON and YAML text. Nothing in the text is run; names are looked up, not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kcore.errors import FileFormatError
from kcore.layers.registry import deserialize
from kcore.legacy.configs import modernize
from kcore.utils.custom_objects import get_custom_objects
from kcore.variables import deferring


def model_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from `{"class_name": ..., "config": ...}`, with new weights.

    Args:
        config: the dictionary.
        custom_objects: your own layers and functions by name.

    Raises:
        FileFormatError: it is no configuration of a model, or exceeds a limit (`kcore.saving.limits`).
        UnknownNameError: it names a class or function that neither kcore nor the caller knows.
    """
    from kcore.saving import limits  # the room above: what is read from files is checked by one table

    _check_form(config)
    limits.check_config(config, "the configuration")
    return _made(config, custom_objects)


def model_from_parsed(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`model_from_config` of what `kcore.saving.text` parsed, which is within the limits already.

    Args:
        config: the dictionary.
        custom_objects: the caller's own layers and functions by name.
    """
    _check_form(config)
    return _made(config, custom_objects)


def _check_form(config: Any) -> None:
    if isinstance(config, list):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
        raise FileFormatError(f"A model config has the keys 'class_name' and 'config'; got {_short(config)}.")


def _made(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    config = modernize(config, own={**get_custom_objects(), **(custom_objects or {})})
    return deserialize(config, custom_objects=custom_objects)


def model_from_json(json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from the text that `model.to_json()` gave, with new weights.

    Args:
        json_string: the text.
        custom_objects: your own layers and functions by name.

    Raises:
        FileFormatError: it is no JSON, describes no model, or exceeds a limit.
        UnknownNameError: it names a class or function that neither kcore nor the caller knows.
    """
    from kcore.saving import text

    return _built(text.parse_json(json_string), custom_objects, "JSON")


def model_from_yaml(yaml_string: str | bytes, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from the text that `model.to_yaml()` gave, with new weights. Needs PyYAML.

    Args:
        yaml_string: the text; tuples as Keras 2 wrote them are understood, other Python tags are refused.
        custom_objects: your own layers and functions by name.

    Raises:
        FileFormatError: it is no YAML, describes no model, or exceeds a limit.
        UnknownNameError: it names a class or function that neither kcore nor the caller knows.
    """
    from kcore.saving import text

    return _built(text.parse_yaml(yaml_string), custom_objects, "YAML")


def _built(config: Any, custom_objects: Mapping[str, Any] | None, name: str) -> Any:
    """A model from what a text says; its weights get memory when they are first asked for."""
    from kcore.saving import limits

    if not isinstance(config, Mapping):
        raise FileFormatError(f"A model config has the keys 'class_name' and 'config'; got {_short(config)}.")
    with limits.reading(name), deferring():
        model = model_from_parsed(config, custom_objects)
        limits.check_memory(model, name)
        return model


def _short(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) < 200 else f"{shown[:200]}..."
