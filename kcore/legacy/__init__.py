"""Where Keras 2 kept what made Keras 1 code run. Only what scripts of users import is here."""

from kcore.legacy import interfaces

__all__ = ["interfaces"]
