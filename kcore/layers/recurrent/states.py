"""Initial states and constants given to a recurrent layer's call: as arguments, or among its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers.base import InputSpec


def standardize_args(
    inputs: Any, initial_state: Any, constants: Any, num_constants: int | None
) -> tuple[Any, list[Any] | None, list[Any] | None]:
    """Part a list of inputs into the sequence, the initial states and the constants.

    Args:
        inputs: the sequence; or a list of it, the initial states, and the constants.
        initial_state: tensor, list or None.
        constants: tensor, list or None.
        num_constants: how many of the inputs are constants; None for none.

    Returns:
        The sequence, and the states and constants as lists or None.
    """
    if isinstance(inputs, (list, tuple)):
        if initial_state is not None or constants is not None:
            raise ArgumentError(
                "Initial states and constants were given both in the list of inputs and as arguments; give them once."
            )
        inputs = list(inputs)
        if num_constants:
            inputs, constants = inputs[:-num_constants], inputs[-num_constants:]
        inputs, initial_state = inputs[0], inputs[1:] or None
    return inputs, _list_or_none(initial_state), _list_or_none(constants)


def _list_or_none(x: Any) -> list[Any] | None:
    if x is None or isinstance(x, list):
        return x
    return list(x) if isinstance(x, tuple) else [x]


def specs_of(tensors: list[Any]) -> list[InputSpec]:
    """What further inputs of a layer must be like: what these are."""
    return [InputSpec(shape=K.int_shape(x)) for x in tensors]


def call_with_more(
    layer: Any, call: Callable[..., Any], inputs: Any, more: Mapping[str, list[Any]], kwargs: Mapping[str, Any]
) -> Any:
    """Call a layer with further tensors.

    Tensors that layers made become inputs of the call, so that models know of them; others are passed as arguments.

    Args:
        layer: the recurrent layer or its wrapper.
        call: the call that takes no further tensors.
        inputs: the sequence.
        more: lists of tensors by argument name.
        kwargs: other arguments.
    """
    tensors = [x for group in more.values() for x in group]
    made_by_layers = [K.is_keras_tensor(x) for x in tensors]
    if not any(made_by_layers):
        return call(inputs, **kwargs, **more)
    if not all(made_by_layers):
        raise ArgumentError(
            f"The initial state or constants of {layer.name} cannot be specified with a mix of Keras tensors and "
            'non-Keras tensors (a "Keras tensor" is a tensor that was returned by a Keras layer, or by `Input`).'
        )
    layer.input_spec = [*layer.input_spec, *specs_of(tensors)]
    try:
        return call([inputs, *tensors], **kwargs)
    finally:
        layer.input_spec = layer.input_spec[:1]
