"""Images to batches: reading, random variations, normalisation.

One concept a file: `loading` and `saving` (arrays and files), `listing` (which files), `affine` and `colour`
(variations), `iterator` (batches in order), `from_arrays`, `from_files`, `from_directory`, `from_dataframe` (where
batches come from), `generator` (all of it together). Random choices come from `np.random`, drawn in Keras 2's order.
"""

from __future__ import annotations

from kcore.preprocessing.image.affine import (
    apply_affine_transform,
    flip_axis,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
    transform_matrix_offset_center,
)
from kcore.preprocessing.image.colour import (
    apply_brightness_shift,
    apply_channel_shift,
    random_brightness,
    random_channel_shift,
)
from kcore.preprocessing.image.from_arrays import NumpyArrayIterator
from kcore.preprocessing.image.from_dataframe import DataFrameIterator
from kcore.preprocessing.image.from_directory import DirectoryIterator
from kcore.preprocessing.image.from_files import BatchFromFilesMixin
from kcore.preprocessing.image.generator import ImageDataGenerator
from kcore.preprocessing.image.iterator import Iterator
from kcore.preprocessing.image.listing import list_pictures, validate_filename
from kcore.preprocessing.image.loading import array_to_img, img_to_array, load_img, save_img

__all__ = [
    "BatchFromFilesMixin",
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "flip_axis",
    "img_to_array",
    "list_pictures",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "transform_matrix_offset_center",
    "validate_filename",
]
