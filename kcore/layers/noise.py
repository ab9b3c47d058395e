"""Layers that add noise in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kcore import backend as K
from kcore.layers.base import Layer

Shape = tuple[Any, ...]

# The constants of self-normalizing networks: see activations.selu.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


class _Noise(Layer):
    """A layer that keeps shapes and masks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's."""
        return input_shape


class GaussianNoise(_Noise):
    """In training, adds normal noise of standard deviation `stddev`."""

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with noise in training."""

        def noised() -> Any:
            return inputs + K.random_normal(K.shape(inputs), mean=0.0, stddev=self.stddev, dtype=K.dtype(inputs))

        return K.in_train_phase(noised, inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "stddev": self.stddev}


class GaussianDropout(_Noise):
    """In training, multiplies by normal noise around 1 of standard deviation `sqrt(rate / (1 - rate))`."""

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with noise in training."""
        if not 0 < self.rate < 1:
            return inputs

        def noised() -> Any:
            stddev = math.sqrt(self.rate / (1.0 - self.rate))
            return inputs * K.random_normal(K.shape(inputs), mean=1.0, stddev=stddev, dtype=K.dtype(inputs))

        return K.in_train_phase(noised, inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "rate": self.rate}


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance: in training, sets a random part to selu's negative limit and rescales.

    Args:
        rate: the part that is dropped.
        noise_shape: shape of the random choice; the input's when None.
        seed: of the draws.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.noise_shape = noise_shape
        self.seed = seed

    def _get_noise_shape(self, inputs: Any) -> Any:
        return self.noise_shape or K.shape(inputs)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with holes in training."""
        if not 0.0 < self.rate < 1.0:
            return inputs

        def dropped() -> Any:
            limit = -_SELU_ALPHA * _SELU_SCALE
            draws = K.random_uniform(self._get_noise_shape(inputs), seed=self.seed)
            kept = K.cast(K.greater_equal(draws, self.rate), K.dtype(inputs))
            a = ((1 - self.rate) * (1 + self.rate * limit**2)) ** -0.5
            b = -a * limit * self.rate
            return a * (inputs * kept + limit * (1 - kept)) + b

        return K.in_train_phase(dropped, inputs, training=training)

    def get_config(self) -> dict[str, Any]:
        """The rate (Keras 2 saved no more)."""
        return {**super().get_config(), "rate": self.rate}
