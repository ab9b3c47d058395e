"""`keras.engine.training` by its old name."""

from kcore.models.model import Model

__all__ = ["Model"]
