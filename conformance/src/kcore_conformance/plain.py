"""Arguments of ops as plain data: to JSON and back exactly, and as text that one could type.

Scalars, None and strings stand for themselves, a list for a list; everything else is an object with one key that names
its kind: `{"tuple": [...]}`, `{"array": {"dtype": ..., "shape": [...], "values": [...]}}`, `{"slice": [...]}`. Numbers
that JSON lacks are `{"float": "nan"}`. Nothing is ever pickled, evaluated or imported by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.errors import ArgumentError


class NotPlainError(ArgumentError):
    """A value that has no plain form, or plain data that describes none."""


def encode(value: Any) -> Any:
    """Plain data for a value.

    Raises:
        NotPlainError: no plain form is known for it (a function, say).

    >>> encode((1, None, np.asarray([1.5, np.inf], "float32")))
    {'tuple': [1, None, {'array': {'dtype': 'float32', 'shape': [2], 'values': [1.5, 'inf']}}]}
    """
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": _special(value)}
    if isinstance(value, np.generic):
        return {"scalar": {"dtype": value.dtype.name, "value": _items(np.asarray(value))[0]}}
    if isinstance(value, np.ndarray):
        return {"array": {"dtype": value.dtype.name, "shape": list(value.shape), "values": _items(value)}}
    if isinstance(value, list):
        return [encode(x) for x in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(x) for x in value]}
    if isinstance(value, slice):
        return {"slice": [encode(value.start), encode(value.stop), encode(value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {"dict": {k: encode(v) for k, v in value.items()}}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    raise NotPlainError(f"A {type(value).__name__} cannot be written down: {value!r:.80}")


def decode(data: Any) -> Any:
    """The value that plain data describes.

    Raises:
        NotPlainError: it describes none.

    >>> decode({"tuple": [1, {"slice": [None, 2, None]}]})
    (1, slice(None, 2, None))
    """
    if isinstance(data, list):
        return [decode(x) for x in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise NotPlainError(f"Expected an object with one key, its kind; got the keys {sorted(data)}.")
    ((kind, content),) = data.items()
    try:
        return _READERS[kind](content)
    except NotPlainError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotPlainError(f"This is no valid {kind!r}: {content!r:.80} ({error})") from error


def _special(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _items(array: np.ndarray) -> list[Any]:
    """The elements in C order, as JSON has them. A float16 or float32 is exact as the Python float of its value."""
    if array.dtype.kind not in "biuf":
        raise NotPlainError(f"An array of dtype {array.dtype} cannot be written down.")
    items = array.ravel().tolist()
    if array.dtype.kind == "f":
        return [x if math.isfinite(x) else _special(x) for x in items]
    return items  # type: ignore[no-any-return]


def _array(content: Mapping[str, Any]) -> np.ndarray:
    shape = tuple(int(n) for n in content["shape"])
    dtype = _dtype(content["dtype"])
    values = content["values"]
    if dtype.kind == "f":
        values = [float(x) for x in values]
    if len(values) != math.prod(shape):
        raise NotPlainError(f"An array of shape {shape} has {math.prod(shape)} elements; {len(values)} are given.")
    return np.asarray(values, "float64" if not values else None).astype(dtype).reshape(shape)


def _dtype(name: str) -> np.dtype[Any]:
    found = np.dtype(name)
    if found.kind not in "biuf":
        raise NotPlainError(f"Arrays of dtype {name!r} are not plain data.")
    return found


def _scalar(content: Mapping[str, Any]) -> Any:
    return _array({"dtype": content["dtype"], "shape": [], "values": [content["value"]]})[()]


_READERS: dict[str, Any] = {
    "float": float,
    "scalar": _scalar,
    "array": _array,
    "tuple": lambda content: tuple(decode(x) for x in content),
    "slice": lambda content: slice(*(decode(x) for x in content)),
    "ellipsis": lambda content: Ellipsis,
    "dict": lambda content: {str(k): decode(v) for k, v in content.items()},
    "dtype": _dtype,
}


def copy(value: Any) -> Any:
    """A deep copy: no array is shared with the original."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(copy(x) for x in value)
    if isinstance(value, Mapping):
        return {k: copy(v) for k, v in value.items()}
    return value


def show(arguments: Any, limit: int = 2000) -> str:
    """Arguments as one could type them, in one line.

    Args:
        arguments: a dict of values by name; anything else gives "no example".
        limit: number of characters after which the text is cut.

    >>> show({"x": np.asarray([[1.0, np.nan]], "float32"), "axis": -1})
    "x=np.array([[1.0, nan]], 'float32'), axis=-1"
    """
    if not isinstance(arguments, Mapping):
        return "no example"
    text = ", ".join(f"{name}={typed(value)}" for name, value in arguments.items())
    return text if len(text) <= limit else f"{text[:limit]} ..."


def typed(value: Any) -> str:
    """One value as one could type it (with `nan` and `inf` for the numbers of that name)."""
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"np.zeros({value.shape}, {value.dtype.name!r})"
        return f"np.array({value.tolist()}, {value.dtype.name!r})"
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({value.item()!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(typed, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(typed, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
