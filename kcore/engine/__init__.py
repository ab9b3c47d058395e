"""The places where Keras 2 kept layers and models; everything lives in `kcore.layers` and `kcore.models`."""

from kcore.layers.base import Layer
from kcore.layers.input import Input, InputLayer
from kcore.layers.input_spec import InputSpec
from kcore.models.model import Model
from kcore.models.topology import get_source_inputs

__all__ = ["Input", "InputLayer", "InputSpec", "Layer", "Model", "get_source_inputs"]
