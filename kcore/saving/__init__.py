"""Files: whole models and weights in every format that Keras users have, written atomically, read without running code.

`load_model(path)` → `doors` → `source` (path, bytes, stream, group) → `formats` (which one, by content) → the format's
own room (`keras2`) → configuration → layers, then arrays → weights. This room sees configurations and arrays; classes
come from closed tables of names (`kcore.utils.objects`).
"""

from __future__ import annotations

from kcore.saving.doors import load_model, load_weights, save_model, save_weights

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
