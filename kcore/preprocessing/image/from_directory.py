"""Batches of the image files below a folder, one subfolder a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import unknown_name
from kcore.preprocessing.image.from_files import BatchFromFilesMixin
from kcore.preprocessing.image.iterator import Iterator
from kcore.preprocessing.image.listing import images_below


class DirectoryIterator(BatchFromFilesMixin, Iterator):
    """Batches of image files, classed by subfolder.

    Yields `x` for `class_mode=None`, else `(x, y)`.

    Args:
        directory: the folder. Images may lie anywhere below a class's subfolder.
        image_data_generator: transforms and standardises images; None leaves them as they are.
        target_size: `(height, width)` of all images.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        classes: names of subfolders, in the order of their numbers; all, in alphabetical order, when None.
        class_mode: what targets are: `"categorical"` (one-hot rows), `"binary"` or `"sparse"` (class numbers),
            `"input"` (the images themselves), None (there are none).
        batch_size, shuffle, seed: see `Iterator`. Unshuffled files come in alphabetical order.
        data_format: where arrays have their channels; the configured one when None.
        save_to_dir, save_prefix, save_format: where to keep a copy of each transformed image, for looking at.
        follow_links: whether links to folders are followed.
        subset: `"training"` or `"validation"`: which side of the generator's `validation_split`; all when None. Each
            class's first files are those for validation.
        interpolation: see `load_img`.
        dtype: of the batches; the configured float type when None.

    Attributes:
        class_indices: class name to number. classes: each file's class number. filenames: paths below `directory`.
        samples, num_classes: numbers of files and of classes.
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self,
        directory: str,
        image_data_generator: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: str | None = None,
    ) -> None:
        self.set_processing_attrs(
            image_data_generator, target_size, color_mode, data_format, save_to_dir, save_prefix, save_format,
            subset, interpolation,
        )  # fmt: skip
        if class_mode not in self.allowed_class_modes:
            raise unknown_name("class_mode", class_mode, [mode for mode in self.allowed_class_modes if mode])
        self.directory = os.fspath(directory)
        self.class_mode = class_mode
        self.dtype = dtype or config.floatx()
        self.follow_links = follow_links
        names = list(classes) if classes else _subfolders(self.directory)
        self.class_indices = {name: i for i, name in enumerate(names)}
        self.num_classes = len(names)
        # Folders of a network file system are listed at the same time.
        with ThreadPoolExecutor() as threads:
            found = list(threads.map(self._files_of_class, names))
        self.filenames = [name for files in found for name in files]
        numbers = [self.class_indices[name] for name in names]
        self.classes = np.repeat(np.array(numbers, dtype="int32"), [len(files) for files in found])
        self.samples = len(self.filenames)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")  # noqa: T201 - as Keras does
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        Iterator.__init__(self, self.samples, batch_size, shuffle, seed)

    def _files_of_class(self, name: str) -> list[str]:
        """A class's files, by their paths below `directory`; those of the subset only."""
        folder = os.path.join(self.directory, name)
        files = list(images_below(folder, self.white_list_formats, self.follow_links))
        if self.split:
            files = files[int(self.split[0] * len(files)) : int(self.split[1] * len(files))]
        return [os.path.join(name, file) for file in files]

    @property
    def filepaths(self) -> list[str]:
        """The paths of all files."""
        return self._filepaths

    @property
    def labels(self) -> np.ndarray:
        """The class number of each file."""
        return self.classes

    @property
    def sample_weight(self) -> None:
        """None: folders hold no weights."""
        return


def _subfolders(directory: str) -> list[str]:
    return sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
