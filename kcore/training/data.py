"""User data to well-typed arrays: whatever `fit` and its kin accept becomes a list of arrays with checked shapes.

Names, numbers of arrays and samples, shapes and weights, and their errors. What one array is, `kcore.training.arrays`
knows; slicing is in `kcore.training.batches`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentTypeError, DataError, EmptyDataError, NotAnArrayError, SampleCountError, ShapeError
from kcore.sparse import as_sparse
from kcore.training.arrays import as_array, as_weights, on_host

Shape = tuple[int | None, ...]


def as_arrays(data: Any, names: Sequence[str], what: str) -> list[Any]:
    """The arrays for inputs or outputs of these names, from an array, a list, or a dictionary by name.

    Args:
        data: what the user gave.
        names: of the model's inputs or outputs, in order.
        what: "input" or "target", for errors.

    Raises:
        DataError: too many, too few, or a name that is missing.
    """
    if not names:
        if data is not None and len(data):
            raise DataError(f"The model expects no {what} data, but got {type(data).__name__} of length {len(data)}.")
        return []
    if data is None:
        if what == "input":
            raise DataError(f"The model needs data for its inputs ({', '.join(names)}), got None.")
        return [None] * len(names)
    if isinstance(data, Mapping):
        missing = [name for name in names if name not in data]
        if missing:
            raise DataError(
                f"No {what} data for {', '.join(map(repr, missing))}. A dictionary needs one entry for each of "
                f"{', '.join(map(repr, names))}; got {', '.join(repr(str(k)) for k in data)}."
            )
        values = [data[name] for name in names]
    elif isinstance(data, (list, tuple)):
        values = _from_list(list(data), len(names))
    else:
        values = [data]
    if not values:
        raise EmptyDataError(f"The list of {what} data is empty; expected {_count(len(names), 'array')}.")
    arrays = [as_array(value, f"{what} data") for value in values]
    if len(arrays) != len(names):
        listed = ", ".join("None" if a is None else str(tuple(a.shape)) for a in arrays[:8])
        raise DataError(
            f"The model has {_count(len(names), what)} ({', '.join(names)}), but got a list of "
            f"{_count(len(arrays), 'array')}, of shapes {listed}."
            + (" One array of all samples is expected: use np.array(data)." if len(names) == 1 else "")
        )
    for name, array in zip(names, arrays, strict=True):
        if array is None and what == "input":
            raise NotAnArrayError(f"The input data for {name!r} are None; expected an array of samples.")
    return arrays


def _count(n: int, thing: str) -> str:
    """A number of things in words.

    >>> _count(1, "array"), _count(2, "array")
    ('1 array', '2 arrays')
    """
    return f"{n} {thing}{'' if n == 1 else 's'}"


def as_fed(arrays: Sequence[Any], placeholders: Sequence[Any]) -> list[Any]:
    """The checked arrays, with those for sparse placeholders in the form in which they are fed."""
    return [as_sparse(on_host(a)) if K.is_sparse(x) else a for a, x in zip(arrays, placeholders, strict=True)]


def _from_list(values: list[Any], expected: int) -> list[Any]:
    """A list of arrays, one per name; or, for a single name, numbers or nested lists that are one array."""
    if expected > 1 or not values:
        return values
    first = values[0]
    if isinstance(first, (list, tuple)):
        return [_rows(values[0] if len(values) == 1 else values)]
    return [np.asarray(values)] if np.isscalar(first) else values


def _rows(values: Any) -> Any:
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(
            "The rows of the data have different lengths. Make them equally long first (keras.preprocessing.sequence."
            "pad_sequences)."
        ) from None


def check_shapes(arrays: Sequence[Any], names: Sequence[str], shapes: Sequence[Shape | None], what: str) -> None:
    """Raise ShapeError unless every array fits its expected shape (None: anything; the batch size is free)."""
    for array, name, shape in zip(arrays, names, shapes, strict=True):
        if shape is None or array is None:
            continue
        got = tuple(array.shape)
        fits = len(got) == len(shape) and all(a is None or a == b for a, b in zip(shape[1:], got[1:], strict=True))
        if not fits:
            raise ShapeError(
                f"Wrong shape of {what} data: expected {name} to have shape {_sample(shape)}, got an array of shape "
                f"{got}.{_advice(shape, got, what)}"
            )


def _sample(shape: Shape) -> str:
    """The shape as a user writes it, with the batch in words.

    >>> _sample((None, 28, None))
    '(samples, 28, any)'
    """
    return f"({', '.join(['samples', *('any' if n is None else str(n) for n in shape[1:])])})"


def _advice(shape: Shape, got: tuple[int, ...], what: str) -> str:
    fits = [a is None or a == b for a, b in zip(shape[1:], got, strict=False)]
    if len(got) == len(shape) - 1 and all(fits):
        return " The axis of samples is missing: for one sample use x[np.newaxis]."
    if len(got) == len(shape) - 1 and what == "input":
        return f" It has {len(got)} axes in place of {len(shape)}: reshape it, for instance x.reshape(-1, ...)."
    if len(got) == len(shape) >= 4 and what == "input" and {*got[1:]} == {*shape[1:]}:
        return " The axes are in another order: check the image data format (channels first or last)."
    return ""


def check_lengths(inputs: Sequence[Any], targets: Sequence[Any], weights: Sequence[Any]) -> None:
    """Raise SampleCountError unless all arrays have the same number of samples, EmptyDataError when that is none."""
    groups = {"input": inputs, "target": targets, "sample_weight": weights}
    lengths = {kind: [int(a.shape[0]) for a in arrays if a is not None] for kind, arrays in groups.items()}
    every = {n for found in lengths.values() for n in found}
    if len(every) > 1:
        listed = "; ".join(f"{kind}: {', '.join(map(str, found))}" for kind, found in lengths.items() if found)
        raise SampleCountError(f"All arrays must have the same number of samples. Samples found: {listed}.")
    if every == {0}:
        shapes = ", ".join(str(tuple(a.shape)) for a in (*inputs, *targets) if a is not None)
        raise EmptyDataError(f"The data are empty: expected one sample at least, got arrays of shape {shapes}.")


def per_output(given: Any, names: Sequence[str], what: str) -> list[Any]:
    """`sample_weight` or `class_weight` for each output, None where there is none.

    One output takes the thing itself; several take a list, or a dictionary by name. Raises DataError.
    """
    if given is None or (hasattr(given, "__len__") and len(given) == 0):
        return [None] * len(names)
    if len(names) == 1:
        if isinstance(given, list) and len(given) == 1:
            return given
        if isinstance(given, Mapping) and names[0] in given:
            return [given[names[0]]]
        return [given]
    if isinstance(given, Mapping):
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)) and len(given) == len(names):
        return list(given)
    wrong = DataError if isinstance(given, (list, tuple)) else ArgumentTypeError
    raise wrong(
        f"The model has {len(names)} outputs, so `{what}` is a list of one entry per output or a dictionary by name "
        f"({', '.join(names)}); got {type(given).__name__}"
        + (f" of length {len(given)}." if hasattr(given, "__len__") else ".")
    )


def sample_weights(target: Any, weight: Any, class_weight: Any, mode: str | None) -> np.ndarray | None:
    """Weights of one output: per sample, or per time step in mode "temporal"; None where all are 1.

    Args:
        target: the output's targets.
        weight: the user's `sample_weight`.
        class_weight: class to weight; multiplied in.
        mode: `sample_weight_mode` of the output.
    """
    if mode == "temporal" and len(target.shape) < 3:
        raise DataError(
            f"sample_weight_mode='temporal' is for outputs with a time axis (3 axes at least); the target has shape "
            f"{tuple(target.shape)}."
        )
    if weight is not None:
        weight = as_weights(weight)
        _check_weight(weight, target, mode)
    if class_weight is not None:
        by_class = _class_weights(target, class_weight)
        weight = by_class if weight is None else weight * by_class
    return None if weight is None else weight.astype(K.floatx(), copy=False)


def _check_weight(weight: np.ndarray, target: Any, mode: str | None) -> None:
    rank = 2 if mode == "temporal" else 1
    if weight.ndim != rank:
        hint = (
            "one weight per sample and time step (2 axes)" if mode == "temporal"
            else "one weight per sample (1 axis); for weights per time step compile with sample_weight_mode='temporal'"
        )  # fmt: skip
        raise ShapeError(f"sample_weight has shape {weight.shape}; expected {hint}.")
    if weight.shape != tuple(target.shape[:rank]):
        raise ShapeError(
            f"sample_weight has shape {weight.shape}, the targets have shape {tuple(target.shape)}; expected weights "
            f"of shape {tuple(target.shape[:rank])}."
        )


def _class_weights(target: Any, class_weight: Any) -> np.ndarray:
    if not isinstance(class_weight, Mapping):
        raise DataError(f"class_weight is a dictionary from class to weight, got {class_weight!r}.")
    if len(target.shape) > 2:
        raise DataError(
            f"class_weight is for targets of one class per sample; the target has shape {tuple(target.shape)}. Use "
            "sample_weight with sample_weight_mode='temporal'."
        )
    values = on_host(target)
    classes = np.argmax(values, axis=1) if values.ndim == 2 and values.shape[1] > 1 else values.reshape(-1)
    found, where = np.unique(classes, return_inverse=True)
    missing = [c.item() for c in found if c.item() not in class_weight]
    if missing:
        raise DataError(
            f"class_weight has no weight for the classes {missing}, which are in the data; it has "
            f"{sorted(class_weight)}."
        )
    return np.asarray([class_weight[c.item()] for c in found], K.floatx())[where.reshape(-1)]
