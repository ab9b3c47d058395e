"""Pooling: the maximum or the mean over windows, or over whole spatial axes."""

from __future__ import annotations

from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers.base import InputSpec, Layer
from kcore.layers.keras1 import POOL, accepts_keras1
from kcore.ops import pool
from kcore.utils.conv_utils import conv_output_length, normalize_padding, normalize_tuple


class _Pooling(Layer):
    """Pooling over windows of `rank` spatial dimensions by the op `mode`."""

    rank: int
    mode: str

    def __init__(self, pool_size: Any, strides: Any, padding: str, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = normalize_tuple(pool_size, self.rank, "pool_size")
        self.strides = normalize_tuple(pool_size if strides is None else strides, self.rank, "strides")
        self.padding = normalize_padding(padding)
        if self.padding == "causal":
            raise ArgumentError(f"{self.name}: padding='causal' is for Conv1D; expected 'valid' or 'same'.")
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The maximum or mean of each window."""
        return self._pooling_function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def _pooling_function(self, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str) -> Any:
        op = pool.max_pool if self.mode == "max" else pool.avg_pool
        return op(inputs, pool_size, strides, padding, data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The number of windows along each spatial axis."""
        shape, first = list(input_shape), 2 if self.data_format == "channels_first" else 1
        for i, (size, stride) in enumerate(zip(self.pool_size, self.strides, strict=True)):
            shape[first + i] = conv_output_length(shape[first + i], size, self.padding, stride)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("strides", "pool_size", "padding") if self.rank == 1 else ("pool_size", "padding", "strides")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}, "data_format": self.data_format}


class _Pooling1D(_Pooling):
    rank = 1

    @accepts_keras1(POOL)
    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
        data_format: str | None = "channels_last", **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class _Pooling2D(_Pooling):
    rank = 2

    @accepts_keras1(POOL)
    def __init__(
        self, pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid", data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class _Pooling3D(_Pooling):
    rank = 3

    @accepts_keras1(POOL)
    def __init__(
        self, pool_size: Any = (2, 2, 2), strides: Any = None, padding: str = "valid", data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class MaxPooling1D(_Pooling1D):
    """The largest value of each window in time.

    Args:
        pool_size: length of the window.
        strides: distance between windows; `pool_size` when None.
        padding: `valid` or `same`; what is padded never wins.
        data_format: `channels_last` for inputs (batch, steps, features), or `channels_first`.
    """

    mode = "max"


class AveragePooling1D(_Pooling1D):
    """The mean of each window in time; the arguments are those of MaxPooling1D. What is padded does not count."""

    mode = "avg"


class MaxPooling2D(_Pooling2D):
    """The largest value of each window of images.

    Args:
        pool_size: rows and columns of the window; one integer for both.
        strides: distances between windows; `pool_size` when None.
        padding: `valid` or `same`; what is padded never wins.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    mode = "max"


class AveragePooling2D(_Pooling2D):
    """The mean of each window of images; the arguments are those of MaxPooling2D. What is padded does not count."""

    mode = "avg"


class MaxPooling3D(_Pooling3D):
    """The largest value of each window of volumes; the arguments are those of MaxPooling2D, with three entries."""

    mode = "max"


class AveragePooling3D(_Pooling3D):
    """The mean of each window of volumes; the arguments are those of MaxPooling2D, with three entries."""

    mode = "avg"


# --- over whole axes --------------------------------------------------------------------------------------------------


class _GlobalPooling(Layer):
    """Pooling over all `rank` spatial axes."""

    rank: int

    @accepts_keras1(POOL)
    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> list[int]:
        first = 2 if self.data_format == "channels_first" else 1
        return list(range(first, first + self.rank))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, channels)."""
        return (input_shape[0], input_shape[1 if self.data_format == "channels_first" else -1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}


class _GlobalMax(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        """The largest value of each channel."""
        return K.max(inputs, axis=self._axes)


class _GlobalAverage(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        """The mean of each channel."""
        return K.mean(inputs, axis=self._axes)


class GlobalMaxPooling1D(_GlobalMax):
    """The largest value over time.

    Args:
        data_format: `channels_last` for inputs (batch, steps, features), or `channels_first`.

    Output of shape (batch, features).
    """

    rank = 1

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over time; with a mask, over the steps that are not masked.

    Args:
        data_format: `channels_last` for inputs (batch, steps, features), or `channels_first`.

    Output of shape (batch, features).
    """

    rank = 1

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The mean of each feature."""
        axis = self._axes[0]
        if mask is None:
            return K.mean(inputs, axis=axis)
        weights = K.expand_dims(K.cast(mask, K.dtype(inputs)), 3 - axis)
        return K.sum(inputs * weights, axis=axis) / K.sum(weights, axis=axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: time is gone."""
        return


class GlobalMaxPooling2D(_GlobalMax):
    """The largest value over rows and columns.

    Args:
        data_format: `channels_last` or `channels_first`; that of the configuration when None.

    Output of shape (batch, channels).
    """

    rank = 2


class GlobalAveragePooling2D(_GlobalAverage):
    """The mean over rows and columns; the arguments are those of GlobalMaxPooling2D."""

    rank = 2


class GlobalMaxPooling3D(_GlobalMax):
    """The largest value over the three spatial axes; the arguments are those of GlobalMaxPooling2D."""

    rank = 3


class GlobalAveragePooling3D(_GlobalAverage):
    """The mean over the three spatial axes; the arguments are those of GlobalMaxPooling2D."""

    rank = 3


AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
