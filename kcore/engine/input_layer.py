"""`keras.engine.input_layer` by its old name."""

from kcore.layers.input import Input, InputLayer

__all__ = ["Input", "InputLayer"]
