"""Files: whole models and weights in every format that Keras users have, written atomically, read without running code.

`load_model(path)` → `doors` → `source` (path, bytes, stream, group) → `formats` (which one, by content) → the format's
own room (`keras2`) → configuration → layers, then arrays → weights. This room sees configurations and arrays; classes
come from closed tables of names (`kcore.utils.objects`).
"""

from __future__ import annotations

from kcore.saving.doors import describe, load_model, load_weights, save_model, save_weights
from kcore.utils.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope", "custom_object_scope", "describe", "get_custom_objects", "get_registered_name",
    "get_registered_object", "load_model", "load_weights", "register_keras_serializable", "save_model", "save_weights",
]  # fmt: skip
