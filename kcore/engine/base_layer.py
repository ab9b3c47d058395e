"""`keras.engine.base_layer` by its old name."""

from kcore.layers.base import Layer
from kcore.layers.input_spec import InputSpec
from kcore.layers.node import Node

__all__ = ["InputSpec", "Layer", "Node"]
