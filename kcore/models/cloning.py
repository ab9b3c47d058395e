"""Copies of models with layers and weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers.input import Input, InputLayer
from kcore.models.model import Model
from kcore.models.sequential import Sequential
from kcore.utils.generic_utils import to_list, unpack_singleton


def clone_model(model: Any, input_tensors: Any = None, clone_function: Callable[[Any], Any] | None = None) -> Any:
    """A model of the same structure with new layers and newly drawn weights.

    Args:
        model: a functional or Sequential model.
        input_tensors: tensors to build the copy on, one for each input; new inputs when None.
        clone_function: makes the copy of a layer, which may be another layer or the layer itself, whose weights are
            then shared. It is called once for each layer but the inputs. None: a layer of the same configuration.

    Raises:
        ArgumentError: for a subclassed model, for what is no model, or for another number of tensors.

    >>> from kcore.layers import Dense
    >>> model = Sequential([Dense(2, input_shape=(3,), name="a"), Dense(1, name="b")])
    >>> frozen = clone_model(model, clone_function=lambda layer: Dense(layer.units, name=layer.name, trainable=False))
    >>> frozen.trainable_weights
    []
    """
    if not isinstance(model, Model):
        raise ArgumentError(f"Expected `model` argument to be a `Model` instance, got {model!r}.")
    copy_of = _clone_layer if clone_function is None else clone_function
    if isinstance(model, Sequential):
        return _clone_sequential(model, input_tensors, copy_of)
    if not model._is_graph_network:
        raise ArgumentError(
            f"Cannot clone {model.name}: a subclassed model's structure is its code. Make a new {type(model).__name__}."
        )
    return _clone_functional(model, input_tensors, copy_of)


def _clone_layer(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _clone_functional(model: Any, input_tensors: Any, copy_of: Callable[[Any], Any]) -> Any:
    if input_tensors is None:
        tensors = [
            Input(batch_shape=x.batch_input_shape, dtype=x.dtype, sparse=x.sparse, name=x.name)
            for x in model._input_layers
        ]
    else:
        given = to_list(input_tensors, allow_tuple=True)
        if len(given) != len(model.inputs):
            raise ArgumentError(
                f"To clone {model.name}, expected a tensor for each of its {len(model.inputs)} inputs "
                f"({', '.join(model.input_names)}), got {len(given)}."
            )
        tensors = [
            x if K.is_keras_tensor(x) else Input(tensor=x, name=f"input_wrapper_for_{layer.name}")
            for x, layer in zip(given, model._input_layers, strict=True)
        ]
    values = {id(x): y for x, y in zip(model.inputs, tensors, strict=True)}
    copies: dict[int, Any] = {}
    for node in model._nodes_in_order():
        layer = node.outbound_layer
        if isinstance(layer, InputLayer):
            continue
        if id(layer) not in copies:
            copies[id(layer)] = copy_of(layer)
        outputs = copies[id(layer)](unpack_singleton([values[id(x)] for x in node.input_tensors]), **node.arguments)
        values.update({id(x): y for x, y in zip(node.output_tensors, to_list(outputs), strict=True)})
    return Model(tensors, [values[id(x)] for x in model.outputs], name=model.name)


def _clone_sequential(model: Any, input_tensors: Any, copy_of: Callable[[Any], Any]) -> Any:
    layers = [copy_of(layer) for layer in model.layers]
    if input_tensors is None:
        copy = Sequential(layers=layers, name=model.name)
        if not copy.inputs and model._build_input_shape:
            copy.build(model._build_input_shape)
        elif not copy.inputs and model.inputs:  # it began with an InputLayer
            first = model._layers[0]
            source = InputLayer(batch_input_shape=first.batch_input_shape, dtype=first.dtype, name=first.name)
            copy = Sequential(layers=[source, *layers], name=model.name)
        return copy
    tensors = to_list(input_tensors, allow_tuple=True)
    if len(tensors) != 1:
        raise ArgumentError(f"To clone a `Sequential` model, we expect at most one input tensor, got {len(tensors)}.")
    x = tensors[0]
    if not K.is_keras_tensor(x):
        x = Input(tensor=x, name=f"input_wrapper_for_{x.name.rsplit(':', 1)[0]}")
    source = x._keras_history[0]
    if not isinstance(source, InputLayer):
        raise ArgumentError(
            "Cannot clone a `Sequential` model on top of a tensor that comes from a Keras layer other than an "
            "`InputLayer`. Use the functional API instead."
        )
    return Sequential(layers=[source, *layers], name=model.name)
