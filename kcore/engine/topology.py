"""`keras.engine.topology` by its old name."""

from kcore.layers.base import Layer
from kcore.layers.input import Input, InputLayer
from kcore.layers.input_spec import InputSpec
from kcore.layers.node import Node
from kcore.models.network import Network
from kcore.models.topology import get_source_inputs

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", "Network", "Node", "get_source_inputs"]
