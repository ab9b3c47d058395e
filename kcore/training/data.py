"""User data to well-typed arrays: whatever `fit` and its kin accept becomes a list of arrays with checked shapes.

Parsing and errors only; slicing is in `kcore.training.batches`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.errors import DataError, ShapeError
from kcore.sparse import as_sparse

Shape = tuple[int | None, ...]


def as_array(value: Any, what: str) -> Any:
    """One array: NumPy arrays, HDF5 datasets and sparse matrices as they are, everything else as NumPy.

    A missing last axis of a flat array is added. Raises DataError for what holds no numbers.
    """
    if value is None:
        return None
    if hasattr(value, "iloc") and hasattr(value, "values"):  # pandas
        value = value.values
    if K.is_tensor(value):
        if not _is_concrete(value):
            raise DataError(f"The {what} is a symbolic tensor, which holds no data; expected arrays. Got {value!r}.")
        value = K.eval(value)
    elif not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):  # another framework's tensor
        value = np.asarray(value)
    if not (hasattr(value, "shape") and hasattr(value, "__getitem__")):
        value = np.asarray(value)
    kind = getattr(value.dtype, "kind", None) if hasattr(value, "dtype") else None
    if kind is not None and kind in "OUSMm":
        raise DataError(
            f"Expected numbers as {what}, got an array of dtype {value.dtype}"
            + (" (are its rows of different lengths? Use pad_sequences)." if kind == "O" else ".")
        )
    if len(value.shape) == 0:
        raise DataError(f"Expected an array of samples as {what}, got the single number {value}.")
    if len(value.shape) == 1:
        value = np.asarray(value).reshape(-1, 1)
    return value


def _is_concrete(value: Any) -> bool:
    from kcore.graph.ir import SymbolicTensor

    return not isinstance(value, SymbolicTensor)


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
    arrays = [as_array(value, f"{what} data") for value in values]
    if len(arrays) != len(names):
        listed = ", ".join(str(tuple(a.shape)) for a in arrays[:8])
        raise DataError(
            f"The model has {len(names)} {what}{'s' if len(names) > 1 else ''} ({', '.join(names)}), but got a list of "
            f"{len(arrays)} arrays, of shapes {listed}."
            + (" One array of all samples is expected: use np.array(data)." if len(names) == 1 else "")
        )
    return arrays


def as_fed(arrays: Sequence[Any], placeholders: Sequence[Any]) -> list[Any]:
    """The checked arrays, with those for sparse placeholders in the form in which they are fed."""
    return [as_sparse(a) if K.is_sparse(x) else a for a, x in zip(arrays, placeholders, strict=True)]


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
    """Raise DataError unless all arrays have the same number of samples."""
    groups = {"input": inputs, "target": targets, "sample_weight": weights}
    lengths = {kind: [int(a.shape[0]) for a in arrays if a is not None] for kind, arrays in groups.items()}
    every = {n for found in lengths.values() for n in found}
    if len(every) > 1:
        listed = "; ".join(f"{kind}: {', '.join(map(str, found))}" for kind, found in lengths.items() if found)
        raise DataError(f"All arrays must have the same number of samples. Samples found: {listed}.")


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
    raise DataError(
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
        weight = np.asarray(weight.values if hasattr(weight, "iloc") else weight)
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
    values = np.asarray(target)
    classes = np.argmax(values, axis=1) if values.ndim == 2 and values.shape[1] > 1 else values.reshape(-1)
    found, where = np.unique(classes, return_inverse=True)
    missing = [c.item() for c in found if c.item() not in class_weight]
    if missing:
        raise DataError(
            f"class_weight has no weight for the classes {missing}, which are in the data; it has "
            f"{sorted(class_weight)}."
        )
    return np.asarray([class_weight[c.item()] for c in found], K.floatx())[where.reshape(-1)]
