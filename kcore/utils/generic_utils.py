"""The small tools that Keras 2 code imports from `keras.utils.generic_utils`: lists, names, slices, progress."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from kcore.errors import ArgumentError, UnsafeFileError, suggestion
from kcore.utils.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kcore.utils.objects import deserialize_keras_object, find_object, has_arg, serialize_keras_object
from kcore.utils.progbar import Progbar

__all__ = [
    "CustomObjectScope", "Progbar", "check_for_unexpected_keys", "custom_object_scope", "deserialize_keras_object",
    "find_object", "func_dump", "func_load", "get_custom_objects", "get_registered_name", "get_registered_object",
    "getargspec", "has_arg", "is_all_none", "object_list_uid", "register_keras_serializable",
    "serialize_keras_object", "slice_arrays", "to_list", "transpose_shape", "unpack_singleton",
]  # fmt: skip


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """The list itself, or a list of the one thing given; tuples count as one thing unless `allow_tuple`.

    >>> to_list(3), to_list([3]), to_list((1, 2)), to_list((1, 2), allow_tuple=True)
    ([3], [3], [(1, 2)], [1, 2])
    """
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Any) -> Any:
    """The only element of a list of one; every other list as it is.

    >>> unpack_singleton([7]), unpack_singleton([7, 8])
    (7, [7, 8])
    """
    return x[0] if len(x) == 1 else x


def object_list_uid(object_list: Any) -> str:
    """A key for the identity of one or several objects."""
    return ", ".join(str(id(x)) for x in to_list(object_list))


def is_all_none(iterable_or_element: Any) -> bool:
    """Whether everything in a list (or the one thing given) is None.

    >>> is_all_none([None, None]), is_all_none(0)
    (True, False)
    """
    return all(x is None for x in to_list(iterable_or_element, allow_tuple=True))


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """`arrays[start:stop]` of one or of several arrays; `start` may also be a list or array of indices.

    >>> slice_arrays([[1, 2, 3], None], 0, 2)
    [[1, 2], None]
    """
    if arrays is None:
        return [None]
    by_index = hasattr(start, "__len__")
    if by_index and hasattr(start, "shape"):
        start = start.tolist()  # HDF5 datasets take lists only
    index = start if by_index else slice(start, stop)
    if isinstance(arrays, list):
        return [None if x is None else x[index] for x in arrays]
    return arrays[index]


def transpose_shape(shape: Any, target_format: str, spatial_axes: Sequence[int]) -> Any:
    """A channels-last shape in another data format.

    >>> transpose_shape((16, 128, 64, 32), "channels_first", spatial_axes=(1, 2))
    (16, 32, 128, 64)
    """
    if target_format == "channels_last":
        return shape
    if target_format != "channels_first":
        raise ArgumentError(f"The data format is 'channels_first' or 'channels_last', got {target_format!r}.")
    moved = [*shape[: spatial_axes[0]], shape[-1], *(shape[axis] for axis in spatial_axes)]
    return moved if isinstance(shape, list) else tuple(moved)


def check_for_unexpected_keys(name: str, input_dict: Mapping[str, Any], expected_values: Collection[str]) -> None:
    """Raise ArgumentError when the dictionary has keys beyond the expected ones."""
    for key in input_dict:
        if key not in expected_values:
            raise ArgumentError(
                f"Unknown entry in {name}: {key!r}. Expected only: {', '.join(map(repr, expected_values))}."
                f"{suggestion(key, expected_values)}"
            )


def getargspec(fn: Any) -> inspect.FullArgSpec:
    """`inspect.getfullargspec` under its old name."""
    return inspect.getfullargspec(fn)


def func_dump(func: Any) -> NoReturn:
    """Refused: byte code in files is unsafe to load, and readable by one Python version only."""
    raise UnsafeFileError(
        f"kcore does not write functions as byte code; {func!r} must be named: define it with `def` and give it to "
        "the loader in `custom_objects`."
    )


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: Any = None) -> NoReturn:
    """Refused: byte code from a file is a program that somebody else wrote."""
    raise UnsafeFileError(
        "This file holds a function as Python byte code (a Lambda layer of Keras 2). kcore never runs code that a "
        "file brought: pass the function in `custom_objects`, under the name of the Lambda layer."
    )
