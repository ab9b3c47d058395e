"""Layers that join several inputs into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers.base import Layer

Shape = tuple[Any, ...]


class _Merge(Layer):
    """Elementwise joining; a layer of this kind defines `_merge_function(inputs)`.

    Inputs of smaller rank get axes of size 1 behind the batch axis; sizes of 1 are broadcast.
    """

    #: The least and the largest number of inputs.
    _least = 2
    _most: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge_function(self, inputs: list[Any]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define _merge_function(inputs).")

    def _check_inputs(self, inputs: Any) -> list[Any]:
        if not isinstance(inputs, list):
            raise ArgumentError(f"A merge layer ({self.name}) should be called on a list of inputs, got {inputs}.")
        if len(inputs) < self._least or (self._most is not None and len(inputs) > self._most):
            number = f"exactly {self._most}" if self._most else f"at least {self._least}"
            raise ArgumentError(
                f"A `{type(self).__name__}` layer should be called on a list of {number} inputs. Got {len(inputs)} "
                f"inputs ({self.name})."
            )
        return inputs

    def build(self, input_shape: Any) -> None:
        """No weights: the shapes are checked."""
        shapes = self._check_inputs(input_shape)
        batch_sizes = {shape[0] for shape in shapes} - {None}
        if len(batch_sizes) > 1:
            raise ShapeError(
                f"Can not merge tensors with different batch sizes in layer {self.name}. Got tensors with shapes: "
                f"{shapes}"
            )
        self._merged_shape(shapes)
        self.built = True

    def _merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        try:
            return reduce(_broadcast, [tuple(shape[1:]) for shape in shapes])
        except ShapeError as error:
            kind = type(self).__name__
            raise ShapeError(f"{self.name} ({kind}) got inputs of shapes {list(shapes)}: {error}") from None

    def call(self, inputs: Any) -> Any:
        """The merged inputs."""
        inputs = self._check_inputs(inputs)
        rank = max(K.ndim(x) for x in inputs)
        return self._merge_function([_with_rank(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The broadcast shape."""
        batch_sizes = {shape[0] for shape in input_shape} - {None}
        return (batch_sizes.pop() if len(batch_sizes) == 1 else None, *self._merged_shape(input_shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where all masked inputs are kept."""
        masks = self._check_masks(inputs, mask)
        if all(m is None for m in masks):
            return None
        stacked = [K.expand_dims(m, 0) for m in masks if m is not None]
        return K.all(K.concatenate(stacked, axis=0), axis=0, keepdims=False)

    def _check_masks(self, inputs: Any, mask: Any) -> list[Any]:
        if mask is None:
            return [None]
        if not isinstance(mask, list) or not isinstance(inputs, list) or len(mask) != len(inputs):
            raise ArgumentError(f"{self.name}: `mask` and `inputs` should be lists of the same length.")
        return mask


def _broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of an elementwise operation on samples of two shapes, aligned at their ends."""
    if len(a) < len(b):
        a, b = b, a
    joined = list(a[: len(a) - len(b)])
    for m, n in zip(a[len(a) - len(b) :], b, strict=True):
        if m is None or n is None:
            joined.append(None)
        elif m != n and 1 not in (m, n):
            raise ShapeError(f"Operands could not be broadcast together with shapes {a} {b}.")
        else:
            joined.append(n if m == 1 else m)
    return tuple(joined)


def _with_rank(x: Any, rank: int) -> Any:
    for _ in range(rank - K.ndim(x)):
        x = K.expand_dims(x, 1)
    return x


class Add(_Merge):
    """The sum of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        return reduce(lambda a, b: a + b, inputs)


class Subtract(_Merge):
    """The first of two inputs less the second."""

    _most = 2

    def _merge_function(self, inputs: list[Any]) -> Any:
        return inputs[0] - inputs[1]


class Multiply(_Merge):
    """The elementwise product of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        return reduce(lambda a, b: a * b, inputs)


class Average(_Merge):
    """The mean of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        return reduce(lambda a, b: a + b, inputs) / len(inputs)


class Maximum(_Merge):
    """The elementwise maximum of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        return reduce(K.maximum, inputs)


class Minimum(_Merge):
    """The elementwise minimum of the inputs."""

    def _merge_function(self, inputs: list[Any]) -> Any:
        return reduce(K.minimum, inputs)


class Concatenate(_Merge):
    """The inputs one after the other along `axis`; all other sizes must be equal."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        """No weights: the shapes are checked."""
        shapes = self._check_inputs(input_shape)
        others = set()
        for shape in shapes:
            rest = list(shape)
            del rest[self.axis]
            others.add(tuple(rest))
        if len({len(shape) for shape in shapes}) > 1 or len(others) > 1:
            raise ShapeError(
                f"A `Concatenate` layer requires inputs with matching shapes except for the concat axis. Got inputs "
                f"shapes: {shapes} with axis={self.axis} ({self.name})."
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The joined inputs."""
        return K.concatenate(self._check_inputs(inputs), axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The sizes along the axis added up."""
        shapes = self._check_inputs(input_shape)
        sizes = [shape[self.axis] for shape in shapes]
        joined = list(shapes[0])
        joined[self.axis] = None if None in sizes else sum(sizes)
        return tuple(joined)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks joined in the same way; inputs without one count as kept."""
        masks = self._check_masks(inputs, mask)
        if all(m is None for m in masks):
            return None
        full = any(m is not None and K.ndim(m) == K.ndim(x) for x, m in zip(inputs, masks, strict=True))
        parts = []
        for x, m in zip(inputs, masks, strict=True):
            if m is None:
                parts.append(K.ones_like(x if full else x[..., :1], dtype="bool"))
            else:
                parts.append(K.expand_dims(m) if K.ndim(m) < K.ndim(x) else m)
        return K.all(K.concatenate(parts, axis=self.axis), axis=-1, keepdims=False)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis}


class Dot(_Merge):
    """The dot product between the samples of two inputs.

    Args:
        axes: the axis (or one axis for each input) to sum over.
        normalize: whether to scale the samples along these axes to norm 1 before: the cosine.
    """

    _most = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"Dot: `axes` should be an integer or a list of two integers, got {axes!r}.")
            if len(axes) != 2 or not all(isinstance(axis, int) for axis in axes):
                raise ArgumentError(f"Dot: `axes` should be an integer or a list of two integers, got {axes!r}.")
        self.axes = axes
        self.normalize = normalize

    def _axes_for(self, ranks: Sequence[int]) -> list[int]:
        axes = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        return [axis % rank if axis < 0 else axis for axis, rank in zip(axes, ranks, strict=True)]

    def build(self, input_shape: Any) -> None:
        """No weights: the shapes are checked."""
        first, second = self._check_inputs(input_shape)
        a, b = self._axes_for([len(first), len(second)])
        if first[a] != second[b]:
            raise ShapeError(
                f"Dimension incompatibility {first[a]} != {second[b]} between axes {a} and {b} in layer {self.name} "
                f"(Dot). Layer shapes: {first}, {second}"
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The product."""
        x, y = self._check_inputs(inputs)
        axes = self._axes_for([K.ndim(x), K.ndim(y)])
        if self.normalize:
            x, y = K.l2_normalize(x, axis=axes[0]), K.l2_normalize(y, axis=axes[1])
        return K.batch_dot(x, y, axes)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The remaining axes of both, with one of size 1 when none remains."""
        first, second = (list(shape) for shape in self._check_inputs(input_shape))
        a, b = self._axes_for([len(first), len(second)])
        del first[a], second[b]
        joined = (*first, *second[1:])
        return joined if len(joined) > 1 else (*joined, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """None: what was masked is summed over."""

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _function(layer: type[_Merge]) -> Callable[..., Any]:
    def merged(inputs: list[Any], **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    merged.__name__ = merged.__qualname__ = layer.__name__.lower()
    merged.__doc__ = f"`{layer.__name__}(**kwargs)(inputs)`: {str(layer.__doc__)[0].lower()}{str(layer.__doc__)[1:]}"
    return merged


add = _function(Add)
subtract = _function(Subtract)
multiply = _function(Multiply)
average = _function(Average)
maximum = _function(Maximum)
minimum = _function(Minimum)


def concatenate(inputs: list[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: list[Any], axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> Any:
    """`Dot(axes, normalize, **kwargs)(inputs)`."""
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)
