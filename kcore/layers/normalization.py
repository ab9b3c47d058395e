"""Batch normalisation."""

from __future__ import annotations

from functools import reduce
from typing import Any

from kcore import backend as K
from kcore.errors import ShapeError
from kcore.graph.ir import Symbolic
from kcore.layers import parameters
from kcore.layers.base import Layer
from kcore.layers.input_spec import InputSpec
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
