"""ImageDataGenerator: which random variations images get, how they are normalised, and where they come from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import ArgumentError, ShapeError
from kcore.preprocessing.image.affine import apply_affine_transform, flip_axis
from kcore.preprocessing.image.colour import apply_brightness_shift, apply_channel_shift
from kcore.preprocessing.image.from_arrays import NumpyArrayIterator, warn_about_channels
from kcore.preprocessing.image.from_dataframe import DataFrameIterator
from kcore.preprocessing.image.from_directory import DirectoryIterator
from kcore.utils.optional import optional_import

#: A normalisation -> the one that it cannot do without.
_IMPLIED = {
    "featurewise_std_normalization": "featurewise_center",
    "samplewise_std_normalization": "samplewise_center",
    "zca_whitening": "featurewise_center",
}
#: Added to standard deviations before dividing.
_EPSILON = 1e-6


class ImageDataGenerator:
    """Makes batches of images, varied at random and normalised.

    Args:
        featurewise_center, featurewise_std_normalization: whether the mean over the data set is subtracted, by channel,
            and divided by the standard deviation. Both, and whitening, need `fit`.
        samplewise_center, samplewise_std_normalization: the same with each image's own mean and deviation.
        zca_whitening, zca_epsilon: whether pixels are decorrelated over the data set; added to the variances.
        rotation_range: largest angle, in degrees.
        width_shift_range, height_shift_range: a float below 1: largest part of the width; another float: largest number
            of pixels; an integer n: whole pixels, less than n; a list: the values to choose from (parts or pixels).
        brightness_range: least and largest factor; see `apply_brightness_shift`.
        shear_range: largest angle, in degrees.
        zoom_range: the least and the largest factor, or a float z for `(1 - z, 1 + z)`.
        channel_shift_range: the largest value added to all channels.
        fill_mode, cval, interpolation_order: what lies outside, and between pixels; see `apply_affine_transform`.
        horizontal_flip, vertical_flip: whether half of the images are mirrored.
        rescale: factor for all values, after the variations; None or 0 for none.
        preprocessing_function: called with each varied image (3 axes), returns one of the same shape.
        data_format: where images have their channels; the configured one when None.
        validation_split: part of the data, between 0 and 1, that is `subset="validation"`.
        dtype: of what `fit` computes; the configured float type when None. Batches have the configured type.

    >>> generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
    >>> batch = next(generator.flow(np.full((4, 8, 8, 3), 255.0), batch_size=2))
    >>> batch.shape, float(batch.max())
    ((2, 8, 8, 3), 1.0)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = "channels_last",
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = "float32",
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = None if brightness_range is None else _pair("brightness_range", brightness_range)
        self.shear_range = shear_range
        self.zoom_range = _zoom(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.interpolation_order = interpolation_order
        self.dtype = dtype or config.floatx()
        self.data_format = config.normalize_data_format(data_format)
        last = self.data_format == "channels_last"
        self.channel_axis, self.row_axis, self.col_axis = (3, 1, 2) if last else (1, 2, 3)
        if validation_split and not 0 < validation_split < 1:
            raise ArgumentError(f"validation_split lies between 0 and 1, got {validation_split!r}.")
        self._validation_split = validation_split
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.principal_components: np.ndarray | None = None
        self._settle_normalisation()

    def _settle_normalisation(self) -> None:
        """Switch on what other normalisations need, and off what whitening does itself."""
        for name, implied in _IMPLIED.items():
            if getattr(self, name) and not getattr(self, implied):
                setattr(self, implied, True)
                warnings.warn(f"`{name}` needs `{implied}`, which is switched on.", stacklevel=3)
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            warnings.warn("`zca_whitening` takes the place of `featurewise_std_normalization`.", stacklevel=3)

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of images in memory, without end; see `NumpyArrayIterator` for the arguments."""
        return NumpyArrayIterator(
            x, y, self, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight, seed=seed,
            data_format=self.data_format, save_to_dir=save_to_dir, save_prefix=save_prefix, save_format=save_format,
            subset=subset,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: str,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
    ) -> DirectoryIterator:
        """Batches of image files, one subfolder a class; see `DirectoryIterator` for the arguments."""
        return DirectoryIterator(
            directory, self, target_size=target_size, color_mode=color_mode, classes=classes, class_mode=class_mode,
            data_format=self.data_format, batch_size=batch_size, shuffle=shuffle, seed=seed, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, follow_links=follow_links, subset=subset,
            interpolation=interpolation,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | None = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Batches of image files named in a pandas table; see `DataFrameIterator` for the arguments."""
        if class_mode == "other":
            warnings.warn("class_mode 'other' is now called 'raw'.", DeprecationWarning, stacklevel=2)
            class_mode = "raw"
        for name in ("has_ext", "sort", "drop_duplicates"):
            if name in kwargs:
                del kwargs[name]
                warnings.warn(f"`{name}` has no effect any more: {_GONE[name]}.", DeprecationWarning, stacklevel=2)
        return DataFrameIterator(
            dataframe, directory, self, x_col=x_col, y_col=y_col, weight_col=weight_col, target_size=target_size,
            color_mode=color_mode, classes=classes, class_mode=class_mode, data_format=self.data_format,
            batch_size=batch_size, shuffle=shuffle, seed=seed, save_to_dir=save_to_dir, save_prefix=save_prefix,
            save_format=save_format, subset=subset, interpolation=interpolation,
            validate_filenames=validate_filenames, **kwargs,
        )  # fmt: skip

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalise an image, or a batch of them, in place.

        Args:
            x: of a float type. Give a copy to keep it.

        Returns:
            The result; `x` itself unless `preprocessing_function` or whitening made a new array.
        """
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + _EPSILON
        if (mean := self._fitted("featurewise_center", self.mean)) is not None:
            x -= mean
        if (std := self._fitted("featurewise_std_normalization", self.std)) is not None:
            x /= std + _EPSILON
        if (components := self._fitted("zca_whitening", self.principal_components)) is not None:
            flat = np.reshape(x, (-1, np.prod(x.shape[-3:])))
            x = np.reshape(flat @ components, x.shape)
        return x

    def _fitted(self, name: str, statistic: np.ndarray | None) -> np.ndarray | None:
        """What `fit` computed for a normalisation that is switched on."""
        if not getattr(self, name):
            return None
        if statistic is None:
            warnings.warn(f"`{name}` has no effect before the generator has seen data: call `fit`.", stacklevel=3)
        return statistic

    def get_random_transform(self, img_shape: tuple[int, ...], seed: int | None = None) -> dict[str, Any]:
        """Draw the parameters of a transformation, for `apply_transform`.

        Args:
            img_shape: of the image, 3 axes.
            seed: for `np.random`; None leaves it alone.
        """
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002 - Keras' contract; so in the lines below
        # The order of the draws is part of what a seed means.
        theta = _within(self.rotation_range)
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = _within(self.shear_range)
        least, most = self.zoom_range
        zx, zy = (1, 1) if least == most == 1 else np.random.uniform(least, most, 2)  # noqa: NPY002
        flip_horizontal = (np.random.random() < 0.5) and bool(self.horizontal_flip)  # noqa: NPY002
        flip_vertical = (np.random.random() < 0.5) and bool(self.vertical_flip)  # noqa: NPY002
        channel_shift = _within(self.channel_shift_range) if self.channel_shift_range != 0 else None
        brightness = None
        if self.brightness_range is not None:
            brightness = np.random.uniform(self.brightness_range[0], self.brightness_range[1])  # noqa: NPY002
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "channel_shift_intensity": channel_shift,
            "brightness": brightness,
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Transform one image.

        Args:
            x: the image, 3 axes.
            transform_parameters: see `get_random_transform`; what is missing is left out. `theta` and `shear` are
                angles in degrees, `tx` and `ty` shifts in pixels along rows and columns, `zx` and `zy` factors.
        """
        given = transform_parameters
        row, col, channel = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        affine = {name: given[name] for name in ("theta", "tx", "ty", "shear", "zx", "zy") if name in given}
        x = apply_affine_transform(
            x, **affine, row_axis=row, col_axis=col, channel_axis=channel,
            fill_mode=self.fill_mode, cval=self.cval, order=self.interpolation_order,
        )  # fmt: skip
        if given.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given["channel_shift_intensity"], channel)
        if given.get("flip_horizontal"):
            x = flip_axis(x, col)
        if given.get("flip_vertical"):
            x = flip_axis(x, row)
        if given.get("brightness") is not None:
            x = np.moveaxis(apply_brightness_shift(np.moveaxis(x, channel, 2), given["brightness"]), 2, channel)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Transform one image at random; see `get_random_transform` for `seed`."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute what featurewise normalisation and whitening need, from images (after `rescale`).

        Args:
            x: images, 4 axes.
            augment: whether they are transformed at random first.
            rounds: how often each of them is, then.
            seed: for `np.random`; None leaves it alone.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ShapeError(f"Expected images as an array with 4 axes, got one of shape {x.shape}.")
        warn_about_channels(x.shape, self.channel_axis, self.data_format)
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002
        if self.rescale:
            x *= self.rescale
        if augment:
            images = x
            x = np.zeros((rounds * len(images), *images.shape[1:]), dtype=self.dtype)
            for i in range(len(x)):
                x[i] = self.random_transform(images[i % len(images)])
        by_channel = [1, 1, 1]
        by_channel[self.channel_axis - 1] = x.shape[self.channel_axis]
        others = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=others).reshape(by_channel)
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=others).reshape(by_channel)
            x /= self.std + _EPSILON
        if self.zca_whitening:
            linalg = optional_import("scipy.linalg", "SciPy", "image", "Whitening")
            flat = x.reshape(len(x), -1)
            # Of fewer images than pixels most variances are rounding: SciPy's routine gives the numbers that Keras had.
            vectors, variances, _ = linalg.svd(flat.T @ flat / len(flat))
            self.principal_components = (vectors / np.sqrt(variances + self.zca_epsilon)) @ vectors.T


_GONE = {
    "has_ext": "file names in the table have their extensions",
    "sort": "unshuffled files come in the order of the table",
    "drop_duplicates": "use the table's own `drop_duplicates`",
}


def _pair(name: str, value: Any) -> list[float]:
    """Two numbers."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(v) for v in value):
        return list(value)
    raise ArgumentError(f"{name} is a pair of numbers (least, largest), got {value!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating))


def _zoom(given: Any) -> list[float]:
    if _is_number(given):
        return [1 - given, 1 + given]
    if isinstance(given, np.ndarray):
        given = given.tolist()
    return _pair("zoom_range", given)


def _within(limit: float) -> float:
    """A random number between -limit and limit; 0, without drawing, for 0."""
    return np.random.uniform(-limit, limit) if limit else 0  # noqa: NPY002


def _shift(limits: Any, size: int) -> float:
    """A random shift in pixels: of an image that has `size` of them, where limits are below 1."""
    if np.ndim(limits) == 0 and not limits:
        return 0
    try:  # the values to choose from, or their number
        shift = np.random.choice(limits) * np.random.choice([-1, 1])  # noqa: NPY002
    except ValueError:  # a float: a limit
        shift = np.random.uniform(-limits, limits)  # noqa: NPY002
    return shift * size if np.max(limits) < 1 else shift
