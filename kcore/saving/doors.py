"""The doors of this room: save and load whole models and weights, in whatever format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kcore.saving import formats, limits
from kcore.saving.description import Description
from kcore.saving.formats import LoadOptions, WeightOptions
from kcore.saving.source import Source, Target
from kcore.utils.objects import trusting
from kcore.variables import deferring


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    save_format: str | None = None,
) -> None:
    """Save a model to one file: architecture, weights, training configuration, optimizer state.

    A file at a path is replaced atomically: whatever goes wrong, the old file or the new one is there, whole.

    Args:
        model: the model.
        filepath: a path, a binary file object, or an open h5py file or group.
        overwrite: whether an existing file is replaced without asking the user.
        include_optimizer: whether training configuration and optimizer state are stored too.
        save_format: name of a format (`kcore.saving.formats.known()`); None for what the path's extension means,
            and the Keras 2 HDF5 layout where it means nothing.
    """
    target = Target(filepath)
    if _may_write(target, overwrite):
        form = formats.to_write(target, save_format)
        form.save_model(model, target, include_optimizer=include_optimizer)


def load_model(
    filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Load a model that `save_model`, Keras or tf.keras wrote. The format is found from the content.

    Args:
        filepath: a path, bytes, a binary file object, or an open h5py file or group.
        custom_objects: classes and functions by the names that the file uses for them.
        compile: whether to compile the model as it was when saved, with its optimizer's state.
        safe_mode: False trusts the file as much as a program: classes and functions that it names together with
            their modules are imported, if they are installed and unknown otherwise. Code inside the file never runs.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged or holds no model.
        UnsafeFileError: it holds something that is not followed or run (links, foreign storage, bytecode).
        UnknownNameError: it names a class or function that neither kcore nor the caller knows.
    """
    source = Source(filepath)
    options = LoadOptions(dict(custom_objects or {}), compile, safe_mode)
    # Initial values are made only for what the file does not hold.
    with limits.reading(source.name), trusting(not safe_mode), deferring():
        return formats.of(source).load_model(source, options)


def describe(filepath: Any) -> Description:
    """What a file holds, without making anything of it: configurations, names and shapes of arrays, unsafe things.

    Args:
        filepath: a path, bytes, a binary file object, or an open h5py file or group.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged or of no known format.
        UnsafeFileError: the file cannot be looked at without doing what it says.
    """
    source = Source(filepath)
    with limits.reading(source.name):
        return formats.of(source).describe(source)


def save_weights(model: Any, filepath: Any, overwrite: bool = True, save_format: str | None = None) -> None:
    """Save a model's weights to a file; the arguments are those of `save_model`."""
    target = Target(filepath)
    if _may_write(target, overwrite):
        formats.to_write(target, save_format, part="weights").save_weights(model, target)


def load_weights(
    model: Any, filepath: Any, by_name: bool = False, skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Set a model's weights to those in a file of weights or of a whole model.

    Args:
        model: the model.
        filepath: a path, bytes, a binary file object, or an open h5py file or group.
        by_name: load the layers whose names occur in the file; the others keep theirs.
        skip_mismatch: with `by_name`, leave out layers that do not fit, with a warning.
        reshape: reshape values of the right size to the model's shapes.

    Raises:
        FileFormatError: the file is damaged or holds weights of other layers.
        ShapeError: a weight has another shape.
    """
    source = Source(filepath)
    options = WeightOptions(by_name=by_name, skip_mismatch=skip_mismatch, reshape=reshape)
    with limits.reading(source.name):
        formats.of(source).load_weights(model, source, options)


def _may_write(target: Target, overwrite: bool) -> bool:
    if overwrite or not target.is_path or not os.path.isfile(target.name):
        return True
    from kcore.utils.io_utils import ask_to_proceed_with_overwrite

    return ask_to_proceed_with_overwrite(target.name)
