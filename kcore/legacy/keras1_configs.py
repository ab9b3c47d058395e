"""Configurations of Keras 1: classes and arguments that are gone. Those that were renamed, layers take themselves.

See `kcore.layers.keras1` for the renamed arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kcore.errors import FileFormatError
from kcore.layers import keras1

#: Class -> (today's class, old argument -> new one). Values are those of `kcore.layers.keras1`.
_SHARED: Final = keras1.WEIGHTS
_LAYERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "Dense": ("Dense", {**_SHARED, "output_dim": "units"}),
    "Embedding": ("Embedding", {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
                                "W_constraint": "embeddings_constraint"}),
    "BatchNormalization": ("BatchNormalization", {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"}),
    "Dropout": ("Dropout", {"p": "rate"}),
    "SpatialDropout1D": ("SpatialDropout1D", {"p": "rate"}),
    "SpatialDropout2D": ("SpatialDropout2D", {"p": "rate", **keras1.FORMAT}),
    "SpatialDropout3D": ("SpatialDropout3D", {"p": "rate", **keras1.FORMAT}),
    "GaussianDropout": ("GaussianDropout", {"p": "rate"}),
    "GaussianNoise": ("GaussianNoise", {"sigma": "stddev"}),
    "PReLU": ("PReLU", {"init": "alpha_initializer"}),
    "Convolution1D": ("Conv1D", keras1.CONV),
    "Conv1D": ("Conv1D", keras1.CONV),
    "Convolution2D": ("Conv2D", keras1.CONV),
    "Conv2D": ("Conv2D", keras1.CONV),
    "Convolution3D": ("Conv3D", keras1.CONV),
    "Conv3D": ("Conv3D", keras1.CONV),
    "AtrousConvolution1D": ("Conv1D", {**keras1.CONV, "atrous_rate": "dilation_rate"}),
    "AtrousConvolution2D": ("Conv2D", {**keras1.CONV, "atrous_rate": "dilation_rate"}),
    "Deconvolution2D": ("Conv2DTranspose", keras1.CONV),
    "Conv2DTranspose": ("Conv2DTranspose", keras1.CONV),
    "SeparableConvolution2D": ("SeparableConv2D", {**keras1.SEPARABLE, **_SHARED}),
    "SeparableConv2D": ("SeparableConv2D", {**keras1.SEPARABLE, **_SHARED}),
    "LocallyConnected1D": ("LocallyConnected1D", keras1.CONV),
    "LocallyConnected2D": ("LocallyConnected2D", keras1.CONV),
    "ConvLSTM2D": ("ConvLSTM2D", keras1.CONV_RECURRENT),
    "SimpleRNN": ("SimpleRNN", keras1.RECURRENT),
    "GRU": ("GRU", keras1.RECURRENT),
    "LSTM": ("LSTM", keras1.RECURRENT),
    **{f"{kind}Pooling1D": (f"{kind}Pooling1D", keras1.POOL) for kind in ("Max", "Average")},
    **{f"{kind}Pooling{n}D": (f"{kind}Pooling{n}D", keras1.POOL) for kind in ("Max", "Average") for n in (2, 3)},
    **{f"Global{kind}Pooling{n}D": (f"Global{kind}Pooling{n}D", keras1.FORMAT)
       for kind in ("Max", "Average") for n in (2, 3)},
    **{f"{kind}{n}D": (f"{kind}{n}D", keras1.RESIZE)
       for kind in ("UpSampling", "ZeroPadding", "Cropping") for n in (1, 2, 3)},
}  # fmt: skip

#: Arguments that only said how a layer was computed, or are said by the weights.
_IDLE: Final[dict[str, frozenset[str]]] = {
    "SimpleRNN": frozenset({"input_dim", "input_length"}),
    "GRU": frozenset({"input_dim", "input_length"}),
    "LSTM": frozenset({"input_dim", "input_length"}),
    "Dense": frozenset({"input_dim"}),
    "Convolution1D": frozenset({"input_dim", "input_length"}),
    "LocallyConnected1D": frozenset({"input_dim", "input_length"}),
    "Deconvolution2D": frozenset({"output_shape"}),
    "Highway": frozenset({"transform_bias"}),
    "Lambda": frozenset(),
}

_MERGES: Final = {
    "sum": ("Add", {}), "mul": ("Multiply", {}), "ave": ("Average", {}), "max": ("Maximum", {}),
    "concat": ("Concatenate", {"axis": "concat_axis"}), "dot": ("Dot", {"axes": "dot_axes"}),
    "cos": ("Dot", {"axes": "dot_axes"}),
}  # fmt: skip

#: Layers that Keras 2 dropped.
_GONE: Final = frozenset({"ParametricSoftplus", "SReLU"})


def translate(name: str, settings: Any) -> tuple[str, Any]:
    """Class and configuration as Keras 2.3.1 would have them; see `configs.modernize`."""
    if not isinstance(settings, Mapping):
        return name, settings
    if name in _GONE:
        raise FileFormatError(
            f"{name} is a layer of Keras 1 that Keras 2 dropped. Write it as a layer of your own and pass it in "
            f"`custom_objects={{{name!r}: ...}}`."
        )
    if name == "Merge":
        return _merge(settings)
    if name == "TimeDistributedDense":
        return _time_distributed_dense(settings)
    # The dtype of inputs, which is that of the weights today.
    kept = {key: _plain_object(value) for key, value in settings.items() if key != "input_dtype"}
    if name == "InputLayer" and "input_dtype" in settings:
        kept["dtype"] = settings["input_dtype"]
    today, renames = _LAYERS.get(name, (name, {}))
    if not _is_old(kept, renames) and today == name:
        return name, kept
    for key in _IDLE.get(name, ()):
        kept.pop(key, None)
    _one_off(name, kept)
    _join_kernel_size(kept)
    return today, {renames.get(key, key): _value(key, value) for key, value in kept.items()}


def _is_old(settings: Mapping[str, Any], renames: Mapping[str, str]) -> bool:
    return any(key in settings for key in (*renames, "mode", "dropout_W", "nb_row", "kernel_dim1", "transform_bias"))


def _value(key: str, value: Any) -> Any:
    return keras1.VALUES.get(key, {}).get(value, value) if isinstance(value, str) else value


def _one_off(name: str, settings: dict[str, Any]) -> None:
    """Arguments that are neither renamed nor idle."""
    if "forget_bias_init" in settings:
        settings["unit_forget_bias"] = settings.pop("forget_bias_init") == "one"
    if name == "BatchNormalization" and settings.pop("mode", 0) not in (0, 2):
        raise FileFormatError(
            f"The BatchNormalization {settings.get('name', '')!r} has mode=1 of Keras 1 (statistics of each sample), "
            "which Keras 2 dropped. Write it as a layer of your own and pass it in `custom_objects`."
        )
    if name == "Embedding" and not settings.get("dropout", 0.0):
        settings.pop("dropout", None)


def _join_kernel_size(settings: dict[str, Any]) -> None:
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if names[0] in settings:
            settings["kernel_size"] = [settings.pop(name) for name in names]


def _plain_object(value: Any) -> Any:
    """Regularizers and constraints were `{"name": class, **arguments}`."""
    if not isinstance(value, Mapping) or "name" not in value or "class_name" in value:
        return value
    arguments = {key: item for key, item in value.items() if key != "name"}
    name = value["name"]
    if set(arguments) == {"l1", "l2"}:
        return {"class_name": "L1L2", "config": arguments}
    if name in ("MaxNorm", "NonNeg", "UnitNorm"):
        if "m" in arguments:
            arguments["max_value"] = arguments.pop("m")
        return {"class_name": name, "config": arguments}
    return value


def _time_distributed_dense(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    own = {key: settings[key] for key in ("name", "trainable", "batch_input_shape") if key in settings}
    inner = {key: value for key, value in settings.items() if key not in ("batch_input_shape", "input_length")}
    inner["name"] = f"{settings.get('name', 'dense')}_inner"
    return "TimeDistributed", {**own, "layer": {"class_name": "Dense", "config": inner}}


#: Layers whose configuration left out where the channels are, though they knew.
_SILENT: Final = frozenset({"ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D"})


def with_channels(layers: Any) -> Any:
    """The layers of a model, those that do not say where the channels are as those that do."""
    if not isinstance(layers, (list, tuple)):
        return layers
    configs = [e.get("config") if isinstance(e, Mapping) else None for e in layers]
    said = {c["dim_ordering"] for c in configs if isinstance(c, Mapping) and isinstance(c.get("dim_ordering"), str)}
    if len(said) != 1:
        return layers
    return [
        {**entry, "config": {"dim_ordering": next(iter(said)), **config}}
        if isinstance(config, Mapping) and entry.get("class_name") in _SILENT else entry
        for entry, config in zip(layers, configs, strict=True)
    ]  # fmt: skip


# --- Merge ------------------------------------------------------------------------------------------------------------


def _merge(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    mode = settings.get("mode", "sum")
    if settings.get("mode_type", "raw") != "raw" or mode not in _MERGES:
        raise FileFormatError(
            f"The layer {settings.get('name', 'merge')!r} merges by a Python function, which the file brings as byte "
            "code; that is never run. Build the model with a layer of your own and load the weights."
        )
    today, arguments = _MERGES[mode]
    config = {new: settings[old] for new, old in arguments.items() if old in settings}
    if mode == "cos":
        config["normalize"] = True
    if today == "Dot" and isinstance(config.get("axes"), Sequence):
        config["axes"] = [a[0] if isinstance(a, Sequence) and len(a) == 1 else a for a in config["axes"]]
    own = {key: settings[key] for key in ("name", "trainable") if key in settings}
    return today, {**own, **config}


def starts_with_merge(layers: Any) -> bool:
    """Whether a Sequential model of Keras 1 merges branches first."""
    first = layers[0] if isinstance(layers, (list, tuple)) and layers else None
    return isinstance(first, Mapping) and first.get("class_name") == "Merge" and "layers" in first.get("config", {})


def graph_of_branches(layers: Sequence[Mapping[str, Any]], name: str | None) -> dict[str, Any]:
    """A Sequential model that merges branches first, as a graph: one input for each branch."""
    graph = _Graph()
    ends = [graph.branch(branch) for branch in layers[0]["config"]["layers"]]
    merge = {key: value for key, value in layers[0]["config"].items() if key != "layers"}
    end = graph.add({"class_name": "Merge", "config": merge}, ends)
    for entry in layers[1:]:
        end = graph.add(entry, [end])
    return {
        "name": name or "sequential_of_branches",
        "layers": graph.entries,
        "input_layers": [[one, 0, 0] for one in graph.inputs],
        "output_layers": [[end, 0, 0]],
    }


class _Graph:
    """Layers of a graph as they come.

    Attributes:
        entries: of the layers.
        inputs: names of input layers.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.inputs: list[str] = []

    def add(self, entry: Mapping[str, Any], sources: Sequence[str]) -> str:
        """Add a layer behind others; its name."""
        name = str(entry["config"].get("name") or f"{entry['class_name'].lower()}_{len(self.entries) + 1}")
        calls = [[[source, 0, 0, {}] for source in sources]] if sources else []
        config = {**entry["config"], "name": name}
        self.entries.append({**entry, "config": config, "name": name, "inbound_nodes": calls})
        return name

    def branch(self, branch: Mapping[str, Any]) -> str:
        """Add a branch, a Sequential model, layer by layer; the name of its last."""
        config = branch["config"]
        layers = config["layers"] if isinstance(config, Mapping) else config
        if branch["class_name"] != "Sequential" or not layers:
            raise FileFormatError(f"A branch of a Merge of Keras 1 is a Sequential, got {branch['class_name']!r}.")
        if starts_with_merge(layers):
            ends = [self.branch(inner) for inner in layers[0]["config"]["layers"]]
            merge = {key: value for key, value in layers[0]["config"].items() if key != "layers"}
            end = self.add({"class_name": "Merge", "config": merge}, ends)
            layers = layers[1:]
        else:
            first = layers[0]["config"]
            if not isinstance(first, Mapping) or "batch_input_shape" not in first:
                raise FileFormatError("The first layer of a branch of a Merge must say its batch_input_shape.")
            given = {"batch_input_shape": first["batch_input_shape"], "name": f"{first.get('name', 'branch')}_input"}
            if first.get("input_dtype"):
                given["dtype"] = first["input_dtype"]
            end = self.add({"class_name": "InputLayer", "config": given}, [])
            self.inputs.append(end)
        for entry in layers:
            end = self.add(entry, [end])
        return end
