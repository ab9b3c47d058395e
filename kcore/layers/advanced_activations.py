"""Activation functions with parameters, as layers."""

from __future__ import annotations

from typing import Any

from kcore import activations
from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers import parameters
from kcore.layers.base import Layer
from kcore.layers.input_spec import InputSpec
from kcore.utils.generic_utils import to_list

Shape = tuple[Any, ...]


class _Elementwise(Layer):
    """A layer that keeps shapes and masks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape


class LeakyReLU(_Elementwise):
    """`x` where positive, `alpha * x` elsewhere."""

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = K.cast_to_floatx(alpha)

    def call(self, inputs: Any) -> Any:
        """The formula."""
        return K.relu(inputs, alpha=float(self.alpha))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "alpha": float(self.alpha)}


class PReLU(_Elementwise):
    """`x` where positive, `alpha * x` elsewhere, with a learned `alpha` for each feature.

    Args:
        alpha_initializer: how alpha starts.
        alpha_regularizer: penalty on alpha.
        alpha_constraint: projection of alpha after updates.
        shared_axes: axes along which one alpha serves all, as [1, 2] for images.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        parameters.keep_from(self, locals())
        self.shared_axes = None if shared_axes is None else to_list(shared_axes, allow_tuple=True)

    def build(self, input_shape: Shape) -> None:
        """alpha, of a sample's shape with 1 on the shared axes."""
        shared = self.shared_axes or []
        shape = tuple(1 if axis in shared else n for axis, n in enumerate(input_shape) if axis)
        if None in shape:
            raise ShapeError(
                f"{self.name} (PReLU) has one alpha per feature, so the shape must be known; got {input_shape}. Use "
                "`shared_axes` for the axes of unknown size."
            )
        self.param_broadcast = [axis in shared for axis in range(1, len(input_shape))]
        self.alpha = parameters.make(self, "alpha", shape)
        axes = {axis: n for axis, n in enumerate(input_shape) if axis and axis not in shared} if shared else {}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The formula."""
        return K.relu(inputs) - self.alpha * K.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            **parameters.described(self, "alpha"),
            "shared_axes": self.shared_axes,
        }


class ELU(_Elementwise):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = K.cast_to_floatx(alpha)

    def call(self, inputs: Any) -> Any:
        """The formula."""
        return K.elu(inputs, float(self.alpha))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "alpha": float(self.alpha)}


class ThresholdedReLU(_Elementwise):
    """`x` where above `theta`, 0 elsewhere."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = K.cast_to_floatx(theta)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The formula."""
        return inputs * K.cast(K.greater(inputs, float(self.theta)), K.dtype(inputs))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "theta": float(self.theta)}


class Softmax(_Elementwise):
    """`exp(x) / sum(exp(x))` along `axis`."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """The formula."""
        return activations.softmax(inputs, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis}


class ReLU(_Elementwise):
    """`x` from `threshold` up to `max_value`, `max_value` above, `negative_slope * (x - threshold)` below."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise ArgumentError(f"max_value of ReLU layer cannot be negative value: {max_value}")
        if negative_slope < 0:
            raise ArgumentError(f"negative_slope of ReLU layer cannot be negative value: {negative_slope}")
        self.max_value = None if max_value is None else K.cast_to_floatx(max_value)
        self.negative_slope = K.cast_to_floatx(negative_slope)
        self.threshold = K.cast_to_floatx(threshold)

    def call(self, inputs: Any) -> Any:
        """The formula."""
        max_value = None if self.max_value is None else float(self.max_value)
        return K.relu(inputs, float(self.negative_slope), max_value, float(self.threshold))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "max_value": None if self.max_value is None else float(self.max_value),
            "negative_slope": float(self.negative_slope),
            "threshold": float(self.threshold),
        }
