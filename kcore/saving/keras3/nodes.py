"""The graph of a functional model of Keras 3 as kcore's: which layer is called on which outputs, with which arguments.

Keras 3 writes the arguments of each call as they were, tensors as `[layer, call, output]`; masks that layers computed
are there too, as operations between layers. kcore's layers hand masks on by themselves, so those calls are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kcore.errors import UnknownNameError
from kcore.saving.keras3 import names

if TYPE_CHECKING:
    from kcore.saving.keras3.reading import ConfigReader

#: Arguments of calls that kcore's layers find out by themselves: the phase is that of the model.
_IMPLIED: Final = frozenset({"training"})
_MASKS: Final = ("query_mask", "value_mask", "key_mask", "attention_mask")

#: Operations of two tensors that are layers as well.
_MERGING: Final = frozenset({"Add", "Subtract", "Multiply", "Maximum", "Minimum"})

Reference = tuple[str, int, int]


class NodeReader:
    """Translates one functional model."""

    def __init__(self, reader: ConfigReader) -> None:
        self.reader = reader
        self._models: set[str] = set()
        self._sequential: set[str] = set()
        self._dropped: set[str] = set()

    def functional(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of the model."""
        entries = config.get("layers")
        if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
            raise self.reader.broken("a functional model's layers are no list of dictionaries")
        self._dropped = _only_masks(entries, {end[0] for end in _ends(config.get("output_layers")) if end})
        layers = []
        kept = [_as_layer(entry) for entry in entries if self._name(entry) not in self._dropped]
        for entry in kept:
            layer = self.reader.layer(entry)
            layers.append(layer)
            if layer["class_name"] in ("Model", "Sequential"):
                self._models.add(self._name(entry))
                if layer["class_name"] == "Sequential":
                    self._sequential.add(self._name(entry))
        for entry, layer in zip(kept, layers, strict=True):
            layer["name"] = self._name(entry)
            calls = entry.get("inbound_nodes") or []
            if not isinstance(calls, list):
                raise self.reader.broken(f"the calls of layer {layer['name']!r} are no list")
            layer["inbound_nodes"] = [self._call(layer, number, call) for number, call in enumerate(calls)]
        return {
            "name": config.get("name"),
            "layers": layers,
            "input_layers": [self._end(end) for end in _ends(config.get("input_layers"))],
            "output_layers": [self._end(end) for end in _ends(config.get("output_layers"))],
        }

    def _name(self, entry: Mapping[str, Any]) -> str:
        name = entry.get("name")
        if name is None and isinstance(entry.get("config"), Mapping):
            name = entry["config"].get("name")
        if not isinstance(name, str):
            raise self.reader.broken("a layer has no name")
        return name

    # --- references -----------------------------------------------------------------------------------------

    def _end(self, end: Any) -> list[Any]:
        """An input or output of the model. Keras 3 counts calls of functional models from 1 here, of others from 0."""
        name, index, tensor = self._reference(end)
        return [name, index + (1 if name in self._sequential and self.reader.is_keras3 else 0), tensor]

    def _inbound(self, reference: Reference, arguments: Mapping[str, Any]) -> list[Any]:
        """An input of a call; kcore's models have a call of their own before those in the graph."""
        name, index, tensor = reference
        if name in self._dropped:
            raise UnknownNameError(
                f"{self.reader.name!r}: a layer takes the result of the operation {name!r}, which computes a mask; "
                "kcore's models are made of layers. Put it into a Lambda layer before saving."
            )
        return [name, index + (1 if name in self._models else 0), tensor, dict(arguments)]

    def _reference(self, history: Any) -> Reference:
        if (
            not isinstance(history, (list, tuple)) or len(history) < 3 or not isinstance(history[0], str)
            or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in history[1:3])
        ):  # fmt: skip
            raise self.reader.broken(f"a tensor is [layer, call, output], found {history!r}")
        return history[0], history[1], history[2]

    # --- calls ----------------------------------------------------------------------------------------------

    def _call(self, layer: Mapping[str, Any], number: int, call: Any) -> list[list[Any]]:
        """The inputs of one call, each with the call's arguments, as Keras 2 wrote them."""
        if isinstance(call, list):  # tf_keras, and Keras 3 of files that Keras 2 wrote
            return [self._old_input(item) for item in ([call] if call and isinstance(call[0], str) else call)]
        if not isinstance(call, Mapping):
            raise self.reader.broken(f"a call of layer {layer['name']!r} is {type(call).__name__}")
        positional = [self._tensors(value) for value in call.get("args") or []]
        keyword = {str(k): self._tensors(v) for k, v in (call.get("kwargs") or {}).items()}
        keyword = {k: v for k, v in keyword.items() if k not in _IMPLIED and v is not None}
        keyword = self._without_masks(layer, number, keyword)
        inputs, keyword = self._inputs(layer, positional, keyword)
        for name, value in keyword.items():
            if any(True for _ in _references(value)):
                raise UnknownNameError(
                    f"{self.reader.name!r}: the layer {layer['name']!r} ({layer['class_name']}) is called with a "
                    f"tensor as {name!r}; kcore's {layer['class_name']} takes no such input in a functional model."
                )
        arguments = {k: self.reader.value(v) for k, v in keyword.items()}
        return [self._inbound(reference, arguments) for reference in inputs]

    def _old_input(self, item: Any) -> list[Any]:
        if not isinstance(item, list):
            raise self.reader.broken(f"an input of a call is {item!r}")
        arguments = item[3] if len(item) > 3 and isinstance(item[3], Mapping) else {}
        arguments = {k: v for k, v in arguments.items() if k not in _IMPLIED and v is not None}
        return [*self._reference(item), self.reader.value(arguments)]

    def _tensors(self, value: Any) -> Any:
        """A value of a call with tensors as references (tuples) to what they come from."""
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), Mapping):
                return self._reference(value["config"].get("keras_history"))
            return {k: self._tensors(v) for k, v in value.items()}
        return [self._tensors(v) for v in value] if isinstance(value, list) else value

    def _without_masks(self, layer: Mapping[str, Any], number: int, keyword: dict[str, Any]) -> dict[str, Any]:
        """The arguments without the masks that layers before made: kcore's make them again."""
        kept = {}
        for name, value in keyword.items():
            if name == "mask" or name.endswith("_mask"):
                found = list(_references(value))
                if found and all(reference[0] in self._dropped for reference in found):
                    call = number + (1 if layer["name"] in self._models else 0)
                    self.reader.masked.append((str(layer["name"]), call))
                    continue
                if not found and _all_none(value):
                    continue
            kept[name] = value
        return kept

    def _inputs(
        self, layer: Mapping[str, Any], positional: list[Any], keyword: dict[str, Any]
    ) -> tuple[list[Reference], dict[str, Any]]:
        """The tensors that the layer is called on, in kcore's order, and the other arguments."""
        kind = layer["class_name"]
        if kind == "MultiHeadAttention":
            return self._attention_inputs(positional, keyword)
        first = ("inputs", "sequences", "query", "x")
        for name in first:
            if not positional and name in keyword:
                positional = [keyword.pop(name)]
        if kind in names.RECURRENT:
            state = keyword.pop("initial_state", positional[1] if len(positional) > 1 else None)
            positional = [positional[:1], state] if state is not None else positional[:1]
            return list(_references(positional)), keyword
        if len(positional) > 1:
            raise UnknownNameError(
                f"{self.reader.name!r}: the layer {layer['name']!r} ({kind}) is called with {len(positional)} "
                "positional arguments; kcore's layers are called on one tensor or a list of tensors."
            )
        return list(_references(positional)), keyword

    def _attention_inputs(
        self, positional: list[Any], keyword: dict[str, Any]
    ) -> tuple[list[Reference], dict[str, Any]]:
        """Query, value and key (the value where none is given), then masks, whose names are an argument."""
        given = dict(zip(("query", "value", "key", *_MASKS), positional, strict=False))
        given.update({k: keyword.pop(k) for k in list(keyword) if k in ("query", "value", "key", *_MASKS)})
        if given.get("query") is None or given.get("value") is None:
            raise self.reader.broken("a MultiHeadAttention is called without a query or a value")
        key = given.get("key")
        inputs = [given["query"], given["value"], given["value"] if key is None else key]
        named = [name for name in _MASKS if given.get(name) is not None]
        inputs += [given[name] for name in named]
        return list(_references(inputs)), {**keyword, **({"named": named} if named else {})}


def _references(value: Any) -> Iterator[Reference]:
    """The tensors in a value; those of dictionaries by sorted keys, as Keras 3 takes them."""
    if isinstance(value, tuple):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _references(value[key])


def _all_none(value: Any) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return all(v is None if not isinstance(v, (Mapping, list)) else _all_none(v) for v in inside)


def _ends(ends: Any) -> list[Any]:
    """Inputs or outputs of a model as a list: Keras 3 keeps their structure, a single one, lists, or dictionaries."""
    if isinstance(ends, Mapping):
        return [end for key in sorted(ends) for end in _ends(ends[key])]
    if isinstance(ends, list) and len(ends) == 3 and isinstance(ends[0], str):
        return [ends]
    return [end for item in ends or [] for end in _ends(item)]


def end_names(ends: Any) -> dict[str, str]:
    """Keys of a dictionary of outputs, to the names of the layers that make them."""
    if not isinstance(ends, Mapping):
        return {}
    return {str(key): end[0] for key, end in ends.items() if isinstance(end, list) and end}


def as_layers(entries: Any) -> Any:
    """A model's entries as kcore takes them: without operations on masks, other operations as layers where some are."""
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        return entries
    dropped = _only_masks(entries, set())
    return [_as_layer(entry) for entry in entries if entry.get("name") not in dropped or not is_operation(entry)]


def _as_layer(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry; an operation on tensors that is what one of kcore's layers does, as that layer.

    `x + y` between layers is an operation of Keras 3's. Those of two tensors of one rank are merging layers.
    """
    kind, calls = entry.get("class_name"), entry.get("inbound_nodes")
    if not is_operation(entry) or not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
        return entry
    config = {"name": entry["config"].get("name")} if isinstance(entry.get("config"), Mapping) else {}
    arguments = [call.get("args") for call in calls]
    if any(call.get("kwargs") for call in calls):
        return entry
    if kind in _MERGING and all(_ranks(args) in ([n, n] for n in range(1, 9)) for args in arguments):
        changed = [{"args": [args], "kwargs": {}} for args in arguments]
        return {**entry, "module": "keras.layers", "config": config, "inbound_nodes": changed}
    if kind == "Concatenate" and all(
        isinstance(args, list) and len(args) == 1 and _ranks(args[0]) for args in arguments
    ):
        axis = entry["config"].get("axis", 0)
        return {**entry, "module": "keras.layers", "config": {**config, "axis": axis}}
    return entry


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is an operation on tensors, no layer."""
    return ".ops." in f"{entry.get('module') or ''}."


def _ranks(arguments: Any) -> list[int]:
    """The ranks of a list of tensors; nothing of a list that holds anything else."""
    found = []
    for item in arguments if isinstance(arguments, list) else ():
        config = (
            item.get("config") if isinstance(item, Mapping) and item.get("class_name") == "__keras_tensor__" else None
        )
        shape = config.get("shape") if isinstance(config, Mapping) else None
        if not isinstance(shape, list):
            return []
        found.append(len(shape))
    return found


def _only_masks(entries: list[Any], outputs: set[Any]) -> set[str]:
    """Names of the operations between layers whose results are used as masks alone."""
    operations = {e.get("name") for e in entries if is_operation(e)}
    wanted = operations & outputs  # those that something else uses
    uses: list[tuple[Any, Any]] = []
    for entry in entries:
        for call in entry.get("inbound_nodes") or []:
            if not isinstance(call, Mapping):
                continue
            values = [*(call.get("args") or []), *(v for k, v in _keywords(call) if not k.endswith("mask"))]
            uses += [(entry.get("name"), name) for name in _tensor_names(values)]
    changed = True
    while changed:
        changed = False
        for user, used in uses:
            if used in operations and used not in wanted and (user not in operations or user in wanted):
                wanted.add(used)
                changed = True
    return {name for name in operations - wanted if isinstance(name, str)}


def _keywords(call: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = call.get("kwargs")
    return [(str(k), v) for k, v in found.items()] if isinstance(found, Mapping) else []


def _tensor_names(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        history = value["config"].get("keras_history") if isinstance(value.get("config"), Mapping) else None
        if value.get("class_name") == "__keras_tensor__" and isinstance(history, list) and history:
            yield history[0]
        else:
            for item in value.values():
                yield from _tensor_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tensor_names(item)
