"""Models from configurations, JSON and YAML text. Nothing in the text is run; names are looked up, not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kcore.errors import FileFormatError
from kcore.layers.registry import deserialize


def model_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from `{"class_name": ..., "config": ...}`, with new weights.

    Args:
        config: the dictionary.
        custom_objects: your own layers and functions by name.
    """
    if isinstance(config, list):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    if not isinstance(config, Mapping) or "class_name" not in config or "config" not in config:
        raise FileFormatError(f"A model config has the keys 'class_name' and 'config'; got {_short(config)}.")
    return deserialize(config, custom_objects=custom_objects)


def model_from_json(json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from the text that `model.to_json()` gave, with new weights.

    Args:
        json_string: the text.
        custom_objects: your own layers and functions by name.
    """
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"The text is not valid JSON ({error}); got {_short(json_string)}.") from error
    return model_from_config(config, custom_objects)


def model_from_yaml(yaml_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model from the text that `model.to_yaml()` gave, with new weights. Needs PyYAML.

    Args:
        yaml_string: the text; tuples as Keras 2 wrote them are understood, other Python tags are refused.
        custom_objects: your own layers and functions by name.
    """
    yaml = yaml_module()
    try:
        config = yaml.load(yaml_string, Loader=_loader(yaml))
    except (yaml.YAMLError, RecursionError) as error:
        raise FileFormatError(f"The text is not valid YAML ({error}); got {_short(yaml_string)}.") from error
    return model_from_config(config, custom_objects)


def yaml_module() -> Any:
    """PyYAML, or an error that says how to get it."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("YAML needs PyYAML: `pip install kcore[yaml]`. Or use JSON (`to_json`).") from error
    return yaml


def _loader(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined]
        """Plain data and tuples."""

    def construct_tuple(loader: Any, node: Any) -> tuple[Any, ...]:
        return tuple(loader.construct_sequence(node, deep=True))

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", construct_tuple)
    Loader.add_constructor("tag:yaml.org,2002:python/unicode", lambda loader, node: loader.construct_scalar(node))
    return Loader


def _short(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) < 200 else f"{shown[:200]}..."
