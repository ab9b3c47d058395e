"""`keras.engine.saving` by its old name."""

from kcore.models.serialization import model_from_config, model_from_json, model_from_yaml
from kcore.saving import load_model, save_model

__all__ = ["load_model", "model_from_config", "model_from_json", "model_from_yaml", "save_model"]
