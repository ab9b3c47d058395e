"""Layers around a layer: TimeDistributed applies it to each step, Bidirectional runs a recurrent one both ways."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers.base import InputSpec, Layer
from kcore.layers.recurrent.states import call_with_more, specs_of, standardize_args
from kcore.layers.state import untracked
from kcore.ops.shaping import shape_of
from kcore.utils.generic_utils import object_list_uid, to_list
from kcore.utils.objects import has_arg, serialize_keras_object


class Wrapper(Layer):
    """Base of layers around a layer, whose weights, losses and updates are theirs.

    Args:
        layer: the layer inside.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{type(self).__name__} expects a layer to wrap, got {layer!r}.")
        self.layer = layer
        # Which inputs the layer inside was called on, by those of this one: its updates and losses hang on its own.
        self._input_map: dict[str, Any] = {}
        super().__init__(**kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to make."""
        self.built = True

    @property
    def activity_regularizer(self) -> Any:
        """That of the layer inside."""
        return getattr(self.layer, "activity_regularizer", None)

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        """That of the layer inside."""
        return bool(self.layer.trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.layer.trainable = value

    def _call_inside(self, layer: Any, inputs: Any, **kwargs: Any) -> Any:
        """`layer.call`, such that losses and updates added there belong to these inputs."""
        with layer._calling(to_list(inputs)):
            return layer.call(inputs, **kwargs)

    def _inner_inputs(self, inputs: Any) -> Any:
        return inputs if inputs is None else self._input_map.get(object_list_uid(inputs), inputs)

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Updates that depend on these inputs, or for None those that depend on no input."""
        if not self.trainable and not self.stateful:
            return []
        own = self._per_input_updates.get(None if inputs is None else object_list_uid(inputs), [])
        return own + self._inside("get_updates_for", inputs)

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Penalties that depend on these inputs, or for None those that depend on no input."""
        own = self._per_input_losses.get(None if inputs is None else object_list_uid(inputs), [])
        return own + self._inside("get_losses_for", inputs)

    def _inside(self, method: str, inputs: Any) -> list[Any]:
        inner = self._inner_inputs(inputs)
        return [item for layer in self._inner_layers() for item in getattr(layer, method)(inner)]

    def get_weights(self) -> list[Any]:
        """Those of the layer inside."""
        return list(self.layer.get_weights())

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set those of the layer inside."""
        self.layer.set_weights(weights)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A layer from the result of `get_config`."""
        from kcore.layers.registry import deserialize

        config = dict(config)
        layer = deserialize(config.pop("layer"), custom_objects)
        num_constants = config.pop("num_constants", None)
        wrapper = cls(layer, **config)
        if num_constants is not None:
            wrapper._num_constants = num_constants
        return wrapper


class TimeDistributed(Wrapper):
    """A layer applied to each step of a sequence.

    Args:
        layer: the layer; it sees inputs without the second axis, time.

    Input of at least three dimensions, (batch, time, ...). When the batch size is unknown, all steps are handed to the
    layer as one larger batch; when it is known, the layer sees a batch of that size at each step.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Build the layer inside for one step."""
        input_shape = tuple(input_shape)
        if len(input_shape) < 3:
            raise ShapeError(
                f"{self.name} expects inputs of at least three dimensions, (batch, time, ...); received shape "
                f"{input_shape}."
            )
        self.input_spec = InputSpec(shape=(None, None, *input_shape[2:]))
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))
            self.layer.built = True
        super().build()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, time, ...) with what the layer inside makes of one step."""
        step = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (step[0], input_shape[1], *step[1:])

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The layer's outputs at all steps."""
        kwargs = {"training": training} if has_arg(self.layer.call, "training") else {}
        if K.int_shape(inputs)[0]:
            outputs = self._step_by_step(inputs, kwargs)
            # The call itself adds this penalty as well: in Keras 2.3.1 it counts twice when the batch size is known.
            self._add_activity_losses([outputs], to_list(inputs))
            return outputs
        if mask is not None and has_arg(self.layer.call, "mask"):
            kwargs["mask"] = _steps_as_samples(mask)
        samples = _steps_as_samples(inputs)
        self._input_map[object_list_uid(inputs)] = samples
        y = self._call_inside(self.layer, samples, **kwargs)
        outputs = _samples_as_steps(y, inputs)
        if getattr(y, "_uses_learning_phase", False):
            outputs._uses_learning_phase = True
        return outputs

    def _step_by_step(self, inputs: Any, kwargs: dict[str, Any]) -> Any:
        phase = False

        def step(x: Any, _: Any) -> tuple[Any, list[Any]]:
            nonlocal phase
            output = self._call_inside(self.layer, x, **kwargs)
            phase = phase or getattr(output, "_uses_learning_phase", False)
            return output, []

        outputs = K.rnn(step, inputs, initial_states=[], input_length=K.int_shape(inputs)[1])[1]
        if phase:
            outputs._uses_learning_phase = True
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask that the layer inside gives at all steps; else the given one, reduced to (batch, time)."""
        if K.int_shape(inputs)[0]:
            return mask
        samples = self._input_map.get(object_list_uid(inputs))
        if samples is None:
            samples = _steps_as_samples(inputs)
        inner = self.layer.compute_mask(samples, None if mask is None else _steps_as_samples(mask))
        if inner is not None:
            return _samples_as_steps(inner, inputs)
        if mask is None:
            return None
        for _ in range(2, K.ndim(mask)):
            mask = K.any(mask, axis=-1)
        return mask


def _steps_as_samples(x: Any) -> Any:
    """(batch, time, ...) to (batch * time, ...)."""
    return K.reshape(x, (-1, *shape_of(x)[2:]))


def _samples_as_steps(x: Any, inputs: Any) -> Any:
    """(batch * time, ...) to (batch, time, ...), as many steps as the inputs have."""
    return K.reshape(x, (-1, shape_of(inputs)[1], *shape_of(x)[1:]))


class Bidirectional(Wrapper):
    """A recurrent layer run forwards and, with weights of its own, backwards.

    Args:
        layer: the recurrent layer.
        merge_mode: how the outputs are combined: `concat`, `sum`, `mul`, `ave`, or None for both in a list.
        weights: initial values, those of the forward layer first.

    The call takes `initial_state` (the forward layer's states, then the backward layer's) and `constants`.
    """

    def __init__(self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, **kwargs: Any) -> None:
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ArgumentError(
                f'Invalid merge mode. Merge mode should be one of {{"sum", "mul", "ave", "concat", None}}; got '
                f"{merge_mode!r}."
            )
        if not hasattr(layer, "go_backwards"):
            raise ArgumentError(
                "Bidirectional expects a recurrent layer: one with `go_backwards`, `return_sequences`, `return_state` "
                f"and `stateful`, such as LSTM. Got {layer!r}."
            )
        forward = copy.copy(layer)
        config = layer.get_config()
        config["go_backwards"] = not config["go_backwards"]
        backward = type(layer).from_config(config)
        forward.name, backward.name = f"forward_{forward.name}", f"backward_{backward.name}"
        self.forward_layer, self.backward_layer = forward, backward
        if weights:
            half = len(weights) // 2
            forward._initial_weights, backward._initial_weights = weights[:half], weights[half:]
        self.merge_mode = merge_mode
        self._trainable = True
        with untracked():  # the two copies own the weights
            super().__init__(layer, **kwargs)
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._num_constants: int | None = None

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        """Whether training changes the weights of both layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        self.forward_layer.trainable = value
        self.backward_layer.trainable = value

    def get_weights(self) -> list[Any]:
        """Those of the forward layer, then those of the backward layer."""
        return [*self.forward_layer.get_weights(), *self.backward_layer.get_weights()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights of both layers."""
        half = len(weights) // 2
        self.forward_layer.set_weights(weights[:half])
        self.backward_layer.set_weights(weights[half:])

    def build(self, input_shape: Any = None) -> None:
        """Build both layers."""
        for layer in (self.forward_layer, self.backward_layer):
            with K.name_scope(layer.name):
                layer.build(input_shape)
                layer.built = True
            if layer._initial_weights is not None:
                layer.set_weights(layer._initial_weights)
                layer._initial_weights = None
        self.input_spec = [self.forward_layer.input_spec[0], *self.input_spec[1:]]
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the merged output, or both in a list; then, with `return_state`, the states' shapes."""
        shape = self.forward_layer.compute_output_shape(input_shape)
        states = []
        if self.return_state:
            shape, *states = shape
        if self.merge_mode == "concat":
            shape = (*shape[:-1], shape[-1] * 2)
        shapes = [shape, shape] if self.merge_mode is None else [shape]
        shapes += [*states, *states]
        return shapes if len(shapes) > 1 else shape

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        """Apply the layer.

        Args:
            inputs: the sequence; or a list of it, the initial states and the constants.
            initial_state: tensors to start from: those of the forward layer, then those of the backward layer.
            constants: tensors for the cells at every step.
            **kwargs: `mask`, `training`.
        """
        inputs, initial_state, constants = standardize_args(inputs, initial_state, constants, self._num_constants)
        layers, more = (self.forward_layer, self.backward_layer), {}
        if initial_state is not None:
            half, odd = divmod(len(initial_state), 2)
            if odd:
                raise ArgumentError(
                    "When passing `initial_state` to a Bidirectional RNN, the state should be a list containing the "
                    f"states of the underlying RNNs: as many for each direction. Found: {initial_state}"
                )
            more["initial_state"] = initial_state
            for layer, own in zip(layers, (initial_state[:half], initial_state[half:]), strict=True):
                layer.state_spec = specs_of(own)
        if constants is not None:
            more["constants"] = constants
            self._num_constants = len(constants)
            for layer in layers:
                layer.constants_spec, layer._num_constants = specs_of(constants), len(constants)
        if not more:
            return super().__call__(inputs, **kwargs)
        return call_with_more(self, super().__call__, inputs, more, kwargs)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        """The outputs of both layers, merged (and final states)."""
        given = inputs
        if isinstance(inputs, list):
            inputs, among_states, among_constants = standardize_args(inputs, None, None, self._num_constants)
            if initial_state is not None and among_states is not None:
                raise ArgumentError(f"{self.name} was passed initial states both as an argument and as inputs.")
            initial_state = among_states if initial_state is None else initial_state
            constants = among_constants if constants is None else constants
        results = self._both(inputs, mask, training, initial_state, constants)
        self._input_map[object_list_uid(given)] = inputs
        (y, *states), (y_back, *states_back) = (to_list(result) for result in results)
        if self.return_sequences:
            y_back = K.reverse(y_back, 1)
        output = self._merged(y, y_back)
        if any(getattr(x, "_uses_learning_phase", False) for x in (y, y_back)):
            for x in to_list(output):
                x._uses_learning_phase = True
        return [*to_list(output), *states, *states_back] if self.return_state else output

    def _both(
        self, inputs: Any, mask: Any, training: Any, initial_state: list[Any] | None, constants: list[Any] | None
    ) -> list[Any]:
        given = {"training": training, "mask": mask, "constants": constants}
        kwargs = {name: value for name, value in given.items() if has_arg(self.layer.call, name)}
        halves: list[Any] = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = [list(initial_state[:half]), list(initial_state[half:])]
        results = []
        for layer, own in zip((self.forward_layer, self.backward_layer), halves, strict=True):
            if has_arg(layer.call, "initial_state"):
                kwargs["initial_state"] = own
            elif own is not None:
                raise ArgumentError(f"The layer inside {self.name} does not accept an `initial_state` argument.")
            results.append(self._call_inside(layer, inputs, **kwargs))
        return results

    def _merged(self, y: Any, y_back: Any) -> Any:
        if self.merge_mode == "concat":
            return K.concatenate([y, y_back])
        if self.merge_mode == "sum":
            return y + y_back
        if self.merge_mode == "ave":
            return (y + y_back) / 2
        if self.merge_mode == "mul":
            return y * y_back
        return [y, y_back]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The given mask with `return_sequences`, else None, for each output; None for the states."""
        mask = mask[0] if isinstance(mask, list) else mask
        mask = mask if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * (2 * len(self.forward_layer.states))
        return masks if len(masks) > 1 else mask

    def reset_states(self) -> None:
        """Set the states of both layers to zeros."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    @property
    def constraints(self) -> dict[Any, Any]:
        """Those of both layers, where layers have such a dictionary."""
        return {**getattr(self.forward_layer, "constraints", {}), **getattr(self.backward_layer, "constraints", {})}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {**super().get_config(), "merge_mode": self.merge_mode}
        if self._num_constants is not None:
            config["num_constants"] = self._num_constants
        return config
