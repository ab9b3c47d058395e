"""Logs of a batch whose values stay on the device until somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from kcore import backend as K

_HOST = (float, int, str, list, np.ndarray, np.generic, type(None))


def on_host(value: Any) -> Any:
    """A device scalar as a NumPy scalar, a device tensor as an array; everything else as it is."""
    if isinstance(value, _HOST):
        return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    return np.asarray(K.eval(value))[()]


class BatchLogs(dict[str, Any]):
    """A dictionary like any other, whose device values are fetched when they are first read."""

    def __getitem__(self, key: str) -> Any:
        value = dict.__getitem__(self, key)
        fetched = on_host(value)
        if fetched is not value:
            dict.__setitem__(self, key, fetched)
        return fetched

    def raw(self) -> Iterable[tuple[str, Any]]:
        """The items as they lie, device values included."""
        return dict.items(self)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or the default."""
        return self[key] if key in dict.keys(self) else default

    def items(self) -> Any:
        """Names and values on the host."""
        return {key: self[key] for key in dict.keys(self)}.items()

    def values(self) -> Any:
        """Values on the host."""
        return {key: self[key] for key in dict.keys(self)}.values()

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a value."""
        return on_host(dict.pop(self, key, *default))

    def copy(self) -> dict[str, Any]:
        """A plain dictionary of values on the host."""
        return dict(self.items())

    def __iter__(self) -> Iterator[str]:  # as a method of its own it makes dict(logs) and {**logs} ask __getitem__
        return dict.__iter__(self)

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.copy())


def raw_items(logs: Any) -> Iterable[tuple[str, Any]]:
    """The items of any logs, without fetching those of `BatchLogs`."""
    return logs.raw() if isinstance(logs, BatchLogs) else logs.items()
