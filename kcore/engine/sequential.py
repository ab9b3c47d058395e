"""`keras.engine.sequential` by its old name."""

from kcore.models.sequential import Sequential

__all__ = ["Sequential"]
