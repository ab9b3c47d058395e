"""Elementwise functions that differ from the op of that name."""

from __future__ import annotations

from typing import Any

from kcore.ops import elementwise


def pow(x: Any, a: Any) -> Any:
    """`x` to the power `a`, elementwise.

    >>> K.eval(K.pow(K.constant([1., 3.]), 2.))
    array([1., 9.], dtype=float32)
    """
    return elementwise.power(x, a)


def sqrt(x: Any) -> Any:
    """Square root, elementwise; 0 for negative numbers.

    >>> K.eval(K.sqrt(K.constant([4., -1.])))
    array([2., 0.], dtype=float32)
    """
    return elementwise.sqrt(elementwise.maximum(x, 0))
