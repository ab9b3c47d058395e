"""`Lambda`: any function of tensors as a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from kcore import backend as K
from kcore.errors import ArgumentError, UnknownNameError, UnsafeFileError
from kcore.layers.base import Layer
from kcore.utils.custom_objects import get_custom_objects, get_registered_name
from kcore.utils.objects import deserialize_keras_object, has_arg, import_object

Shape = tuple[Any, ...]


class FunctionName(str):
    """The name of a function in a configuration (`package>name` if registered); in this process it knows the function.

    So a copy of a layer made from its configuration keeps working, while a file holds the name alone.
    """

    __slots__ = ("function",)
    function: Callable[..., Any]

    def __new__(cls, function: Callable[..., Any]) -> Self:
        named = function if hasattr(function, "__name__") else type(function)
        self = super().__new__(cls, get_registered_name(named))
        self.function = function
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> FunctionName:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (str, (str(self),))


class Lambda(Layer):
    """A function as a layer.

    Args:
        function: takes a tensor or a list of tensors; written in K, or in the backend's own functions. It may take
            `mask`.
        output_shape: of a sample, or a function from the input shape to the whole shape; found out when None.
        mask: a tensor, or a function of (inputs, mask); None stops masks here.
        arguments: further keyword arguments of the function.

    A file keeps the function's name only. Reading it back needs the function: registered
    (`register_keras_serializable`), or in `custom_objects` under its name or the layer's. Byte code in files of other
    programs never runs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: expected a function, got {function!r}.")
        self.function = function
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self.mask = mask
        if output_shape is not None and not isinstance(output_shape, (tuple, list)) and not callable(output_shape):
            raise TypeError(f"In Lambda, `output_shape` must be a list, a tuple, or a function; got {output_shape!r}.")
        self._output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape
        self._input_dtypes: Any = None

    @property
    def _shape_from_trace(self) -> bool:
        return self._output_shape is None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As given, else found by running the function on placeholders."""
        if self._output_shape is None:
            return self._traced_shape(input_shape)
        if isinstance(self._output_shape, tuple):
            first = input_shape[0] if isinstance(input_shape, list) else input_shape
            return (first[0] if first else None, *self._output_shape)
        shape = self._output_shape(input_shape)
        if not isinstance(shape, (list, tuple)):
            raise ArgumentError(
                f"{self.name} (Lambda): the `output_shape` function must return a tuple or a list of tuples, "
                f"got {shape!r}."
            )
        if isinstance(shape, list) and (not shape or not isinstance(shape[0], (list, tuple))):
            return tuple(shape)
        return shape

    def _traced_shape(self, input_shape: Any) -> Any:
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        dtypes = self._input_dtypes if isinstance(self._input_dtypes, list) else [self._input_dtypes] * len(shapes)
        tensors = [K.placeholder(shape=s, dtype=d) for s, d in zip(shapes, dtypes, strict=True)]
        before = self._input_dtypes
        output = self.call(tensors if isinstance(input_shape, list) else tensors[0])
        self._input_dtypes = before
        if isinstance(output, (list, tuple)):
            return [K.int_shape(x) for x in output]
        return K.int_shape(output)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The function's value."""
        arguments = dict(self.arguments)
        if has_arg(self.function, "mask"):
            arguments["mask"] = mask
        self._input_dtypes = [K.dtype(x) for x in inputs] if isinstance(inputs, list) else K.dtype(inputs)
        return self.function(inputs, **arguments)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The given mask, or that of the given function."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Names of functions, and the other arguments."""
        shape: Any = self._output_shape
        by_function = callable(shape)
        return {
            **super().get_config(),
            "function": FunctionName(self.function),
            "function_type": "function",
            "output_shape": FunctionName(shape) if by_function else shape,
            "output_shape_type": "function" if by_function else "raw",
            "arguments": {k: _plain(v) for k, v in self.arguments.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A layer from the result of `get_config`; functions come from `custom_objects` or registration, by name.

        Raises:
            UnsafeFileError: the configuration holds byte code, or names a function that has no name of its own.
            UnknownNameError: it names a function that nobody knows.
        """
        given = dict(config)
        name = str(given.get("name", "lambda"))
        module = given.pop("module", None)  # where other programs say that the function was defined
        kind = given.pop("function_type", "function")
        given["function"] = _function(name, given.get("function"), kind, "function", module, custom_objects)
        module = given.pop("output_shape_module", None)
        kind = given.pop("output_shape_type", "raw")
        if kind != "raw":
            key = f"{name}_output_shape"
            shape = given.get("output_shape")
            given["output_shape"] = _function(key, shape, kind, "output_shape function", module, custom_objects)
        arguments = given.get("arguments") or {}
        if not isinstance(arguments, Mapping):
            raise ArgumentError(f"Lambda layer {name!r}: `arguments` is a dictionary, got {arguments!r}.")
        given["arguments"] = {k: _array(v) for k, v in arguments.items()}
        return cls(**given)


def _function(
    name: str, value: Any, kind: Any, what: str, module: Any, custom_objects: Mapping[str, Any] | None
) -> Callable[..., Any]:
    """The function that a configuration means: the caller's by the layer's name or its own, never code of the file."""
    for known in (custom_objects or {}, get_custom_objects()):
        if name in known:
            return known[name]  # type: ignore[no-any-return]
    if kind == "lambda" or not isinstance(value, str):
        raise UnsafeFileError(
            f"The Lambda layer {name!r} was saved with its {what} as Python byte code, which kcore never runs: a "
            f"file could bring any program. Pass the {what} yourself: `custom_objects={{{name!r}: my_function}}`."
        )
    if kind != "function":
        raise TypeError(f"Lambda layer {name!r}: unknown function type {kind!r}; expected 'function'.")
    itself = {str(value): value.function} if isinstance(value, FunctionName) else {}
    if value == "<lambda>" and not itself:
        raise UnsafeFileError(
            f"The Lambda layer {name!r} was saved with a function without a name (a Python lambda), which a file "
            f"cannot hold. Pass it yourself: `custom_objects={{{name!r}: my_function}}`."
        )
    try:
        return deserialize_keras_object(value, itself, custom_objects, f"{what} in Lambda layer {name!r}")  # type: ignore[no-any-return]
    except UnknownNameError:
        imported = import_object(module, value)
        if imported is None:
            raise
        return imported  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """An argument as JSON can hold it: arrays in Keras 2's form."""
    return {"type": "ndarray", "value": value.tolist()} if isinstance(value, np.ndarray) else value


def _array(value: Any) -> Any:
    """An argument from its form in JSON: arrays of numbers again."""
    if not isinstance(value, Mapping) or value.get("type") != "ndarray":
        return value
    array = np.array(value.get("value"))
    if array.dtype.kind not in "biuf":
        raise ArgumentError(f"An array in a configuration holds numbers, got {str(value)[:200]}.")
    return array


__all__: Sequence[str] = ("FunctionName", "Lambda")
