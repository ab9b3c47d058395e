"""Layers that only change the size of the spatial axes: upsampling, zero padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError
from kcore.layers.base import InputSpec, Layer
from kcore.layers.keras1 import RESIZE, accepts_keras1
from kcore.utils.conv_utils import normalize_tuple
from kcore.utils.generic_utils import transpose_shape

Pairs = tuple[tuple[int, ...], ...]


def _pairs(value: Any, rank: int, name: str) -> Pairs:
    """A pair (before, after) for each spatial axis, from one integer, one integer an axis, or the pairs."""
    if isinstance(value, (int, np.integer)):
        return ((int(value), int(value)),) * rank
    if not hasattr(value, "__len__") or isinstance(value, str):
        raise ArgumentError(
            f"`{name}` should be an int, a tuple of {rank} ints (the same before and after), or a tuple of {rank} "
            f"pairs (before, after). Found: {value!r}"
        )
    if len(value) != rank:
        raise ArgumentError(f"`{name}` should have {rank} elements. Found: {value!r}")
    return tuple(normalize_tuple(entry, 2, f"entry {i + 1} of {name}") for i, entry in enumerate(value))


class _Resizing(Layer):
    """A layer whose spatial axis i of size n becomes `_resized(n, i)`."""

    def __init__(self, rank: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rank = rank
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def _arranged(self, spatial: Sequence[Any], rest: Any) -> tuple[Any, ...]:
        """One entry an axis, in the order of the data format; `rest` for samples and channels."""
        entries = (rest, *spatial, rest)
        return tuple(transpose_shape(entries, self.data_format, list(range(1, 1 + self.rank))))

    def _resized(self, size: int, i: int) -> int:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The spatial axes resized."""
        axes = self._arranged(range(self.rank), None)
        return tuple(
            n if n is None or i is None else self._resized(n, i) for n, i in zip(input_shape, axes, strict=True)
        )


# --- upsampling -------------------------------------------------------------------------------------------------------


class _UpSampling(_Resizing):
    def __init__(self, size: tuple[int, ...], data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(len(size), data_format, **kwargs)
        self.size = size

    def _resized(self, size: int, i: int) -> int:
        return size * self.size[i]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}


class UpSampling1D(_UpSampling):
    """Each step repeated.

    Args:
        size: how often.

    Input of shape (batch, steps, features), output (batch, steps * size, features).
    """

    @accepts_keras1(RESIZE)
    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(normalize_tuple(size, 1, "size"), "channels_last", **kwargs)

    def call(self, inputs: Any) -> Any:
        """The steps repeated."""
        return K.repeat_elements(inputs, self.size[0], axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {**super().get_config(), "size": self.size[0]}
        del config["data_format"]
        return config


class UpSampling2D(_UpSampling):
    """Images made larger by whole factors.

    Args:
        size: factors of rows and columns; one integer for both.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
        interpolation: `nearest` or `bilinear`.

    Input of shape (batch, rows, cols, channels), output (batch, rows * size[0], cols * size[1], channels).
    """

    @accepts_keras1(RESIZE)
    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(normalize_tuple(size, 2, "size"), data_format, **kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ArgumentError(f'interpolation should be one of "nearest" or "bilinear". Received: {interpolation!r}')
        self.interpolation = interpolation

    def call(self, inputs: Any) -> Any:
        """The images, larger."""
        return K.resize_images(inputs, self.size[0], self.size[1], self.data_format, self.interpolation)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "interpolation": self.interpolation}


class UpSampling3D(_UpSampling):
    """Volumes made larger by whole factors, repeating elements.

    Args:
        size: factors of the three axes; one integer for all.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    @accepts_keras1(RESIZE)
    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(normalize_tuple(size, 3, "size"), data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The volumes, larger."""
        return K.resize_volumes(inputs, self.size[0], self.size[1], self.size[2], self.data_format)


# --- zero padding -----------------------------------------------------------------------------------------------------


class _ZeroPadding(_Resizing):
    def __init__(self, padding: Pairs, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(len(padding), data_format, **kwargs)
        self.padding = padding

    def _resized(self, size: int, i: int) -> int:
        return size + sum(self.padding[i])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the steps.

    Args:
        padding: how many before and after, as a pair; one integer for both.

    Input of shape (batch, steps, features), output (batch, padded_steps, features).
    """

    def __init__(self, padding: Any = 1, **kwargs: Any) -> None:
        super().__init__((normalize_tuple(padding, 2, "padding"),), "channels_last", **kwargs)

    def call(self, inputs: Any) -> Any:
        """The steps between zeros."""
        return K.temporal_padding(inputs, padding=self.padding[0])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {**super().get_config(), "padding": self.padding[0]}
        del config["data_format"]
        return config


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Args:
        padding: ((top, bottom), (left, right)); (vertical, horizontal) for the same on both sides; or one integer.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    @accepts_keras1(RESIZE)
    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_pairs(padding, 2, "padding"), data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The images between zeros."""
        return K.spatial_2d_padding(inputs, padding=self.padding, data_format=self.data_format)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

    Args:
        padding: a pair (before, after) for each axis; one integer an axis for the same on both sides; or one integer.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    @accepts_keras1(RESIZE)
    def __init__(self, padding: Any = (1, 1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_pairs(padding, 3, "padding"), data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The volumes between zeros."""
        return K.spatial_3d_padding(inputs, padding=self.padding, data_format=self.data_format)


# --- cropping ---------------------------------------------------------------------------------------------------------


class _Cropping(_Resizing):
    def __init__(self, cropping: Pairs, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(len(cropping), data_format, **kwargs)
        self.cropping = cropping

    def call(self, inputs: Any) -> Any:
        """What is left."""
        spans = [slice(before, -after if after else None) for before, after in self.cropping]
        return inputs[self._arranged(spans, slice(None))]

    def _resized(self, size: int, i: int) -> int:
        return size - sum(self.cropping[i])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class Cropping1D(_Cropping):
    """Steps cut off at the beginning and the end.

    Args:
        cropping: how many at the beginning and at the end, as a pair; one integer for both.

    Input of shape (batch, steps, features), output (batch, cropped_steps, features).
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__((normalize_tuple(cropping, 2, "cropping"),), "channels_last", **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {**super().get_config(), "cropping": self.cropping[0]}
        del config["data_format"]
        return config


class Cropping2D(_Cropping):
    """Images cut on all sides.

    Args:
        cropping: ((top, bottom), (left, right)); (vertical, horizontal) for the same on both sides; or one integer.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    @accepts_keras1(RESIZE)
    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(_pairs(cropping, 2, "cropping"), data_format, **kwargs)


class Cropping3D(_Cropping):
    """Volumes cut on all sides.

    Args:
        cropping: a pair (before, after) for each axis; one integer an axis for the same on both sides; or one integer.
        data_format: `channels_last` or `channels_first`; that of the configuration when None.
    """

    @accepts_keras1(RESIZE)
    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(_pairs(cropping, 3, "cropping"), data_format, **kwargs)
