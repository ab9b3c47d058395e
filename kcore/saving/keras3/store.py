"""Where Keras 3 keeps which weight: paths like `layers/lstm_1/cell/vars/0`, found by a walk over a model.

A layer's own weights are numbered under `vars`; layers inside follow under the attribute that holds them, those in a
list under their class's name, numbered when it occurs again. A layer that is met twice is kept where it was met first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kcore.layers.base import Layer
from kcore.layers.state import _INTERNAL
from kcore.saving.keras3.order import layers_in_order

#: Of kcore's own layers, the attributes that hold layers, in Keras 3's order of names; other writers' names after it.
_INSIDE: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    **dict.fromkeys(("RNN", "SimpleRNN", "GRU", "LSTM", "ConvLSTM2D", "ConvRNN2D", "CuDNNGRU", "CuDNNLSTM"),
                    (("cell",),)),
    "StackedRNNCells": (("cells",),),
    "TimeDistributed": (("layer",),),
    "Bidirectional": (("backward_layer",), ("forward_layer",)),
    "MultiHeadAttention": (
        ("key_dense", "_key_dense"), ("output_dense", "_output_dense"), ("query_dense", "_query_dense"),
        ("value_dense", "_value_dense"), ("_gate_dense", "gate_dense"),
    ),
}  # fmt: skip
#: Names of attributes that differ here.
_ATTRIBUTE: Final = {"_gate_dense": "gate_dense"}


@dataclass(frozen=True)
class Place:
    """Where one layer's own weights are kept.

    Attributes:
        layer: the layer (or cell).
        path: of its group, "" for the model itself.
        other_paths: where other writers (older versions, tf_keras) keep it.
        variables: its own weights, in Keras 3's order.
    """

    layer: Any
    path: str
    other_paths: tuple[str, ...]
    variables: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(getattr(self.layer, "name", ""))


@dataclass(frozen=True)
class Listed:
    """A layer as a file's configuration lists it.

    Attributes:
        kind: its class's name there.
        inside: the order of the layers of a model, also of one that the layer wraps.
    """

    kind: str
    inside: Order | None = None


#: A configuration's order of the layers of a model, by their names.
Order = Mapping[str, Listed]


def places(model: Any, order: Order | None = None) -> list[Place]:
    """All places of a model, outermost first.

    Args:
        model: a model whose weights exist.
        order: of the layers, as the file's configuration lists them; None for the order that Keras 3 would give them.
    """
    return list(_walk(model, ("",), order, set()))


def _walk(layer: Any, paths: tuple[str, ...], order: Order | None, visited: set[int]) -> Iterator[Place]:
    if id(layer) in visited:
        return
    visited.add(id(layer))
    own = (*getattr(layer, "_trainable_weights", ()), *getattr(layer, "_non_trainable_weights", ()))
    yield Place(layer, paths[0], paths[1:], own)
    if _is_graph(layer):
        visited = set()  # a layer that two models share is kept in each: whoever reads them makes copies
    for names, held in _children(layer, order):
        below = tuple(dict.fromkeys(_joined(path, name) for path in paths for name in names))
        if isinstance(held, (list, tuple, dict)):
            yield from _walk_list(held, below, order, visited)
        else:
            yield from _walk(held, below, order, visited)


def _walk_list(held: Any, paths: tuple[str, ...], order: Order | None, visited: set[int]) -> Iterator[Place]:
    used: dict[str, int] = {}
    for item in held.values() if isinstance(held, dict) else held:
        nested = isinstance(item, (list, tuple, dict))
        if not nested and not _holds_weights(item):
            continue
        name = "container" if nested else snake_case(_kind(order, item))
        count = used.get(name, 0)
        used[name] = count + 1
        below = tuple(_joined(path, f"{name}_{count}" if count else name) for path in paths)
        if nested:
            yield from _walk_list(item, below, order, visited)
        else:
            yield from _walk(item, below, _inner_order(order, item), visited)


def _children(layer: Any, order: Order | None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Attributes that hold layers, in the order in which Keras 3 looks at them: (names, layer or list)."""
    if _is_graph(layer):
        yield ("layers", "_layer_checkpoint_dependencies"), _listed_layers(layer, order)
        return
    kind = type(layer).__name__
    if type(layer).__module__.startswith("kcore.") and not hasattr(layer, "_is_graph_network"):
        for names in _INSIDE.get(kind, ()):
            held = getattr(layer, _ATTRIBUTE.get(names[0], names[0]), None)
            if held is not None:
                yield names, held
        return
    found = {k: v for k, v in vars(layer).items() if k not in _OWN_ATTRIBUTES and k not in _INTERNAL and _of_layers(v)}
    if hasattr(layer, "_is_graph_network"):
        found["layers"] = layer.layers  # a property of every model
    for name in sorted(found, key=lambda name: f"~{name}" if name.startswith("_") else name):
        yield (name,), found[name]


def _is_graph(layer: Any) -> bool:
    """Whether this is a model whose layers are listed in its configuration."""
    return bool(getattr(layer, "_is_graph_network", False)) or type(layer).__name__ == "Sequential"


def _listed_layers(model: Any, order: Order | None) -> list[Any]:
    if order is None:
        return layers_in_order(model)
    by_name = {layer.name: layer for layer in model.__dict__.get("_layers", model.layers)}
    return [by_name[name] for name in order if name in by_name]


def _inner_order(order: Order | None, layer: Any) -> Order | None:
    listed = None if order is None else order.get(getattr(layer, "name", ""))
    return None if listed is None else listed.inside


def _kind(order: Order | None, layer: Any) -> str:
    """The layer's class as the file calls it: the caller's own class may have another name."""
    listed = None if order is None else order.get(getattr(layer, "name", ""))
    return class_name(layer) if listed is None else listed.kind


def _of_layers(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return any(_of_layers(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, Layer)


def _holds_weights(item: Any) -> bool:
    return isinstance(item, Layer) or hasattr(item, "_trainable_weights")


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def class_name(layer: Any) -> str:
    """The class's name as Keras 3 has it."""
    kind = type(layer).__name__
    own = type(layer).__module__.startswith("kcore.")
    return "Functional" if own and kind in ("Model", "Network") else kind


def snake_case(name: str) -> str:
    """A class's name as Keras 3 writes it in paths.

    >>> [snake_case(name) for name in ("Conv2DTranspose", "PReLU", "BatchNormalization", "GRUCell")]
    ['conv2d_transpose', 'p_re_lu', 'batch_normalization', 'gru_cell']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def trained(model: Any, order: Order | None = None) -> list[Any]:
    """The weights that training changes, in the order in which Keras 3's optimizers keep state for them."""
    wanted = {id(w) for w in model.trainable_weights}
    found = [w for w in _in_tracking_order(model, order, set()) if id(w) in wanted]
    return list({id(w): w for w in found}.values())


def _in_tracking_order(layer: Any, order: Order | None, visited: set[int]) -> Iterator[Any]:
    if id(layer) in visited:
        return
    visited.add(id(layer))
    yield from getattr(layer, "_trainable_weights", ())
    yield from getattr(layer, "_non_trainable_weights", ())
    if _is_graph(layer):
        for child in _listed_layers(layer, order):
            yield from _in_tracking_order(child, _inner_order(order, child), visited)
        return
    inside: Iterable[Any] = layer.cells if type(layer).__name__ == "StackedRNNCells" else getattr(layer, "_layers", ())
    for child in inside:
        yield from _in_tracking_order(child, order, visited)


def with_weights(found: Sequence[Place]) -> list[Place]:
    """The places that hold anything."""
    return [place for place in found if place.variables]


#: What every layer has; layers of a user's own hold theirs in other attributes.
_OWN_ATTRIBUTES: Final = frozenset({*vars(Layer(name="any")), "_self_layers", "_metrics", "optimizer"})
