"""Files: whole models and weights in the Keras 2 HDF5 layout, written atomically, read without running code.

This room sees configurations and arrays; classes come from the closed registry of `kcore.utils.generic_utils`.
"""

from __future__ import annotations

from kcore.saving.model_file import load_model, save_model
from kcore.saving.weights_file import load_weights, save_weights

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
