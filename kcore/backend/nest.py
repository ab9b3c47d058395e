"""Nests of lists and tuples with tensors at the leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def flatten(nest: Any) -> list[Any]:
    """The leaves in order.

    >>> flatten([1, (2, [3])])
    [1, 2, 3]
    """
    if isinstance(nest, (list, tuple)):
        return [leaf for item in nest for leaf in flatten(item)]
    return [nest]


def pack(like: Any, leaves: list[Any]) -> Any:
    """The leaves in the nest `like`.

    >>> pack([0, (0, 0)], [1, 2, 3])
    [1, (2, 3)]
    """
    return _pack(like, iter(leaves))


def _pack(like: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(like, (list, tuple)):
        items = [_pack(item, leaves) for item in like]
        return items if isinstance(like, list) else tuple(items)
    return next(leaves)
