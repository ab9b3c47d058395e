"""Where models begin: `Input` and its layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import ArgumentError, ShapeError
from kcore.layers.base import Layer
from kcore.layers.node import Node
from kcore.utils.generic_utils import unpack_singleton


class InputLayer(Layer):
    """The layer behind `Input`: a placeholder that data is fed to, or a given tensor.

    Args:
        input_shape: the shape of a sample.
        batch_size: a fixed batch size.
        batch_input_shape: the whole shape, in place of the two.
        dtype: of the data; floatx when None.
        input_tensor: a tensor to use in place of a new placeholder.
        sparse: whether the data is sparse.
        name: `input_1` and so on when None.
    """

    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: str | None = None,
        input_tensor: Any = None,
        sparse: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        dtype = dtype or kwargs.pop("input_dtype", None)
        super().__init__(dtype=dtype, name=name or f"input_{K.get_uid('input')}", **kwargs)
        self.trainable = False
        self.built = True
        self.sparse = sparse
        self.supports_masking = True
        if input_shape is not None and batch_input_shape is not None:
            raise ArgumentError(f"{self.name}: give `input_shape` or `batch_input_shape`, not both.")
        if batch_input_shape is None and input_shape is None and input_tensor is not None:
            batch_input_shape = K.int_shape(input_tensor)
        if batch_input_shape is None and input_shape is None:
            raise ArgumentError(
                f"{self.name}: an Input layer needs `input_shape` (without the batch axis) or `batch_input_shape`."
            )
        if batch_input_shape is None:
            batch_input_shape = (batch_size, *_dimensions(self.name, input_shape))
        self.batch_input_shape = _dimensions(self.name, batch_input_shape)
        self.is_placeholder = input_tensor is None
        if input_tensor is None:
            self.dtype = dtype or K.floatx()
            input_tensor = K.placeholder(shape=self.batch_input_shape, dtype=self.dtype, sparse=sparse, name=self.name)
        else:
            self.dtype = dtype or K.dtype(input_tensor)
        input_tensor._keras_shape = self.batch_input_shape
        input_tensor._uses_learning_phase = False
        input_tensor._keras_history = (self, 0, 0)
        shapes = [self.batch_input_shape]
        Node(self, [], [], [], [input_tensor], [input_tensor], [None], [None], list(shapes), list(shapes))

    def get_config(self) -> dict[str, Any]:
        """Shape, dtype and name."""
        return {
            "batch_input_shape": self.batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


def _dimensions(name: str, shape: Any) -> tuple[int | None, ...]:
    if not isinstance(shape, (tuple, list)):
        raise ShapeError(f"{name}: a shape is a tuple of integers and None, got {shape!r}.")
    for n in shape:
        if n is not None and (not hasattr(n, "__index__") or int(n) < 0):
            raise ShapeError(f"{name}: a shape is a tuple of integers and None, got {tuple(shape)!r}.")
    return tuple(None if n is None else int(n) for n in shape)


def Input(
    shape: Sequence[int | None] | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    dtype: str | None = None,
    sparse: bool = False,
    tensor: Any = None,
) -> Any:
    """A tensor that a model starts from.

    Args:
        shape: the shape of a sample, without the batch axis; None for free dimensions.
        batch_shape: the whole shape, in place of `shape`.
        name: of the input; unique in a model.
        dtype: of the data; floatx when None.
        sparse: whether the data is sparse.
        tensor: a tensor to use in place of a new placeholder.
    """
    if batch_shape is None and shape is None and tensor is None:
        raise ArgumentError(
            "Please provide to Input either a `shape` or a `batch_shape` argument. Note that `shape` does not "
            "include the batch dimension."
        )
    if batch_shape is None and shape is not None:
        batch_shape = (None, *_dimensions(name or "Input", shape))
    layer = InputLayer(batch_input_shape=batch_shape, name=name, dtype=dtype, sparse=sparse, input_tensor=tensor)
    return unpack_singleton(layer._inbound_nodes[0].output_tensors)
