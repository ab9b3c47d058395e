"""Batches of image files, and their targets by class mode: what reading from folders and from tables share."""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore import config
from kcore.preprocessing.image.from_arrays import check_subset
from kcore.preprocessing.image.loading import channels_of, img_to_array, load_img
from kcore.preprocessing.image.saving import save_batch


class BatchFromFilesMixin:
    """Reads, transforms and standardises the files of a batch.

    An iterator with this has `filepaths`, `labels`, `sample_weight`, `classes`, `class_mode`, `dtype`.
    """

    class_mode: str | None
    class_indices: dict[str, int]
    classes: Any
    dtype: str

    def set_processing_attrs(
        self,
        image_data_generator: Any,
        target_size: tuple[int, int],
        color_mode: str,
        data_format: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
    ) -> None:
        """Set how files become arrays.

        Args:
            image_data_generator: transforms and standardises; None leaves images as they are.
            target_size: `(height, width)` of all images.
            color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
            data_format: where arrays have their channels; the configured one when None.
            save_to_dir, save_prefix, save_format: where to keep a copy of each transformed image.
            subset: `"training"` or `"validation"`: which side of the generator's `validation_split`; all when None.
            interpolation: see `load_img`.
        """
        self.image_data_generator = image_data_generator
        height, width = target_size
        self.target_size = (height, width)
        self.color_mode = color_mode
        self.data_format = config.normalize_data_format(data_format)
        channels = channels_of(color_mode)
        last = self.data_format == "channels_last"
        self.image_shape = (*self.target_size, channels) if last else (channels, *self.target_size)
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        self.interpolation = interpolation
        check_subset(subset)
        self.subset = subset
        self.split: tuple[float, float] | None = None
        if subset is not None:
            share = image_data_generator._validation_split
            self.split = (0, share) if subset == "validation" else (share, 1)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.image_shape), dtype=self.dtype)
        filepaths = self.filepaths
        for i, j in enumerate(index_array):
            batch[i] = self._image(filepaths[j])
        if self.save_to_dir:
            save_batch(self, batch, index_array, 10_000_000)
        if self.class_mode is None:
            return batch
        targets = self._targets_of(index_array, batch)
        if self.sample_weight is None:
            return batch, targets
        return batch, targets, self.sample_weight[index_array]

    def _image(self, path: str) -> np.ndarray:
        """One file as an array, transformed and standardised."""
        image = load_img(
            path, color_mode=self.color_mode, target_size=self.target_size, interpolation=self.interpolation
        )
        x = img_to_array(image, data_format=self.data_format, dtype="float32")
        generator = self.image_data_generator
        if generator is None:
            return x
        params = generator.get_random_transform(x.shape)
        return generator.standardize(generator.apply_transform(x, params))

    def _targets_of(self, index_array: np.ndarray, batch: np.ndarray) -> Any:
        """The batch's targets, as the class mode says."""
        if self.class_mode == "input":
            return batch.copy()
        if self.class_mode == "multi_output":
            return [output[index_array] for output in self.labels]
        if self.class_mode == "raw":
            return self.labels[index_array]
        classes = [self.classes[j] for j in index_array]
        if self.class_mode != "categorical":
            return np.array(classes, dtype=self.dtype)
        targets = np.zeros((len(batch), len(self.class_indices)), dtype=self.dtype)
        for row, found in zip(targets, classes):  # one class, or several
            row[found] = 1.0
        return targets

    @property
    def filepaths(self) -> list[str]:
        """The paths of all files."""
        raise NotImplementedError(f"{type(self).__name__} does not define `filepaths`.")

    @property
    def labels(self) -> Any:
        """The targets of all files."""
        raise NotImplementedError(f"{type(self).__name__} does not define `labels`.")

    @property
    def sample_weight(self) -> Any:
        """The weights of all files, or None."""
        raise NotImplementedError(f"{type(self).__name__} does not define `sample_weight`.")
