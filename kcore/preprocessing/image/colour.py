"""Variations of colour and brightness."""

from __future__ import annotations

import numpy as np

from kcore.errors import ArgumentError
from kcore.preprocessing.image.loading import array_to_img, img_to_array, pillow


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """The image with `intensity` added to all channels, cut to the least and the largest value it had."""
    return np.clip(x + intensity, np.min(x), np.max(x))


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """`apply_channel_shift` by a random amount between `-intensity_range` and `intensity_range`."""
    intensity = np.random.uniform(-intensity_range, intensity_range)  # noqa: NPY002 - the seed that Keras users set
    return apply_channel_shift(x, intensity, channel_axis=channel_axis)


def apply_brightness_shift(x: np.ndarray, brightness: float) -> np.ndarray:
    """The image with another brightness.

    Values are first stretched to the bytes 0 ... 255, the smallest becoming 0, as Keras did.

    Args:
        x: one image, channels last.
        brightness: factor; 0 is black, 1 leaves the (stretched) image.

    Returns:
        An image of whole numbers from 0 to 255, in float32.
    """
    enhance = pillow("Changing the brightness", "PIL.ImageEnhance")
    image = array_to_img(x, data_format="channels_last", dtype="float32")
    return img_to_array(enhance.Brightness(image).enhance(brightness), data_format="channels_last", dtype="float32")


def random_brightness(x: np.ndarray, brightness_range: tuple[float, float]) -> np.ndarray:
    """`apply_brightness_shift` with a random factor from `brightness_range`, which is (least, most)."""
    if len(brightness_range) != 2:
        raise ArgumentError(f"brightness_range has the least and the largest factor, got {brightness_range!r}.")
    return apply_brightness_shift(x, np.random.uniform(*brightness_range))  # noqa: NPY002
