"""The layers that most models are made of: Dense, activations, dropout, and changes of shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore import activations, regularizers
from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers import parameters
from kcore.layers.base import Layer, check_positive
from kcore.layers.input_spec import InputSpec

Shape = tuple[Any, ...]


class Dense(Layer):
    """`activation(dot(inputs, kernel) + bias)`.

    Args:
        units: size of the output.
        activation: function or name; none when None.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: how weights start.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after updates.

    Input: (batch, ..., input_dim). Output: (batch, ..., units).
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        super().__init__(**kwargs)
        self.units = check_positive("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        parameters.keep_from(self, locals())
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        """Kernel (input_dim, units) and bias (units,)."""
        input_dim = input_shape[-1]
        if input_dim is None:
            raise ShapeError(
                f"The last dimension of the inputs to layer {self.name} (Dense) must be known, got {input_shape}."
            )
        self.kernel = parameters.make(self, "kernel", (input_dim, self.units))
        self.bias = parameters.make(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_dim})
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The formula."""
        output = K.dot(inputs, self.kernel)
        if self.use_bias:
            output = K.bias_add(output, self.bias, data_format="channels_last")
        return self.activation(output)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The last dimension becomes `units`."""
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ShapeError(
                f"{self.name} (Dense) expects (batch, ..., input_dim) with a known input_dim, got {input_shape}."
            )
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **parameters.described(self, "kernel", "bias", "activity"),
        }


class Activation(Layer):
    """An activation function, by name or as a function of a tensor."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        """The function's value."""
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Masking(Layer):
    """Masks the timesteps of (batch, time, features) whose features all equal `mask_value`: later layers skip them."""

    def __init__(self, mask_value: float | None = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where any feature differs from the mask value."""
        return K.any(K.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        """The input, with masked steps set to 0."""
        kept = K.any(K.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * K.cast(kept, K.dtype(inputs))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "mask_value": self.mask_value}


class Dropout(Layer):
    """In training, sets a random part of the inputs to 0 and scales the rest to keep the sum's expectation.

    Args:
        rate: the part that is dropped, from 0 to 1.
        noise_shape: shape of the random choice; 1 where it is shared along an axis, None for the input's size.
        seed: of the draws.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = min(1.0, max(0.0, rate))
        self.noise_shape = noise_shape
        self.seed = seed
        self.supports_masking = True

    def _get_noise_shape(self, inputs: Any) -> Any:
        if self.noise_shape is None:
            return None
        sizes = K.shape(inputs)
        return tuple(sizes[axis] if n is None else n for axis, n in enumerate(self.noise_shape))

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with holes in training."""
        if not 0.0 < self.rate < 1.0:
            return inputs

        def dropped() -> Any:
            return K.dropout(inputs, self.rate, self._get_noise_shape(inputs), seed=self.seed)

        return K.in_train_phase(dropped, inputs, training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}


class _SpatialDropout(Dropout):
    """Drops whole feature maps."""

    rank: int

    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _get_noise_shape(self, inputs: Any) -> Any:
        sizes = K.shape(inputs)
        ones = (1,) * self.rank
        if self.data_format == "channels_first":
            return (sizes[0], sizes[1], *ones)
        return (sizes[0], *ones, sizes[self.rank + 1])


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of sequences. Input (batch, time, channels)."""

    rank = 1

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(rate, "channels_last", **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole feature maps of images; `data_format` says where the channels are."""

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole feature maps of volumes; `data_format` says where the channels are."""

    rank = 3


class Reshape(Layer):
    """Another shape for each sample.

    Args:
        target_shape: without the batch axis; one entry may be -1 for what is left over.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if sum(n < 0 for n in self.target_shape) > 1:
            raise ShapeError(f"Reshape: `target_shape` can only have one unknown dimension, got {self.target_shape}.")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, *target_shape), with the -1 filled in where the input's shape is known."""
        if None in input_shape[1:]:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        return (input_shape[0], *self._filled(input_shape[1:]))

    def _filled(self, sample: Shape) -> Shape:
        size, known = math.prod(sample), math.prod(n for n in self.target_shape if n >= 0)
        left = size // known if -1 in self.target_shape and known else 1
        if known * left != size:
            raise ShapeError(
                f"{self.name} (Reshape): total size of new array must be unchanged; a sample of shape {tuple(sample)} "
                f"has {size} elements, target_shape is {self.target_shape}."
            )
        return tuple(left if n < 0 else n for n in self.target_shape)

    def call(self, inputs: Any) -> Any:
        """The reshaped input."""
        return K.reshape(inputs, (K.shape(inputs)[0], *self.target_shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Another order of the axes of each sample.

    Args:
        dims: the axes in their new order, counted from 1: (2, 1) swaps the first two.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"Permute: `dims` orders the axes 1 to {len(self.dims)} (the batch axis 0 stays), got {self.dims}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The sizes in their new order."""
        return (input_shape[0], *(input_shape[dim] for dim in self.dims))

    def call(self, inputs: Any) -> Any:
        """The transposed input."""
        return K.permute_dimensions(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "dims": self.dims}


class Flatten(Layer):
    """Each sample as one row, with the channels last whatever the data format."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.input_spec = InputSpec(min_ndim=3)
        self.data_format = K.normalize_data_format(data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, number of elements of a sample)."""
        if not all(input_shape[1:]):
            raise ShapeError(
                f'The shape of the input to "Flatten" ({self.name}) is not fully defined (got {input_shape[1:]}). '
                'Pass a complete "input_shape" or "batch_input_shape" argument to the first layer in your model.'
            )
        return (input_shape[0], math.prod(input_shape[1:]))

    def call(self, inputs: Any) -> Any:
        """The flat input."""
        if self.data_format == "channels_first":
            inputs = K.permute_dimensions(inputs, (0, *range(2, K.ndim(inputs)), 1))
        return K.batch_flatten(inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "data_format": self.data_format}


class RepeatVector(Layer):
    """Each vector `n` times: (batch, features) to (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = check_positive("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, n, features)."""
        return (input_shape[0], self.n, input_shape[1])

    def call(self, inputs: Any) -> Any:
        """The repeated input."""
        return K.repeat(inputs, self.n)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "n": self.n}


class ActivityRegularization(Layer):
    """The input, whose size adds to the loss: `l1 * sum(|x|) + l2 * sum(x ** 2)`."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self.activity_regularizer = regularizers.L1L2(l1=l1, l2=l2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "l1": self.l1, "l2": self.l2}


# Keras 2 keeps Lambda here; it has a file of its own.
from kcore.layers.lambda_layer import Lambda  # noqa: E402, F401
