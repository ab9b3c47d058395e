"""The closed table of layers: names in configurations to classes. Nothing is imported by a name from a file.

A row names the room that defines the class; the room is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kcore import lazy
from kcore.utils.objects import deserialize_keras_object, serialize_keras_object

#: Rooms of layers: module -> public names.
ROOMS: Final[dict[str, str]] = {
    "kcore.layers.base": "InputSpec Layer Node",
    "kcore.layers.input": "Input InputLayer",
    "kcore.layers.core": """
        Activation ActivityRegularization Dense Dropout Flatten Masking Permute RepeatVector Reshape
        SpatialDropout1D SpatialDropout2D SpatialDropout3D""",
    "kcore.layers.lambda_layer": "Lambda",
    "kcore.layers.merge": """
        Add Average Concatenate Dot Maximum Minimum Multiply Subtract add average concatenate dot maximum minimum
        multiply subtract""",
    "kcore.layers.embeddings": "Embedding",
    "kcore.layers.normalization": "BatchNormalization GroupNormalization LayerNormalization",
    "kcore.layers.attention": "AdditiveAttention Attention",
    "kcore.layers.multi_head_attention": "MultiHeadAttention",
    "kcore.layers.noise": "AlphaDropout GaussianDropout GaussianNoise",
    "kcore.layers.advanced_activations": "ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU",
    "kcore.layers.convolutional": """
        AtrousConvolution1D AtrousConvolution2D Conv1D Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution1D
        Convolution2D Convolution3D Cropping1D Cropping2D Cropping3D Deconvolution2D Deconvolution3D DepthwiseConv2D
        SeparableConv1D SeparableConv2D UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
        ZeroPadding3D""",
    "kcore.layers.pooling": """
        AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D GlobalAveragePooling1D
        GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D
        GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPool1D MaxPool2D
        MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D""",
    "kcore.layers.local": "LocallyConnected1D LocallyConnected2D",
    "kcore.layers.recurrent": "GRU GRUCell LSTM LSTMCell RNN SimpleRNN SimpleRNNCell StackedRNNCells",
    "kcore.layers.convolutional_recurrent": "ConvLSTM2D ConvLSTM2DCell ConvRNN2D",
    "kcore.layers.cudnn_recurrent": "CuDNNGRU CuDNNLSTM",
    "kcore.layers.wrappers": "Bidirectional TimeDistributed Wrapper",
    "kcore.legacy.layers": "ConvRecurrent2D Highway MaxoutDense Recurrent",
}

#: Name -> module that defines it.
WHERE: Final = lazy.by_name(ROOMS)

#: Names of these rooms that no configuration may use: no layers, or bases of layers that are none themselves.
_NO_LAYERS: Final = frozenset({"ConvRecurrent2D", "Input", "InputSpec", "Node", "Recurrent", "Wrapper"})

# Models are layers too, in the room above.
_MODELS: Final[dict[str, str]] = {"Model": "kcore.models", "Sequential": "kcore.models"}


class _Table(Mapping[str, Any]):
    """The classes by name, imported when looked up."""

    def __init__(self) -> None:
        functions = {name for name in WHERE if name[0].islower()}
        self._where = {**{k: v for k, v in WHERE.items() if k not in functions | _NO_LAYERS}, **_MODELS}

    def __getitem__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._where[name]), name)

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


LAYERS: Final = _Table()


def serialize(layer: Any) -> Any:
    """`{"class_name", "config"}` of a layer."""
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A layer or model from its `{"class_name", "config"}`.

    Args:
        config: the dictionary.
        custom_objects: your own layers and functions by name.
    """
    return deserialize_keras_object(config, LAYERS, custom_objects, "layer")
