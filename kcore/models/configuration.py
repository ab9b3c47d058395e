"""A model as plain data: configuration and back, JSON and YAML, summary; and the doors to saving."""

from __future__ import annotations

import copy
import heapq
import io
import json
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kcore.backend import active
from kcore.errors import FileFormatError, NotBuiltError
from kcore.layers.node import Node
from kcore.layers.registry import deserialize as deserialize_layer
from kcore.models.topology import node_key
from kcore.utils.generic_utils import get_registered_name, unpack_singleton
from kcore.utils.layer_utils import print_summary
from kcore.utils.objects import serialize_keras_object

#: The Keras whose file formats kcore writes.
KERAS_VERSION: Final = "2.3.1"


class Configuration:
    """What describes a model without its weights."""

    name: str
    built: bool
    layers: list[Any]
    _is_graph_network: bool
    _network_nodes: set[str]

    # --- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Layers, their connections, inputs and outputs. Raises NotImplementedError for subclassed models."""
        if not self._is_graph_network:
            raise NotImplementedError(
                f"{type(self).__name__} is a subclassed model: its structure is its code, not data. Save its weights "
                "with `save_weights`, or define `get_config` and `from_config`."
            )
        numbers = self._saved_node_numbers()
        model: Any = self
        return copied(  # type: ignore[no-any-return]
            {
                "name": self.name,
                "layers": [self._layer_entry(layer, numbers) for layer in self.layers],
                "input_layers": _ends(model._input_coordinates, numbers),
                "output_layers": _ends(model._output_coordinates, numbers),
            }
        )

    def _saved_node_numbers(self) -> dict[str, int]:
        """The calls that belong to this model, renumbered: others are not saved."""
        numbers: dict[str, int] = {}
        for layer in self.layers:
            kept = 1 if isinstance(layer, Configuration) else 0  # a model has a call of its own
            for index in range(len(layer._inbound_nodes)):
                key = node_key(layer, index)
                if key in self._network_nodes:
                    numbers[key] = kept
                    kept += 1
        return numbers

    def _layer_entry(self, layer: Any, numbers: Mapping[str, int]) -> dict[str, Any]:
        calls = []
        for index, node in enumerate(layer._inbound_nodes):
            if node_key(layer, index) in self._network_nodes and node.inbound_layers:
                calls.append(_call_entry(layer, node, numbers))
        return {
            "name": layer.name,
            "class_name": get_registered_name(type(layer)),
            "config": layer.get_config(),
            "inbound_nodes": calls,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A model from the result of `get_config`, with new weights.

        Args:
            config: the configuration.
            custom_objects: your own layers and functions by name.
        """
        entries = _required(config, "layers", "a model")
        created: dict[str, Any] = {}
        for entry in entries:
            name = entry.get("name") or _required(entry, "config", "a layer").get("name")
            created[name] = deserialize_layer(entry, custom_objects=custom_objects)
        _connect(entries, created)
        inputs = [_tensor(created, end) for end in _required(config, "input_layers", "a model")]
        outputs = [_tensor(created, end) for end in _required(config, "output_layers", "a model")]
        model = cls(inputs=inputs, outputs=outputs, name=config.get("name"))  # type: ignore[call-arg]
        freeze(model, config)
        return model

    def _updated_config(self) -> dict[str, Any]:
        """The configuration with what a file says beside it."""
        return {
            "class_name": get_registered_name(type(self)),
            "config": self.get_config(),
            "keras_version": KERAS_VERSION,
            "backend": active.backend_name(),
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON text; `model_from_json` reads it.

        Args:
            **kwargs: for `json.dumps`.
        """
        return json.dumps(self._updated_config(), default=json_value, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The configuration as YAML text; `model_from_yaml` reads it. Needs PyYAML.

        Args:
            **kwargs: for `yaml.safe_dump`.
        """
        from kcore.saving.text import yaml_module

        return str(yaml_module().safe_dump(json.loads(self.to_json()), **kwargs))

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
    ) -> None:
        """Print the layers with their shapes and parameter counts.

        Args:
            line_length: of the printed lines.
            positions: where columns end, in characters or as parts of the line.
            print_fn: called with each line; `print` when None.
        """
        if not self.built:
            raise NotBuiltError(
                f"The model {self.name} has not yet been built. Build the model first by calling build() or calling "
                "fit() with some data. Or specify input_shape or batch_input_shape in the first layer for automatic "
                "build."
            )
        print_summary(self, line_length=line_length, positions=positions, print_fn=print_fn)

    # --- saving: the room above ---------------------------------------------------------------------------

    def save(
        self, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, save_format: str | None = None
    ) -> None:
        """Save architecture, weights and training state to one file (see `kcore.saving`)."""
        from kcore.saving import save_model

        save_model(self, filepath, overwrite, include_optimizer, save_format)

    def save_weights(self, filepath: Any, overwrite: bool = True, save_format: str | None = None) -> None:
        """Save the weights to a file (see `kcore.saving`); asks before it replaces one unless `overwrite`."""
        from kcore.saving import save_weights

        save_weights(self, filepath, overwrite, save_format)

    def load_weights(
        self, filepath: Any, by_name: bool = False, skip_mismatch: bool = False, reshape: bool = False
    ) -> None:
        """Load weights that `save_weights` or `save` wrote (see `kcore.saving`)."""
        from kcore.saving import load_weights

        load_weights(self, filepath, by_name, skip_mismatch, reshape)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold what a saved file holds."""
        from kcore.saving import save_model

        buffer = io.BytesIO()
        save_model(self, buffer)
        return (_from_bytes, (buffer.getvalue(),))


def copied(value: Any) -> Any:
    """A copy whose lists and dictionaries nobody else has: as `copy.deepcopy` of plain data, but faster.

    >>> copied({"a": [1, (2, None)]})
    {'a': [1, (2, None)]}
    """
    kind = type(value)
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return kind([copied(item) for item in value])
    return value if kind in _PLAIN else copy.deepcopy(value)


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _from_bytes(content: bytes) -> Any:
    from kcore.saving import load_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a model was never compiled is no news here
        return load_model(content)


def freeze(model: Any, config: Mapping[str, Any]) -> None:
    """Freeze a model that is so by its configuration: files and later versions say it, `get_config` of Keras 2 not."""
    if config.get("trainable") is False:
        model.trainable = False


def json_value(value: Any) -> Any:
    """What JSON text says of a value that is not plain: NumPy values, shapes, classes and functions."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
        return get_registered_name(value)
    if hasattr(value, "get_config"):
        return serialize_keras_object(value)
    raise TypeError(f"Not JSON serializable: {value!r} of type {type(value).__name__}.")


def _call_entry(layer: Any, node: Node, numbers: Mapping[str, int]) -> list[list[Any]]:
    arguments = dict(node.arguments)
    try:
        json.dumps(arguments)
    except TypeError:
        warnings.warn(
            f"Layer {layer.name} was passed non-serializable keyword arguments: {arguments}. They will not be "
            "included in the serialized model (and thus will be missing at deserialization time).",
            stacklevel=2,
        )
        arguments = {}
    origins = zip(node.inbound_layers, node.node_indices, node.tensor_indices, strict=True)
    return [[x.name, numbers.get(node_key(x, index), 0), tensor, arguments] for x, index, tensor in origins]


def _ends(coordinates: Sequence[tuple[Any, int, int]], numbers: Mapping[str, int]) -> list[list[Any]]:
    keyed = [(node_key(layer, index), layer, tensor) for layer, index, tensor in coordinates]
    return [[layer.name, numbers[key], tensor] for key, layer, tensor in keyed if key in numbers]


def _required(config: Any, key: str, what: str) -> Any:
    if not isinstance(config, Mapping) or key not in config:
        raise FileFormatError(f"Improperly formatted model config: {what} needs {key!r}; got {config!r}.")
    return config[key]


def _connect(entries: Sequence[Mapping[str, Any]], created: Mapping[str, Any]) -> None:
    """Call the layers as the configuration says; a call waits until its inputs exist.

    As if one passed over the layers again and again, but only those are looked at whose inputs may have come.
    """
    layers = [created[entry.get("name") or entry["config"]["name"]] for entry in entries]
    calls = [deque(entry.get("inbound_nodes") or ()) for entry in entries]
    waiting: dict[str, list[int]] = {}  # by the layer that has to be called before
    ready = [(0, index) for index in range(len(entries))]  # pass, place in the pass
    while ready:
        turn, index = heapq.heappop(ready)
        while calls[index]:
            missing = _call(layers[index], calls[index][0], created)
            if missing is not None:
                waiting.setdefault(missing, []).append(index)
                break
            calls[index].popleft()
            for other in waiting.pop(layers[index].name, ()):
                heapq.heappush(ready, (turn + (other <= index), other))
    stuck = sorted(str(entry.get("name")) for entry, left in zip(entries, calls, strict=True) if left)
    if stuck:
        raise FileFormatError(
            f"Improperly formatted model config: the inputs of {', '.join(stuck[:20])} are computed by no layer of the "
            "model."
        )


def _call(layer: Any, inputs: Sequence[Sequence[Any]], created: Mapping[str, Any]) -> str | None:
    """Call the layer on the outputs that the entries name; when one does not exist yet, the name of its layer."""
    tensors: list[Any] = []
    arguments: Mapping[str, Any] = {}
    if inputs and isinstance(inputs[0], str):  # one input, without the list around it
        inputs = [inputs]
    for data in inputs:
        if len(data) not in (3, 4):
            raise FileFormatError(
                f"Improperly formatted model config: an input of {layer.name} is [layer, call, tensor, arguments]; "
                f"got {data!r}."
            )
        if data[0] not in created:
            raise FileFormatError(
                f"Improperly formatted model config: {layer.name} takes the output of {data[0]!r}, but the model has "
                "no such layer."
            )
        nodes = created[data[0]]._inbound_nodes
        if len(nodes) <= data[1]:
            return created[data[0]].name  # type: ignore[no-any-return]
        tensors.append(nodes[data[1]].output_tensors[data[2]])
        arguments = data[3] if len(data) == 4 else {}
    if tensors:
        layer(unpack_singleton(tensors), **arguments)
    return None


def _tensor(created: Mapping[str, Any], end: Sequence[Any]) -> Any:
    name, node_index, tensor_index = end
    if name not in created or node_index >= len(created[name]._inbound_nodes):
        raise FileFormatError(f"Improperly formatted model config: there is no call {node_index} of layer {name!r}.")
    return created[name]._inbound_nodes[node_index].output_tensors[tensor_index]
