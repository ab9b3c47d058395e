"""Which files are images: by their extension."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence

#: What iterators take for images.
EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")


def validate_filename(filename: str, white_list_formats: Sequence[str]) -> bool:
    """Whether a file of that name exists and has one of the extensions."""
    return filename.lower().endswith(tuple(white_list_formats)) and os.path.isfile(filename)


def list_pictures(
    directory: str, ext: str | Sequence[str] = ("jpg", "jpeg", "bmp", "png", "ppm", "tif", "tiff")
) -> list[str]:
    """The paths of all images in a folder and in those below it.

    Args:
        directory: the folder.
        ext: the extensions of images, or the only one.
    """
    endings = tuple(f".{e}" for e in ((ext,) if isinstance(ext, str) else ext))
    return [
        os.path.join(root, name)
        for root, _, names in os.walk(directory)
        for name in names
        if name.lower().endswith(endings)
    ]


def images_below(directory: str, extensions: Sequence[str], follow_links: bool) -> Iterator[str]:
    """The paths of images in a folder and below, relative to it, folder by folder in alphabetical order."""
    endings = tuple(extensions)
    for root, _, names in sorted(os.walk(directory, followlinks=follow_links), key=lambda entry: entry[0]):
        for name in sorted(names):
            if name.lower().endswith(".tiff"):
                warnings.warn("'.tiff' files with several bands are distorted; check the result.", stacklevel=2)
            if name.lower().endswith(endings):
                yield os.path.relpath(os.path.join(root, name), directory)
