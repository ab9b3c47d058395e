"""`RNN`: a cell over time, and what all recurrent layers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError, NotBuiltError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.layers.base import InputSpec, Layer
from kcore.layers.recurrent.cell import Pass, drawn_masks, output_size, state_sizes
from kcore.layers.recurrent.stacked import StackedRNNCells
from kcore.layers.recurrent.states import call_with_more, specs_of, standardize_args
from kcore.ops import creation
from kcore.ops.dtypes import is_float
from kcore.ops.shaping import shape_of
from kcore.utils.generic_utils import to_list
from kcore.utils.objects import has_arg, serialize_keras_object

_BATCH_SIZE_NEEDED = (
    "If a RNN is stateful, it needs to know its batch size. Specify the batch size of your input tensors:\n"
    "- in a Sequential model, by `batch_input_shape` of the first layer;\n"
    "- with the functional API, by `batch_shape` of the Input layer."
)
_TIME_NEEDED = (
    "Cannot unroll a RNN if the time dimension is undefined.\n"
    "- In a Sequential model, specify it by `input_shape` or `batch_input_shape` of the first layer (`input_length` of "
    "an Embedding).\n"
    "- With the functional API, specify it by `shape` or `batch_shape` of the Input layer."
)


class RNN(Layer):
    """A cell iterated over time.

    Args:
        cell: an object with `call(inputs at t, states at t) -> (output at t, states at t + 1)` and `state_size`, an
            integer or one per state; `output_size` where that differs from the first state's. `call` may take
            `training` and `constants`. Or a list of cells, which are stacked.
        return_sequences: give all outputs in place of the last one.
        return_state: give the final states too.
        go_backwards: start with the last step; outputs come in the order in which they are made.
        stateful: each batch starts with the states in which the one before ended, sample by sample.
        unroll: write the steps one after another in place of a loop, for short sequences.

    Input of shape (batch, time, features); output (batch, units), or (batch, time, units) with `return_sequences`;
    with `return_state` a list of it and the states. A mask makes steps be skipped: states are kept, outputs repeated.

    The call takes `initial_state` and `constants`, tensors or lists; constants are handed to the cell at every step.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call"):
            raise ArgumentError(f"`cell` should have a `call` method. The RNN was passed: {cell!r}")
        if not hasattr(cell, "state_size"):
            raise ArgumentError(
                "The RNN cell should have an attribute `state_size`: an integer, or a tuple of one integer per state. "
                f"The RNN was passed: {cell!r}"
            )
        self._init_rnn(return_sequences, return_state, go_backwards, stateful, unroll, kwargs)
        self.cell = cell

    def _init_rnn(
        self, return_sequences: bool, return_state: bool, go_backwards: bool, stateful: bool, unroll: bool,
        kwargs: Mapping[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.supports_masking = True
        self.input_spec: list[InputSpec] = [InputSpec(ndim=3)]
        self.state_spec: list[InputSpec] | None = None
        self.constants_spec: list[InputSpec] | None = None
        self._states: list[Any] | None = None
        self._num_constants: int | None = None

    # --- shapes and weights -------------------------------------------------------------------------------

    @property
    def states(self) -> list[Any]:
        """The variables that keep the states of a stateful layer; None for each before there are any."""
        return [None] * len(state_sizes(self.cell)) if self._states is None else self._states

    @states.setter
    def states(self, states: list[Any] | None) -> None:
        self._states = states

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, units), or (batch, time, units); with `return_state` a list of it and the states' shapes."""
        if isinstance(input_shape, list):
            input_shape = input_shape[0]
        time = (input_shape[1],) if self.return_sequences else ()
        shape = (input_shape[0], *time, output_size(self.cell))
        if not self.return_state:
            return shape
        return [shape, *((input_shape[0], size) for size in state_sizes(self.cell))]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the first input with `return_sequences`, else None; None for the states."""
        mask = mask[0] if isinstance(mask, list) else mask
        mask = mask if self.return_sequences else None
        return [mask, *(None for _ in self.states)] if self.return_state else mask

    def build(self, input_shape: Any) -> None:
        """Build the cell; make the states of a stateful layer."""
        shape = tuple(input_shape[0] if isinstance(input_shape, list) else input_shape)
        batch_size = shape[0] if self.stateful else None
        self.input_spec[0] = InputSpec(shape=(batch_size, None, *shape[2:]))
        if isinstance(self.cell, Layer) and not self.cell.built:
            step = (shape[0], *shape[2:])
            constants = [spec.shape for spec in self.constants_spec or ()]
            self.cell.build([step, *constants] if constants else step)
            self.cell.built = True
        self._check_state_spec()
        if self.stateful:
            self.reset_states()
        self.built = True

    def _check_state_spec(self) -> None:
        sizes = state_sizes(self.cell)
        if self.state_spec is None:
            self.state_spec = [InputSpec(shape=self._state_shape(None, size)) for size in sizes]
        elif [spec.shape[self._state_axis] for spec in self.state_spec] != sizes:  # type: ignore[index]
            raise ShapeError(
                f"An `initial_state` was passed to {self.name} that is not compatible with `cell.state_size`. Received "
                f"`state_spec`={self.state_spec}; however `cell.state_size` is {self.cell.state_size}"
            )

    #: The axis of a state whose size is the cell's `state_size`.
    _state_axis = -1

    def _state_shape(self, batch_size: int | None, size: Any) -> tuple[Any, ...]:
        return (batch_size, size)

    # --- calls --------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        """Apply the layer.

        Args:
            inputs: the sequence; or a list of it, the initial states and the constants.
            initial_state: tensors to start from, one per state; zeros (a stateful layer's states) when None.
            constants: tensors for the cell at every step.
            **kwargs: `mask`, `training`.
        """
        inputs, initial_state, constants = standardize_args(inputs, initial_state, constants, self._num_constants)
        more = {}
        if initial_state is not None:
            more["initial_state"] = initial_state
            self.state_spec = specs_of(initial_state)
            if self.built:
                self._check_state_spec()
        if constants is not None:
            if not has_arg(self.cell.call, "constants"):
                raise ArgumentError(
                    f"The cell of {self.name} does not support constants: its `call` takes no argument `constants`."
                )
            more["constants"] = constants
            self.constants_spec = specs_of(constants)
            self._num_constants = len(constants)
        if not more:
            return super().__call__(inputs, **kwargs)
        return call_with_more(self, super().__call__, inputs, more, kwargs)

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        """The outputs (and final states) of the cell over the sequence."""
        given = inputs
        if isinstance(inputs, list) and len(inputs) > 1 and (initial_state is not None or constants is not None):
            raise ArgumentError(f"{self.name} was passed initial states or constants both as arguments and as inputs.")
        inputs, initial_state, constants = standardize_args(
            inputs if not isinstance(inputs, list) or len(inputs) > 1 else inputs[0],
            initial_state, constants, self._num_constants,
        )  # fmt: skip
        if initial_state is None:
            initial_state = list(self.states) if self.stateful else self.get_initial_state(inputs)
        if len(initial_state) != len(self.states):
            raise ShapeError(
                f"Layer {self.name} has {len(self.states)} states but was passed {len(initial_state)} initial states."
            )
        if self.unroll and K.int_shape(inputs)[1] is None:
            raise ShapeError(_TIME_NEEDED)
        mask = mask[0] if isinstance(mask, list) else mask
        output, states = self._iterate(inputs, initial_state, constants, mask, training)
        if training is None and self._drops:
            for x in (output, *states):
                x._uses_learning_phase = True
        if self.stateful:
            self.add_update(list(zip(self.states, states, strict=True)), given)
        return [output, *states] if self.return_state else output

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """Zeros for each state."""
        dtype = K.dtype(inputs)
        dtype = dtype if is_float(dtype) else K.floatx()
        samples = shape_of(inputs)[0]
        return [creation.full((samples, size), 0.0, dtype) for size in state_sizes(self.cell)]

    def _iterate(
        self, inputs: Any, states: list[Any], constants: list[Any] | None, mask: Any, training: Any
    ) -> tuple[Any, list[Any]]:
        """Output and final states: by one op for the whole sequence where there is one, else by a loop over the cell.

        Where dropout needs the loop, the test phase may still do without.
        """
        whole = None if constants else getattr(self.cell, "over_sequence", None)

        def as_one(training: Any) -> Pass | None:
            if whole is None:
                return None
            return whole(inputs, states, mask, self.return_sequences, self.go_backwards, training)  # type: ignore[no-any-return]

        with drawn_masks(self.cell, inputs, training):
            result = as_one(training)
            if result is not None:
                return self._chosen(result)
            output, final = self._chosen(self._loop(inputs, states, constants, mask, training))
        if training is None and isinstance(K.learning_phase(), Symbolic):
            result = as_one(False)
            if result is not None:
                test_output, test_final = self._chosen(result)
                output = K.in_train_phase(output, test_output)
                final = [K.in_train_phase(a, b) for a, b in zip(final, test_final, strict=True)]
        return output, final

    def _chosen(self, result: Pass) -> tuple[Any, list[Any]]:
        last, outputs, states = result
        return (outputs if self.return_sequences else last), list(states)

    def _loop(
        self, inputs: Any, states: list[Any], constants: list[Any] | None, mask: Any, training: Any
    ) -> Pass:
        return K.rnn(  # type: ignore[no-any-return]
            self._step(constants, training), inputs, states, go_backwards=self.go_backwards, mask=mask,
            constants=constants, unroll=self.unroll, input_length=K.int_shape(inputs)[1],
        )  # fmt: skip

    @property
    def _drops(self) -> bool:
        """Whether a cell in here has dropout."""
        cells = getattr(self.cell, "cells", [self.cell])
        return any(getattr(c, "dropout", 0) or getattr(c, "recurrent_dropout", 0) for c in cells)

    def _step(self, constants: list[Any] | None, training: Any) -> Callable[[Any, Any], Any]:
        """One step of the cell as K.rnn wants it."""
        kwargs = {"training": training} if has_arg(self.cell.call, "training") else {}
        if not constants:
            return lambda x, states: self.cell.call(x, list(states), **kwargs)
        count = len(constants)
        return lambda x, states: self.cell.call(
            x, list(states[:-count]), constants=list(states[-count:]), **kwargs
        )

    # --- states -------------------------------------------------------------------------------------------

    def reset_states(self, states: Any = None) -> None:
        """Set the states of a stateful layer.

        Args:
            states: an array, or a list of one per state; zeros when None.
        """
        if not self.stateful:
            raise AttributeError(f"Layer must be stateful. {self.name} was made without `stateful=True`.")
        shapes = self._kept_shapes()
        if self._states is None or self._states[0] is None:
            self._states = [K.zeros(shape) for shape in shapes]
            if states is None:
                return
        values = [np.zeros(shape) for shape in shapes] if states is None else to_list(states, allow_tuple=True)
        if len(values) != len(shapes):
            raise ShapeError(
                f"Layer {self.name} expects {len(shapes)} states, but it received {len(values)} state values. Input "
                f"received: {values}"
            )
        for index, (value, shape) in enumerate(zip(values, shapes, strict=True)):
            if np.shape(value) != shape:
                raise ShapeError(
                    f"State {index} is incompatible with layer {self.name}: expected shape={shape}, found "
                    f"shape={np.shape(value)}"
                )
        for state, value in zip(self._states, values, strict=True):
            K.set_value(state, value)

    def _kept_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the states that a stateful layer keeps."""
        shape = self.input_spec[0].shape
        if shape is None:
            raise NotBuiltError(f"{self.name} has no states yet: they are made when it is first called.")
        if not shape[0]:
            raise ShapeError(_BATCH_SIZE_NEEDED)
        return [self._state_shape(shape[0], size) for size in state_sizes(self.cell)]

    # --- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**self._config_without_cell(), "cell": serialize_keras_object(self.cell)}

    def _config_without_cell(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
        }
        if self._num_constants is not None:
            config["num_constants"] = self._num_constants
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A layer from the result of `get_config`."""
        from kcore.layers.registry import deserialize

        config = dict(config)
        cell = deserialize(config.pop("cell"), custom_objects)
        num_constants = config.pop("num_constants", None)
        layer = cls(cell, **config)
        layer._num_constants = num_constants
        return layer
