"""Batches of the image files that a pandas table names. Works with the table's own methods: imports no pandas."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore.errors import DataError, DTypeError, unknown_name
from kcore.preprocessing.image.from_files import BatchFromFilesMixin
from kcore.preprocessing.image.iterator import Iterator
from kcore.preprocessing.image.listing import validate_filename

#: Class modes whose targets are numbers of classes.
_OF_CLASSES = ("binary", "categorical", "sparse")


class DataFrameIterator(BatchFromFilesMixin, Iterator):
    """Batches of image files named in a table, with targets and weights from other columns.

    Yields `x` for `class_mode=None`, else `(x, y)` or `(x, y, sample_weight)`.

    Args:
        dataframe: a pandas DataFrame.
        directory: where the files are; None when the table holds whole paths.
        image_data_generator: transforms and standardises images; None leaves them as they are.
        x_col: the column of file names.
        y_col: the column of targets; a list of columns for some class modes.
        weight_col: the column of sample weights, or None.
        target_size: `(height, width)` of all images.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        classes: the classes to use; rows of others are dropped. All when None. They are numbered alphabetically.
        class_mode: what targets are: `"categorical"` (rows of zeros and ones; a cell may list several classes),
            `"binary"` or `"sparse"` (class numbers), `"raw"` (values of `y_col`), `"multi_output"` (a list with the
            values of each column), `"input"` (the images themselves), None (there are none).
        batch_size, shuffle, seed: see `Iterator`.
        data_format: where arrays have their channels.
        save_to_dir, save_prefix, save_format: where to keep a copy of each transformed image, for looking at.
        subset: `"training"` or `"validation"`: which side of the generator's `validation_split`; all when None. The
            first rows are those for validation.
        interpolation: see `load_img`.
        dtype: of the batches.
        validate_filenames: whether rows whose file is missing or no image are dropped, with a warning.

    Raises:
        DTypeError: a column holds other values than the class mode needs.
        DataError: a binary problem without exactly two classes.
    """

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)

    def __init__(
        self,
        dataframe: Any,
        directory: str | None = None,
        image_data_generator: Any = None,
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
        data_format: str | None = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: str | None = "float32",
        validate_filenames: bool = True,
    ) -> None:
        self.set_processing_attrs(
            image_data_generator, target_size, color_mode, data_format, save_to_dir, save_prefix, save_format,
            subset, interpolation,
        )  # fmt: skip
        self.directory = os.fspath(directory or "")
        self.class_mode = class_mode
        self.dtype = dtype or config.floatx()
        table = dataframe.copy()
        self._check_params(table, x_col, y_col, weight_col, classes)
        if validate_filenames:
            table = self._filter_valid_filepaths(table, x_col)
        if class_mode in _OF_CLASSES:
            table, names = self._filter_classes(table, y_col, classes)
            self.class_indices = {name: i for i, name in enumerate(names)}
        if self.split:
            table = table.iloc[int(self.split[0] * len(table)) : int(self.split[1] * len(table))]
        if class_mode in _OF_CLASSES:
            self.classes = self.get_classes(table, y_col)
        elif class_mode == "multi_output":
            self._targets: Any = [np.array(table[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].to_numpy()
        self._sample_weight = table[weight_col].to_numpy() if weight_col else None
        self.filenames = table[x_col].tolist()
        self.samples = len(self.filenames)
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        checked = "validated" if validate_filenames else "non-validated"
        belonging = f" belonging to {len(self.class_indices)} classes" if class_mode in _OF_CLASSES else ""
        print(f"Found {self.samples} {checked} image filenames{belonging}.")  # noqa: T201 - as Keras does
        Iterator.__init__(self, self.samples, batch_size, shuffle, seed)

    def _check_params(self, table: Any, x_col: str, y_col: Any, weight_col: str | None, classes: Any) -> None:
        """Raise the error for columns that do not hold what the class mode needs."""
        mode = self.class_mode
        if mode not in self.allowed_class_modes:
            raise unknown_name("class_mode", mode, [known for known in self.allowed_class_modes if known])
        if mode == "multi_output" and not isinstance(y_col, list):
            raise DTypeError(f"class_mode='multi_output' takes a list of columns as y_col, got {y_col!r}.")
        _check_column(table, x_col, str, "x_col holds file names")
        if mode in ("binary", "sparse"):
            _check_column(table, y_col, str, f"with class_mode={mode!r}, y_col holds one class each")
        elif mode == "categorical":
            _check_column(table, y_col, (str, list, tuple), f"with class_mode={mode!r}, y_col holds classes")
        elif classes:
            warnings.warn(f"With class_mode={mode!r}, `classes` has no effect.", stacklevel=3)
        if mode == "binary":
            names = set(classes) if classes else set(table[y_col])
            if len(names) != 2:
                raise DataError(f"class_mode='binary' means 2 classes; there are {len(names)}: {sorted(names)[:10]}.")
        if weight_col and not issubclass(table[weight_col].dtype.type, np.number):
            raise DTypeError(
                f"weight_col holds numbers, but the column {weight_col!r} has the dtype {table[weight_col].dtype}."
            )

    def _filter_valid_filepaths(self, table: Any, x_col: str) -> Any:
        """The rows whose file is there and has an image's extension."""
        paths = (os.path.join(self.directory, name) for name in table[x_col])
        valid = np.array([validate_filename(path, self.white_list_formats) for path in paths], dtype=bool)
        if not valid.all():
            warnings.warn(
                f"{(~valid).sum()} of {len(valid)} files in the column {x_col!r} are missing or have no image's "
                "extension. These rows are not used.",
                stacklevel=3,
            )
        return table[valid]

    @staticmethod
    def _filter_classes(table: Any, y_col: str, classes: Any) -> tuple[Any, list[str]]:
        """The rows that have one of the classes, reduced to those, and the classes' names in alphabetical order."""
        cells = [list(cell) if isinstance(cell, (list, tuple)) else cell for cell in table[y_col]]
        if not classes:
            return table, sorted({name for cell in cells for name in (cell if isinstance(cell, list) else [cell])})
        wanted = set(classes)
        kept = [
            [name for name in cell if name in wanted] if isinstance(cell, list) else (cell if cell in wanted else None)
            for cell in cells
        ]
        table = table.copy()
        table[y_col] = np.fromiter((cell or None for cell in kept), dtype=object, count=len(kept))
        return table[np.array([bool(cell) for cell in kept], dtype=bool)], sorted(wanted)

    def get_classes(self, df: Any, y_col: str) -> list[Any]:
        """The class number of each row; a list of numbers where a cell lists classes."""
        numbers = self.class_indices
        return [
            [numbers[name] for name in cell] if isinstance(cell, (list, tuple)) else numbers[cell] for cell in df[y_col]
        ]

    @property
    def filepaths(self) -> list[str]:
        """The paths of all files."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """The class numbers, or the columns' values, of all files."""
        return self._targets if self.class_mode in ("multi_output", "raw") else self.classes

    @property
    def sample_weight(self) -> Any:
        """The weights of all files, or None."""
        return self._sample_weight


def _check_column(table: Any, column: Any, types: Any, rule: str) -> None:
    """Raise DTypeError at the first value of a column that has none of the types."""
    expected = " or ".join(t.__name__ for t in (types if isinstance(types, tuple) else (types,)))
    for row, value in enumerate(table[column]):
        if not isinstance(value, types):
            raise DTypeError(f"Row {row} of the column {column!r} is {value!r}; {rule}: expected {expected}.")
