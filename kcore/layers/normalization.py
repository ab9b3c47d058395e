"""Normalisation: by the moments of the batch, of each sample's features, or of groups of its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.layers import parameters
from kcore.layers.base import Layer
from kcore.layers.input_spec import InputSpec
from kcore.ops.layer_normalization import group_norm, layer_norm
from kcore.ops.normalization import batch_norm

Shape = tuple[Any, ...]


class BatchNormalization(Layer):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, per channel.

    In training mean and variance are those of the batch, and running averages of them are kept; otherwise they are
    the running averages.

    Args:
        axis: of the channels: -1, or 1 for channels-first data.
        momentum: of the running averages.
        epsilon: added to the variance.
        center: whether there is a `beta`.
        scale: whether there is a `gamma`.
        beta_initializer, gamma_initializer: how they start.
        moving_mean_initializer, moving_variance_initializer: how the running averages start.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after updates.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        parameters.keep_from(self, locals())

    def build(self, input_shape: Shape) -> None:
        """gamma, beta, moving_mean and moving_variance, one number per channel."""
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ShapeError(f"{self.name}: axis {self.axis} is outside an input of shape {input_shape}.")
        channels = input_shape[self.axis]
        if channels is None:
            raise ShapeError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer {self.name} received "
                f"an input with shape {input_shape}."
            )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})
        shape = (channels,)
        self.gamma = parameters.make(self, "gamma", shape) if self.scale else None
        self.beta = parameters.make(self, "beta", shape) if self.center else None
        self.moving_mean = parameters.make(self, "moving_mean", shape, trainable=False)
        self.moving_variance = parameters.make(self, "moving_variance", shape, trainable=False)
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The normalised input; adds the updates of the running averages."""
        axis = self.axis % K.ndim(inputs)

        def by_running_averages() -> Any:
            return K.batch_normalization(
                inputs, self.moving_mean, self.moving_variance, self.beta, self.gamma, axis=axis, epsilon=self.epsilon
            )

        if training is not None and not isinstance(training, Symbolic) and not training:
            return by_running_averages()
        normed, mean, variance = batch_norm(inputs, self.gamma, self.beta, axis, self.epsilon)
        self._add_moving_updates(inputs, axis, mean, variance)
        return K.in_train_phase(normed, by_running_averages, training=training)

    def _add_moving_updates(self, inputs: Any, axis: int, mean: Any, variance: Any) -> None:
        sizes = K.shape(inputs)
        count = reduce(lambda a, b: a * b, [sizes[i] for i in range(K.ndim(inputs)) if i != axis])
        count = K.cast(count, K.dtype(variance))
        # The running variance estimates that of the population, not of the batch.
        variance = variance * (count / (count - (1.0 + self.epsilon)))
        if K.ndim(inputs) == 4 and axis == 3:  # the original's fused kernel had made that correction already
            variance = variance * (count / K.maximum(count - 1.0, 1.0))
        updates = [
            K.moving_average_update(self.moving_mean, mean, self.momentum),
            K.moving_average_update(self.moving_variance, variance, self.momentum),
        ]
        self.add_update(updates, inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **parameters.described(self, "beta", "gamma", "moving_mean", "moving_variance"),
        }


class _SampleNormalization(Layer):
    """What the two layers below share: `gamma` and `beta`."""

    axis: Any
    epsilon: float
    center: bool
    scale: bool

    def _set_options(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments that both have, of the `locals()` of the constructor."""
        self.supports_masking = True
        self.epsilon = arguments["epsilon"]
        self.center = arguments["center"]
        self.scale = arguments["scale"]
        parameters.keep_from(self, arguments)

    def _make_weights(self, shape: Shape, scale: bool, center: bool) -> None:
        self.gamma = parameters.make(self, "gamma", shape) if scale else None
        self.beta = parameters.make(self, "beta", shape) if center else None
        self.built = True

    def _sizes(self, input_shape: Shape, axes: Sequence[int]) -> Shape:
        """The sizes of these axes, which must be known."""
        for axis in axes:
            if not -len(input_shape) <= axis < len(input_shape):
                raise ShapeError(
                    f"{self.name}: axis {axis} is out of bounds for input shape {input_shape}. Received: "
                    f"axis={self.axis}"
                )
            if input_shape[axis] is None:
                raise ShapeError(
                    f"Axis {axis} of input tensor should have a defined dimension but the layer {self.name} received "
                    f"an input with shape {input_shape}."
                )
        return tuple(input_shape[axis] for axis in axes)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **parameters.described(self, "beta", "gamma"),
        }


class LayerNormalization(_SampleNormalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the moments of each sample (Ba et al. 2016).

    Args:
        axis: the axis, or several, over which mean and variance are taken.
        epsilon: added to the variance.
        center: whether there is a `beta`.
        scale: whether there is a `gamma`.
        beta_initializer, gamma_initializer: how they start.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after updates.
        rms_scaling: divide by the standard deviation alone, without subtracting the mean (as old Keras 3 files ask).

    gamma and beta have the sizes of the axes.

    >>> from kcore.layers import Input, LayerNormalization
    >>> from kcore.models import Model
    >>> x = Input((2,))
    >>> Model(x, LayerNormalization(epsilon=1e-9)(x)).predict(np.array([[1., 3.], [0., 8.]])).round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        if not isinstance(axis, (int, list, tuple)):
            raise TypeError(f"Expected an int or a list/tuple of ints for the argument 'axis', but received: {axis!r}")
        self.axis = axis if isinstance(axis, int) else list(axis)
        self._set_options(locals())

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta, one number per position along the axes."""
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        self._sizes(input_shape, axes)
        self._axes = sorted(axis % len(input_shape) for axis in axes)
        rms = self.rms_scaling
        self._make_weights(self._sizes(input_shape, self._axes), self.scale or rms, self.center and not rms)

    def call(self, inputs: Any) -> Any:
        """The formula."""
        if self.gamma is not None and self.rms_scaling:
            scaled = inputs / K.sqrt(K.var(inputs, axis=self._axes, keepdims=True) + self.epsilon)
            sizes = K.int_shape(inputs)
            full = tuple(n if i in self._axes else 1 for i, n in enumerate(sizes))
            return scaled * K.reshape(self.gamma, full)
        return layer_norm(inputs, self.gamma, self.beta, self._axes, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "rms_scaling": self.rms_scaling}


class GroupNormalization(_SampleNormalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, by groups of channels of each sample (Wu and He 2018).

    Args:
        groups: how many groups; -1 for one per channel (instance normalisation).
        axis: of the channels.
        epsilon: added to the variance.
        center: whether there is a `beta`.
        scale: whether there is a `gamma`.
        beta_initializer, gamma_initializer: how they start.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after updates.

    >>> from kcore.layers import GroupNormalization, Input
    >>> from kcore.models import Model
    >>> x = Input((4,))
    >>> Model(x, GroupNormalization(2, epsilon=1e-9)(x)).predict(np.array([[1., 3., 0., 8.]])).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if isinstance(groups, bool) or not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ArgumentError(
                f"{self.name}: `groups` is a positive integer, or -1 for instance normalization. Received: "
                f"groups={groups!r}"
            )
        self.groups = groups
        self.axis = axis
        self._set_options(locals())

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta, one number per channel."""
        (channels,) = self._sizes(input_shape, [self.axis])
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ShapeError(
                f"{self.name}: the number of channels ({channels}) must be a multiple of the number of groups "
                f"({self.groups})."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._make_weights((channels,), self.scale, self.center)

    def call(self, inputs: Any) -> Any:
        """The formula."""
        return group_norm(inputs, self.gamma, self.beta, self.groups, self.axis, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "groups": self.groups}
