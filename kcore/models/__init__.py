"""Models: what users build, train, copy and read back."""

from __future__ import annotations

import importlib
from typing import Any, Final

from kcore.layers.input import Input, InputLayer
from kcore.models.cloning import clone_model
from kcore.models.model import Model
from kcore.models.sequential import Sequential
from kcore.models.serialization import model_from_config, model_from_json, model_from_yaml

# Loading and saving are a room above; these names are doors to it.
_SAVING: Final = ("load_model", "save_model")

__all__ = [
    "Input", "InputLayer", "Model", "Sequential", "clone_model", "load_model", "model_from_config", "model_from_json",
    "model_from_yaml", "save_model",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _SAVING:
        return getattr(importlib.import_module("kcore.saving"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
