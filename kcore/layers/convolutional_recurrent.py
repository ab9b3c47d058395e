"""Convolutional recurrences: ConvRNN2D iterates a cell over sequences of images; ConvLSTM2D is the known one."""

from __future__ import annotations

from typing import Any

from kcore import activations, initializers
from kcore import backend as K
from kcore.errors import ArgumentError, NotBuiltError, ShapeError
from kcore.layers import parameters
from kcore.layers.base import InputSpec, Layer, check_positive
from kcore.layers.keras1 import CONV_RECURRENT, accepts_keras1
from kcore.layers.recurrent.cell import dropout_masks, dropped, state_sizes
from kcore.layers.recurrent.own_cell import OwnCellRNN, over
from kcore.layers.recurrent.rnn import RNN
from kcore.ops import creation
from kcore.ops.shaping import shape_of
from kcore.utils.conv_utils import conv_output_length, normalize_padding, normalize_tuple
from kcore.utils.generic_utils import transpose_shape

Masks = list[Any] | None


class ConvRNN2D(RNN):
    """A convolutional cell iterated over time.

    Args:
        cell: an object with `call(images at t, states at t) -> (output at t, states at t + 1)`, `state_size` (channels
            of each state), and the attributes of a convolution: `filters`, `kernel_size`, `strides`, `padding`,
            `dilation_rate`, `data_format`.
        return_sequences, return_state, go_backwards, stateful: as for RNN.
        unroll: not possible.

    Input of shape (batch, time, rows, cols, channels), output (batch, new_rows, new_cols, filters), with the time after
    the batch for `return_sequences`; channels come before the rows for `channels_first`.
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
        if unroll:
            raise TypeError("Unrolling isn't possible with convolutional RNNs.")
        if isinstance(cell, (list, tuple)):
            raise TypeError("It is not possible to stack convolutional cells; stack layers instead.")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.input_spec = [InputSpec(ndim=5)]

    @property
    def _state_axis(self) -> int:  # type: ignore[override]
        return 1 if self.cell.data_format == "channels_first" else 3

    def _arranged(self, *shape: Any) -> tuple[Any, ...]:
        """A shape (..., rows, cols, channels) in the order of the data format."""
        first = len(shape) - 3
        return tuple(transpose_shape(shape, self.cell.data_format, (first, first + 1)))

    def _state_shape(self, batch_size: int | None, size: Any) -> tuple[Any, ...]:
        return self._arranged(batch_size, None, None, size)

    def _output_space(self, input_shape: Any) -> tuple[Any, Any]:
        """Rows and columns of the output for inputs of this shape."""
        cell = self.cell
        sizes = input_shape[3:5] if cell.data_format == "channels_first" else input_shape[2:4]
        rows, cols = (
            conv_output_length(n, cell.kernel_size[i], cell.padding, cell.strides[i], cell.dilation_rate[i])
            for i, n in enumerate(sizes)
        )
        return rows, cols

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output; with `return_state` a list of it and the states' shapes."""
        if isinstance(input_shape, list):
            input_shape = input_shape[0]
        batch, time = input_shape[:2]
        space = self._output_space(input_shape)
        lead = (batch, time) if self.return_sequences else (batch,)
        shape = self._arranged(*lead, *space, self.cell.filters)
        if not self.return_state:
            return shape
        return [shape, *(self._arranged(batch, *space, size) for size in state_sizes(self.cell))]

    def get_initial_state(self, inputs: Any) -> list[Any]:
        """Zeros for each state."""
        shape = shape_of(inputs)
        return [
            creation.full(self._arranged(shape[0], *self._output_space(shape), size), 0.0, K.floatx())
            for size in state_sizes(self.cell)
        ]

    def _kept_shapes(self) -> list[tuple[int, ...]]:
        shape = self.input_spec[0].shape
        if shape is None:
            raise NotBuiltError(f"{self.name} has no states yet: they are made when it is first called.")
        space = self._output_space(shape)
        if not shape[0] or None in space:
            raise ShapeError(
                "If a RNN is stateful, it needs to know its batch size; a convolutional one, rows and columns too: "
                f"specify them by `batch_input_shape`, or `batch_shape` of the Input layer. {self.name} got {shape}."
            )
        return [self._arranged(shape[0], *space, size) for size in state_sizes(self.cell)]


class ConvLSTM2DCell(Layer):
    """One step of a long short-term memory whose products are convolutions (Shi et al. 2015).

    Args:
        filters: channels of the output and of each state.
        kernel_size: rows and columns of the window; one integer for both.
        strides: of the convolution of the inputs.
        padding: of that convolution: `valid` or `same`. That of the state is always `same`.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
        dilation_rate: of the convolution of the inputs.
        activation: name or function, for candidate and cell state.
        recurrent_activation: name or function, for the gates.
        use_bias: whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        unit_forget_bias: whether the bias of the forget gate starts with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        dropout: fraction of the inputs to drop in training.
        recurrent_dropout: fraction of h to drop in training.
    """

    bias_initializer: Any
    _dropout_mask: Masks
    _recurrent_dropout_mask: Masks

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", unit_forget_bias: bool = True,
        kernel_regularizer: Any = None, recurrent_regularizer: Any = None, bias_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.filters = int(check_positive(self.name, "filters", filters))
        self.kernel_size = normalize_tuple(kernel_size, 2, "kernel_size")
        self.strides = normalize_tuple(strides, 2, "strides")
        self.padding = normalize_padding(padding)
        if self.padding == "causal":
            raise ArgumentError(f"{self.name}: padding='causal' is for Conv1D; expected 'valid' or 'same'.")
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, 2, "dilation_rate")
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        parameters.keep_from(self, locals())
        self.unit_forget_bias = unit_forget_bias
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.state_size = (self.filters, self.filters)
        self.forget_masks()

    def build(self, input_shape: Any) -> None:
        """Make kernel (*window, channels, 4f), recurrent_kernel (*window, f, 4f) and bias (4f,)."""
        channels = input_shape[1 if self.data_format == "channels_first" else -1]
        if channels is None:
            raise ShapeError(
                f"The channel dimension of the inputs should be defined. Found `None` in shape {tuple(input_shape)}."
            )
        f = self.filters
        self.kernel_shape = (*self.kernel_size, channels, 4 * f)
        self.kernel = parameters.make(self, "kernel", self.kernel_shape)
        self.recurrent_kernel = parameters.make(self, "recurrent_kernel", (*self.kernel_size, f, 4 * f), "recurrent")
        self.bias = None
        if self.use_bias:
            start = given = self.bias_initializer
            if self.unit_forget_bias:
                start = parameters.in_parts((f, given), (f, initializers.Ones()), (2 * f, given))
            self.bias = parameters.make(self, "bias", (4 * f,), initializer=start)
        self.built = True

    # --- dropout ------------------------------------------------------------------------------------------

    def draw_masks(self, sequence: Any, training: Any) -> None:
        """Draw the dropout masks of one pass over a batch of sequences."""
        shape = shape_of(sequence)
        self._dropout_mask, self._recurrent_dropout_mask = self._new_masks((shape[0], *shape[2:]), training)

    def forget_masks(self) -> None:
        """The pass is over: later ones draw anew."""
        self._dropout_mask = self._recurrent_dropout_mask = None

    def _new_masks(self, image: tuple[Any, ...], training: Any) -> tuple[Masks, Masks]:
        first = self.data_format == "channels_first"
        rows, cols = (
            conv_output_length(n, self.kernel_size[i], self.padding, self.strides[i], self.dilation_rate[i])
            for i, n in enumerate(image[2:] if first else image[1:3])
        )
        state = (image[0], self.filters, rows, cols) if first else (image[0], rows, cols, self.filters)
        return (
            dropout_masks(image, self.dropout, training, 4),
            dropout_masks(state, self.recurrent_dropout, training, 4),
        )

    def _masks(self, inputs: Any, training: Any) -> tuple[Masks, Masks]:
        if self._dropout_mask is None and self._recurrent_dropout_mask is None:
            return self._new_masks(shape_of(inputs), training)
        return self._dropout_mask, self._recurrent_dropout_mask

    # --- one step -----------------------------------------------------------------------------------------

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        """One step: the output h, and the new states [h, c]."""
        h, c = states[0], states[1]
        masks, recurrent_masks = self._masks(inputs, training)
        x = self._gates(inputs, masks, self.kernel, lambda x, w, b: self.input_conv(x, w, b, self.padding), self.bias)
        before = self._gates(h, recurrent_masks, self.recurrent_kernel, lambda h, w, _: self.recurrent_conv(h, w))
        i, f, g, o = (a + b for a, b in zip(x, before, strict=True))
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        if training is None and self.dropout + self.recurrent_dropout > 0:
            h._uses_learning_phase = True
        return h, [h, c]

    def _gates(self, x: Any, masks: Masks, kernel: Any, conv: Any, bias: Any = None) -> list[Any]:
        """The convolutions for the four gates: one by one where each has a dropout mask of its own, else at once."""
        spans = [slice(i * self.filters, (i + 1) * self.filters) for i in range(4)]
        if masks is not None:
            return [
                conv(dropped(x, masks, i), kernel[:, :, :, span], None if bias is None else bias[span])
                for i, span in enumerate(spans)
            ]
        z = conv(x, kernel, bias)
        return [z[:, span] if self.data_format == "channels_first" else z[:, :, :, span] for span in spans]

    def input_conv(self, x: Any, w: Any, b: Any = None, padding: str = "valid") -> Any:
        """The convolution of the inputs."""
        y = K.conv2d(
            x, w, strides=self.strides, padding=padding, data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )  # fmt: skip
        return y if b is None else K.bias_add(y, b, data_format=self.data_format)

    def recurrent_conv(self, x: Any, w: Any) -> Any:
        """The convolution of the state."""
        return K.conv2d(x, w, strides=(1, 1), padding="same", data_format=self.data_format)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            **parameters.described(self, "kernel", "recurrent", "bias"),
            "unit_forget_bias": self.unit_forget_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }


@over(ConvLSTM2DCell)
class ConvLSTM2D(OwnCellRNN, ConvRNN2D):
    """ConvLSTM2DCell over time.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: as for ConvLSTM2DCell.
        activation, recurrent_activation, use_bias, unit_forget_bias, dropout, recurrent_dropout: likewise.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties of the weights.
        activity_regularizer: penalty of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections of the weights after each update.
        return_sequences, go_backwards, stateful: as for RNN (and `return_state` by keyword).

    Input of shape (batch, time, rows, cols, channels), output (batch, new_rows, new_cols, filters), with the time after
    the batch for `return_sequences`; channels come before the rows for `channels_first`.
    """

    @accepts_keras1(CONV_RECURRENT, rank=2)
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = (1, 1), activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", unit_forget_bias: bool = True,
        kernel_regularizer: Any = None, recurrent_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, recurrent_constraint: Any = None,
        bias_constraint: Any = None, return_sequences: bool = False, go_backwards: bool = False,
        stateful: bool = False, dropout: float = 0.0, recurrent_dropout: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._init_over(ConvLSTM2DCell, locals())
