"""Batches of images that lie in memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import DataError, ShapeError, unknown_name
from kcore.preprocessing.image.iterator import Iterator
from kcore.preprocessing.image.saving import save_batch


def check_subset(subset: str | None) -> None:
    """Raise UnknownNameError unless `subset` is the name of one, or None."""
    if subset not in (None, "training", "validation"):
        raise unknown_name("subset", subset, ("training", "validation"))


def warn_about_channels(shape: tuple[int, ...], channel_axis: int, data_format: str) -> None:
    """Warn when images do not have the number of channels that images have: the data format may be wrong."""
    if shape[channel_axis] not in (1, 3, 4):
        warnings.warn(
            f"Expected images with 1, 3 or 4 channels on axis {channel_axis} (data_format={data_format!r}), got an "
            f"array of shape {shape}, which has {shape[channel_axis]}.",
            stacklevel=3,
        )


class NumpyArrayIterator(Iterator):
    """Batches of an array of images, each transformed and standardised by an ImageDataGenerator.

    Yields `x`, `(x, y)` or `(x, y, sample_weight)`; `x` is a list where other data goes along.

    Args:
        x: images, 4 axes; or a pair of images and an array (or a list of arrays) that goes along unchanged.
        y: targets, or None.
        image_data_generator: see `ImageDataGenerator`.
        batch_size, shuffle, seed: see `Iterator`.
        sample_weight: one for each sample, or None.
        data_format: where the images have their channels; the configured one when None.
        save_to_dir, save_prefix, save_format: where to keep a copy of each transformed image, for looking at.
        subset: `"training"` or `"validation"`: which side of the generator's `validation_split`; all when None. The
            first samples are those for validation.
        dtype: of the batches; the configured float type when None.

    Raises:
        DataError: numbers of samples differ; or training and validation would have different targets.
        ShapeError: `x` does not have 4 axes.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.data_format = config.normalize_data_format(data_format)
        self.dtype = dtype or config.floatx()
        images, others = _with_others(x)
        given = {"images": images, "targets": y, "sample_weight": sample_weight}
        given |= {f"array {i + 1} beside the images": other for i, other in enumerate(others)}
        arrays = {name: np.asarray(value) for name, value in given.items() if value is not None}
        _check_lengths(arrays)
        if subset is not None:
            arrays = _subset(arrays, subset, image_data_generator._validation_split)
        self.x = arrays.pop("images").astype(self.dtype, copy=False)
        self.y = arrays.pop("targets", None)
        self.sample_weight = arrays.pop("sample_weight", None)
        self.x_misc = list(arrays.values())
        if self.x.ndim != 4:
            raise ShapeError(f"Expected images as an array with 4 axes, got one of shape {self.x.shape}.")
        warn_about_channels(self.x.shape, 3 if self.data_format == "channels_last" else 1, self.data_format)
        self.image_data_generator = image_data_generator
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        generator = self.image_data_generator
        batch = np.zeros((len(index_array), *self.x.shape[1:]), dtype=self.dtype)
        for i, j in enumerate(index_array):
            params = generator.get_random_transform(self.x.shape[1:])
            image = generator.apply_transform(self.x[j].astype(self.dtype), params)
            batch[i] = generator.standardize(image)
        if self.save_to_dir:
            save_batch(self, batch, index_array, 10_000)
        inputs = [batch, *(other[index_array] for other in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[index_array]
        return inputs, self.y[index_array], self.sample_weight[index_array]


def _with_others(x: Any) -> tuple[Any, list[Any]]:
    """The images, and the arrays that go along."""
    if not isinstance(x, (tuple, list)):
        return x, []
    if len(x) != 2:
        raise DataError(
            f"Expected an array of images, or a pair (images, other data); got a {type(x).__name__} of {len(x)}."
        )
    images, others = x
    return images, list(others) if isinstance(others, list) else [others]


def _check_lengths(arrays: dict[str, np.ndarray]) -> None:
    samples = len(arrays["images"])
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != samples:
            shapes = ", ".join(f"{other} {value.shape}" for other, value in arrays.items())
            raise DataError(f"There must be as many {name} as images ({samples}). The shapes are: {shapes}.")


def _subset(arrays: dict[str, np.ndarray], subset: str, validation_split: float) -> dict[str, np.ndarray]:
    """The samples of one subset."""
    check_subset(subset)
    split = int(len(arrays["images"]) * validation_split)
    y = arrays.get("targets")
    if y is not None and not np.array_equal(np.unique(y[:split]), np.unique(y[split:])):
        raise DataError(
            "Training and validation subsets have different targets after the split. Are the samples sorted by class? "
            "Shuffle them first."
        )
    side = slice(split) if subset == "validation" else slice(split, None)
    return {name: array[side] for name, array in arrays.items()}
