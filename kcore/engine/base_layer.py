"""`keras.engine.base_layer` by its old name."""

from kcore.layers.base import Layer
from kcore.layers.input_spec import InputSpec
from kcore.layers.node import Node
from kcore.layers.state import disable_tracking
from kcore.utils.layer_utils import count_params

__all__ = ["InputSpec", "Layer", "Node", "count_params", "disable_tracking"]
