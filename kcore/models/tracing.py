"""Giving a model without inputs the inputs of its first data: subclassed models are traced here.

A `call` with a `training` argument is traced twice, for training and for test; the learning phase chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import DataError, GraphError
from kcore.graph import eager, ir
from kcore.graph.function import convert
from kcore.graph.ir import Symbolic
from kcore.utils.generic_utils import to_list, unpack_singleton


def set_inputs(model: Any, inputs: Any, outputs: Any = None, training: bool | None = None) -> None:
    """Make placeholders like the data (tensors are taken as they are) and trace the model on them.

    Args:
        model: a subclassed model, or a Sequential that does not know its input shape.
        inputs: an array or tensor, or a list of them.
        outputs: the model's outputs, when they have been computed.
        training: trace for training only (True) or test only (False).
    """
    given = to_list(inputs, allow_tuple=True)
    if hasattr(model, "add") and hasattr(model, "pop"):  # a Sequential: its layers say how to build it
        if len(given) != 1:
            raise DataError(f"{model.name} is a Sequential model: it takes one input, got {len(given)}.")
        model.build((None, *np.shape(given[0])[1:]))
        return
    if model.inputs:
        raise GraphError(f"The inputs of model {model.name} are already set.")
    names = [f"input_{i + 1}" for i in range(len(given))]
    tensors = [_tensor(value, name) for value, name in zip(given, names, strict=True)]
    if outputs is None:
        outputs = trace_call(model, tensors, training)
    fed = [(name, x) for name, x in zip(names, tensors, strict=True) if K.is_placeholder(x)]
    model.inputs = tensors
    model.input_names = names
    model._feed_inputs = [x for _, x in fed]
    model._feed_input_names = [name for name, _ in fed]
    model._feed_input_shapes = [K.int_shape(x) for _, x in fed]
    model.outputs = to_list(outputs, allow_tuple=True)
    model.output_names = [f"output_{i + 1}" for i in range(len(model.outputs))]
    model.built = True


def _tensor(value: Any, name: str) -> Symbolic:
    if isinstance(value, Symbolic):
        return value
    shape = tuple(getattr(value, "shape", np.shape(value)))
    if len(shape) < 2:
        shape = (None, 1)  # data of one axis is fed as a column
    placeholder = K.placeholder(shape=(None, *shape[1:]), name=name)
    tape = eager.current()
    if tape is not None:  # `call` may look at the values
        tape.feed(placeholder, convert(tape.backend, placeholder, np.reshape(value, (-1, *shape[1:]))))
    return placeholder  # type: ignore[no-any-return]


def needs_only(item: Any, inputs: Sequence[Any]) -> bool:
    """Whether a loss or update is computed from these inputs alone (and from variables)."""
    known = {id(x) for x in inputs}
    roots = ir.values_in([list(item) if isinstance(item, tuple) else item])
    nodes = ir.topological(roots, lambda value: id(value) in known)
    reached = [*roots, *(x for node in nodes for x in node.inputs)]
    return all(id(x) in known or not K.is_placeholder(x) for x in reached)


def trace_call(model: Any, tensors: list[Any], training: bool | None) -> list[Symbolic]:
    """The outputs of `model.call`; with a `training` argument, those of the phase that a run is in."""
    given = unpack_singleton(tensors)
    if not model._expects_training_arg:
        return _outputs(model, model.call(given))
    if training is not None:
        return _outputs(model, model.call(given, training=training))
    before = _Additions(model)
    train = _outputs(model, model.call(given, training=True))
    between = _Additions(model)
    test = _outputs(model, model.call(given, training=False))
    between.choose_after(before)
    if len(train) != len(test):
        raise GraphError(
            f"`call` of {model.name} gives {len(train)} outputs in training and {len(test)} in test; expected as many."
        )
    return [_by_phase(a, b) for a, b in zip(train, test, strict=True)]


def _by_phase(train: Any, test: Any) -> Any:
    """A choice of functions, since a run of one phase makes nothing of the other."""
    return K.in_train_phase(lambda: train, lambda: test)


def _outputs(model: Any, result: Any) -> list[Symbolic]:
    outputs = to_list(result, allow_tuple=True)
    for x in outputs:
        if not isinstance(x, Symbolic):
            raise GraphError(
                f"`call` of {model.name} returned {x!r}; expected a tensor or a list of tensors. Is a `return` missing?"
            )
    return outputs


class _Additions:
    """How many losses and updates each layer had at one moment."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.counts = {(id(layer), kind): len(getattr(layer, kind)) for layer, kind in self._lists(model)}

    @staticmethod
    def _lists(model: Any) -> Iterator[tuple[Any, str]]:
        for layer in all_layers(model):
            yield layer, "_losses"
            yield layer, "_updates"

    def choose_after(self, before: _Additions) -> None:
        """Of what was added before and after this moment, let the phase choose, pair by pair."""
        for layer, kind in self._lists(self.model):
            start = before.counts.get((id(layer), kind), 0)
            middle = self.counts.get((id(layer), kind), start)
            items = getattr(layer, kind)
            train, test = items[start:middle], items[middle:]
            if not test:
                continue
            chosen = _chosen(train, test) if kind == "_losses" else _chosen_updates(train, test)
            if chosen is not None:
                items[start:] = chosen


def _chosen(train: Sequence[Any], test: Sequence[Any]) -> list[Any] | None:
    if len(train) != len(test):
        return None
    return [b if a is b else _by_phase(a, b) for a, b in zip(train, test, strict=True)]


def _chosen_updates(train: Sequence[Any], test: Sequence[Any]) -> list[Any] | None:
    from kcore.graph.updates import as_pairs, update

    first, second = as_pairs(train), as_pairs(test)
    if [id(v) for v, _ in first] != [id(v) for v, _ in second]:
        return None
    return [update(v, _by_phase(a, b)) for (v, a), (_, b) in zip(first, second, strict=True)]


def all_layers(layer: Any) -> Iterator[Any]:
    """The layer and all inside it."""
    yield layer
    for inner in layer._inner_layers():
        yield from all_layers(inner)
