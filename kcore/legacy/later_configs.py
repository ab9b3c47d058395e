"""What configurations of the framework-bound Keras 2 say that Keras 2.3.1 did not: tables, and what needs code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from kcore.errors import ArgumentError

#: Layers that stand for operations of the framework itself.
FOREIGN: Final = frozenset({
    "TensorFlowOpLayer", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceProperty", "InstanceMethod",
})  # fmt: skip

#: Classes of dtypes of a layer's computation and weights.
POLICIES: Final = frozenset({"Policy", "PolicyV1", "DTypePolicy"})

#: Argument -> the value with which a layer does what it did without the argument.
_NEUTRAL: Final[dict[str, Any]] = {
    "ragged": False, "optional": False, "time_major": False, "zero_output_for_mask": False, "groups": 1,
    "renorm": False, "virtual_batch_size": None, "adjustment": None, "synchronized": False, "keepdims": False,
    "dynamic": False, "autocast": True, "quantization_config": None, "lora_rank": None,
}  # fmt: skip

#: Arguments of no consequence for what a loaded layer computes.
_IDLE: Final = frozenset({
    "fused", "type_spec", "renorm_clipping", "renorm_momentum", "shared_object_id", "build_config",
    "experimental_relax_shape", "experimental_autocast",
})  # fmt: skip

_OF_A_KERNEL: Final = frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"})

#: The same for one class.
_IDLE_OF: Final[dict[str, frozenset[str]]] = {
    "SeparableConv1D": _OF_A_KERNEL,
    "SeparableConv2D": _OF_A_KERNEL,
    "DepthwiseConv2D": _OF_A_KERNEL | {"filters"},
    "LocallyConnected1D": frozenset({"implementation"}),
    "LocallyConnected2D": frozenset({"implementation"}),
    "ConvLSTM2D": frozenset({"implementation"}),
    "GaussianNoise": frozenset({"seed"}),
    "GaussianDropout": frozenset({"seed"}),
    "AlphaDropout": frozenset({"noise_shape"}),
    "MultiHeadAttention": frozenset({"query_shape", "key_shape", "value_shape"}),
    "Embedding": frozenset({"sparse"}),
    "StackedRNNCells": frozenset({"reverse_state_order"}),
}

#: Initializers that Keras 2 makes by functions: their configurations as a VarianceScaling.
_SCALINGS: Final[dict[str, dict[str, Any]]] = {
    name: {"scale": scale, "mode": mode, "distribution": distribution}
    for name, scale, mode, distribution in (
        ("GlorotUniform", 1.0, "fan_avg", "uniform"),
        ("GlorotNormal", 1.0, "fan_avg", "normal"),
        ("HeUniform", 2.0, "fan_in", "uniform"),
        ("HeNormal", 2.0, "fan_in", "normal"),
        ("LecunUniform", 1.0, "fan_in", "uniform"),
        ("LecunNormal", 1.0, "fan_in", "normal"),
    )
}
_INITIALIZERS: Final = frozenset({
    "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal",
    "Identity", *_SCALINGS,
})  # fmt: skip
_DISTRIBUTIONS: Final = {"truncated_normal": "normal", "untruncated_normal": "normal"}


def translate(name: str, settings: Any) -> tuple[str, Any]:
    """Class and configuration as Keras 2.3.1 would have them; see `configs.modernize`."""
    if not isinstance(settings, Mapping):
        return name, settings
    if name in _INITIALIZERS:
        return _initializer(name, settings)
    if name in ("L1", "L2") and set(settings) <= {"l1", "l2"}:
        return "L1L2", {"l1": settings.get("l1", 0.0), "l2": settings.get("l2", 0.0)}
    idle = _IDLE | _IDLE_OF.get(name, frozenset())
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if key in idle or (key in _NEUTRAL and value == _NEUTRAL[key]):
            continue
        if key in _NEUTRAL and key not in _OWN_ARGUMENTS.get(name, ()):
            raise ArgumentError(
                f"The {name} layer {settings.get('name', '')!r} has {key}={value!r}, which no layer here can do; only "
                f"{key}={_NEUTRAL[key]!r} is known. Pass a class of your own in `custom_objects={{{name!r}: ...}}`."
            )
        kept[key] = value
    _adjust(name, kept)
    return name, kept


#: Arguments of the table above that a class knows itself.
_OWN_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {"GroupNormalization": ("groups",)}


def _adjust(name: str, settings: dict[str, Any]) -> None:
    if "dtype" in settings:
        settings["dtype"] = dtype_of(settings["dtype"])
    axis = settings.get("axis")
    if name in ("BatchNormalization", "SyncBatchNormalization") and isinstance(axis, (list, tuple)) and len(axis) == 1:
        settings["axis"] = axis[0]
    if name == "InputLayer" and "batch_shape" in settings:
        settings["batch_input_shape"] = settings.pop("batch_shape")


def _initializer(name: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kept = {key: value for key, value in settings.items() if key not in ("dtype", "partition_info", "layout")}
    if name in _SCALINGS:
        return "VarianceScaling", {**_SCALINGS[name], "seed": kept.get("seed")}
    if name == "VarianceScaling" and kept.get("distribution") in _DISTRIBUTIONS:
        kept["distribution"] = _DISTRIBUTIONS[kept["distribution"]]
    return name, kept


def dtype_of(dtype: Any) -> Any:
    """The dtype of a layer's weights: policies say two, of which that of the computation is left out."""
    if isinstance(dtype, Mapping):
        settings = dtype.get("config")
        dtype = settings.get("name") if isinstance(settings, Mapping) else settings
    if isinstance(dtype, str) and dtype.startswith("mixed_"):
        warnings.warn(f"Layers of the file compute in {dtype[6:]} with float32 weights; here they compute in float32.",
                      stacklevel=2)  # fmt: skip
        return "float32"
    return None if dtype in ("_infer", "infer") else dtype
