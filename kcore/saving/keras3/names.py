"""What Keras 3 calls things, where that differs from here: one row a fact, used in both directions."""

from __future__ import annotations

from typing import Any, Final

#: Layers that Keras 3 has under the same name.
LAYERS: Final = frozenset(
    [
        "Activation",
        "ActivityRegularization",
        "Add",
        "AdditiveAttention",
        "AlphaDropout",
        "Attention",
        "Average",
        "AveragePooling1D",
        "AveragePooling2D",
        "AveragePooling3D",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Conv1D",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "ConvLSTM2D",
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "Dense",
        "DepthwiseConv2D",
        "Dot",
        "Dropout",
        "ELU",
        "Embedding",
        "Flatten",
        "GRU",
        "GRUCell",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalAveragePooling3D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GlobalMaxPooling3D",
        "GroupNormalization",
        "InputLayer",
        "LSTM",
        "LSTMCell",
        "Lambda",
        "LayerNormalization",
        "LeakyReLU",
        "Masking",
        "MaxPooling1D",
        "MaxPooling2D",
        "MaxPooling3D",
        "Maximum",
        "Minimum",
        "MultiHeadAttention",
        "Multiply",
        "PReLU",
        "Permute",
        "RNN",
        "ReLU",
        "RepeatVector",
        "Reshape",
        "SeparableConv1D",
        "SeparableConv2D",
        "SimpleRNN",
        "SimpleRNNCell",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "StackedRNNCells",
        "Subtract",
        "TimeDistributed",
        "UpSampling1D",
        "UpSampling2D",
        "UpSampling3D",
        "ZeroPadding1D",
        "ZeroPadding2D",
        "ZeroPadding3D",
    ]
)

#: Recurrent layers: their calls take states beside the sequence.
RECURRENT: Final = frozenset({"RNN", "SimpleRNN", "GRU", "LSTM", "ConvLSTM2D", "Bidirectional"})

ANYTHING: Final = object()  # an argument whose value says nothing here


def _each(kinds: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    """The same arguments for several classes."""
    return {kind: dict(arguments) for kind in kinds.split()}


#: Arguments of Keras 3's layers that kcore's lack, and the one value that means what kcore does.
NEUTRAL: Final[dict[str, dict[str, Any]]] = {
    "": {  # of any layer
        "autocast": ANYTHING, "quantization_config": None, "lora_rank": None, "lora_alpha": None, "quantized": False,
    },
    "InputLayer": {"ragged": False, "optional": False, "trainable": ANYTHING, "type_spec": None},
    **_each("Conv1D Conv2D Conv3D SeparableConv1D SeparableConv2D Conv2DTranspose", groups=1),
    **_each("DepthwiseConv2D", groups=1, filters=ANYTHING, kernel_initializer=ANYTHING, kernel_regularizer=None,
            kernel_constraint=None),
    **_each("Conv3DTranspose", groups=1, dilation_rate=(1, 1, 1)),
    **_each("BatchNormalization", synchronized=False, renorm=False, renorm_clipping=ANYTHING, renorm_momentum=ANYTHING),
    **_each("ZeroPadding1D", data_format="channels_last"),
    **_each("GaussianDropout GaussianNoise SimpleRNNCell GRUCell LSTMCell", seed=ANYTHING),
    **_each("Embedding", sparse=False),
    **_each("LocallyConnected1D LocallyConnected2D", implementation=1),
    **_each("RNN SimpleRNN GRU LSTM ConvLSTM2D", zero_output_for_mask=False, seed=ANYTHING, use_cudnn=ANYTHING,
            time_major=False),
    **_each("GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D "
            "GlobalMaxPooling2D GlobalMaxPooling3D", keepdims=False),
}  # fmt: skip

#: Arguments with another name: class -> Keras 3's -> kcore's.
RENAMED: Final[dict[str, dict[str, str]]] = {
    "InputLayer": {"batch_shape": "batch_input_shape", "shape": "input_shape"},
    "LeakyReLU": {"negative_slope": "alpha"},
}
#: Arguments that only kcore has; Keras 3 needs none of them.
OWN: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"batch_input_shape", "input_dtype"}),
    "Embedding": frozenset({"input_length"}),
    "MultiHeadAttention": frozenset({"flash_attention"}),
    **{kind: frozenset({"implementation"})
       for kind in ("SimpleRNN", "GRU", "LSTM", "GRUCell", "LSTMCell", "SimpleRNNCell", "ConvLSTM2D")},
    **{f"SpatialDropout{n}D": frozenset({"noise_shape", "trainable"}) for n in (1, 2, 3)},
    "Lambda": frozenset({"function_type", "output_shape_type"}),
    "Bidirectional": frozenset({"num_constants"}),
    "RNN": frozenset({"num_constants"}),
}  # fmt: skip

#: Initializers that are scalings of the variance: (scale, mode, distribution).
SCALINGS: Final[dict[str, tuple[float, str, str]]] = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "normal"),
}
#: Distributions of VarianceScaling, Keras 3's to kcore's.
DISTRIBUTIONS: Final = {"truncated_normal": "normal", "normal": "normal", "uniform": "uniform"}

#: Losses, Keras 3's names to kcore's. Those that are missing are called the same.
LOSSES: Final = {
    "log_cosh": "logcosh", "LogCosh": "LogCosh", "huber": "huber_loss", "kl_divergence": "kullback_leibler_divergence",
    "KLD": "kullback_leibler_divergence", "kld": "kullback_leibler_divergence", "bce": "binary_crossentropy",
    "BCE": "binary_crossentropy", "cosine_similarity": "cosine_proximity", "CosineSimilarity": "cosine_proximity",
}  # fmt: skip
#: Losses by name, kcore's to Keras 3's.
LOSSES_BACK: Final = {
    "logcosh": "log_cosh", "huber_loss": "huber", "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity", "cosine": "cosine_similarity",
}  # fmt: skip
#: Metrics, Keras 3's names to kcore's.
METRICS: Final = {
    "kl_divergence": "kullback_leibler_divergence", "kld": "kullback_leibler_divergence", "bce": "binary_crossentropy",
    "BCE": "binary_crossentropy", "log_cosh_error": "logcosh", "log_cosh": "logcosh",
    "KLD": "kullback_leibler_divergence",
}  # fmt: skip
METRICS_BACK: Final = {
    "kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh_error",
    "cosine_proximity": "cosine_similarity", "cosine": "cosine_similarity",
}  # fmt: skip

#: Activations whose formula differs under one name: Keras 3's name -> what kcore calls that formula.
ACTIVATIONS: Final = {"hard_sigmoid": "keras3>hard_sigmoid"}
#: Second names of activations.
ALIASES: Final = {"swish": "silu", "hard_swish": "hard_silu"}
#: kcore's formulas that Keras 3 has under no name; it reads them with `custom_objects`.
OWN_ACTIVATIONS: Final = {"hard_sigmoid": "kcore>hard_sigmoid"}
