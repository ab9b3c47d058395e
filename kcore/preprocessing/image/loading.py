"""Image files, Pillow images and arrays into each other."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import ArgumentError, ShapeError, unknown_name
from kcore.utils.optional import optional_import

#: color_mode -> the Pillow modes that are taken as they are, the mode that others are converted to, channels.
_COLOR_MODES = {
    "grayscale": (("L", "I;16", "I"), "L", 1),
    "rgb": (("RGB",), "RGB", 3),
    "rgba": (("RGBA",), "RGBA", 4),
}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(purpose: str, module: str = "PIL.Image") -> Any:
    """A module of Pillow, or the error that says how to get it."""
    return optional_import(module, "Pillow", "image", purpose)


def channels_of(color_mode: str) -> int:
    """The number of channels that images of a color mode have. Raises UnknownNameError for another mode."""
    if color_mode not in _COLOR_MODES:
        raise unknown_name("color_mode", color_mode, _COLOR_MODES)
    return _COLOR_MODES[color_mode][2]


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
) -> Any:
    """Read an image file.

    Args:
        path: path or open binary file.
        grayscale: the old way to say `color_mode="grayscale"`.
        color_mode: `"grayscale"` (which keeps 16 and 32 bit images as they are), `"rgb"` or `"rgba"`.
        target_size: `(height, width)` to resize to; None leaves the size.
        interpolation: how: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.

    Returns:
        A Pillow image, read completely.

    Raises:
        MissingPackageError: Pillow is not installed.
        UnknownNameError: an unknown color mode or interpolation.
    """
    if grayscale is True:
        warnings.warn("`grayscale` is deprecated; use color_mode='grayscale'.", stacklevel=2)
        color_mode = "grayscale"
    Image = pillow("Reading an image")
    channels_of(color_mode)
    if interpolation not in _INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, _INTERPOLATIONS)
    keep, convert_to, _ = _COLOR_MODES[color_mode]
    with Image.open(path) as file:
        # Both `load` and `convert` read the pixels, so that the file can be closed.
        image = file.copy() if file.mode in keep else file.convert(convert_to)
    if target_size is not None:
        height, width = target_size
        if image.size != (width, height):
            image = image.resize((width, height), getattr(Image.Resampling, interpolation.upper()))
    return image


def img_to_array(img: Any, data_format: str | None = None, dtype: str | None = None) -> np.ndarray:
    """A Pillow image (or an array of rank 2 or 3, rows first) as an array.

    Args:
        img: the image.
        data_format: where the result has its channels; the configured one when None.
        dtype: of the result; the configured float type when None.

    Returns:
        An array of shape `(rows, cols, channels)` or `(channels, rows, cols)`.
    """
    data_format = config.normalize_data_format(data_format)
    array = np.asarray(img, dtype=dtype or config.floatx())
    if not array.flags.writeable:  # the image's own bytes; `standardize` works in place
        array = array.copy()
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3:
        raise ShapeError(f"Expected an image with 2 or 3 axes, got one of shape {array.shape}.")
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: str | None = None) -> Any:
    """An array as a Pillow image.

    Args:
        x: one image: 3 axes, with 1, 3 or 4 channels.
        data_format: where it has its channels; the configured one when None.
        scale: whether values are stretched to 0 ... 255, the smallest becoming 0; else they are cut to bytes.
        dtype: in which this is computed; the configured float type when None.

    Returns:
        A Pillow image of mode `"L"`, `"RGB"` or `"RGBA"`; `"I"` for one channel with values above 255.

    Raises:
        ShapeError: another number of axes or channels.
    """
    Image = pillow("Making an image of an array")
    data_format = config.normalize_data_format(data_format)
    x = np.asarray(x, dtype=dtype or config.floatx())
    if x.ndim != 3:
        raise ShapeError(f"Expected one image, an array with 3 axes; got one of shape {x.shape}.")
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    channels = x.shape[2]
    if channels not in (1, 3, 4):
        raise ShapeError(
            f"Expected 1, 3 or 4 channels, got {channels} (shape {x.shape} with channels last). "
            "Is `data_format` right?"
        )
    if scale:
        x = x - np.min(x)
        largest = np.max(x)
        x = (x / largest if largest != 0 else x) * 255
    if channels > 1:
        return Image.fromarray(_bytes(x))
    wide = np.max(x, initial=0) > 255
    return Image.fromarray(x[:, :, 0].astype("int32") if wide else _bytes(x[:, :, 0]))


def _bytes(x: np.ndarray) -> np.ndarray:
    """Pixels as bytes. Values outside 0 ... 255 wrap, as they do in C: through an integer type, which NumPy defines."""
    return x.astype("int64").astype("uint8")


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image file.

    Args:
        path: path or binary file open for writing.
        x: one image; see `array_to_img`, also for `data_format` and `scale`.
        file_format: such as `"png"`; by the extension of the path when None.
        kwargs: passed to Pillow's `Image.save`.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    if image.mode == "RGBA" and file_format in ("jpg", "jpeg"):
        warnings.warn("JPEG images have no transparency; saving RGB.", stacklevel=2)
        image = image.convert("RGB")
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"  # the name by which Pillow knows it
    if file_format is None and not isinstance(path, (str, os.PathLike)) and not getattr(path, "name", None):
        raise ArgumentError("Writing to a file object needs `file_format`, such as 'png'.")
    image.save(path, format=file_format, **kwargs)
