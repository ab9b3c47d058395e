"""Vectors for integers."""

from __future__ import annotations

from typing import Any

from kcore import backend as K
from kcore.errors import ShapeError
from kcore.layers import parameters
from kcore.layers.base import Layer, check_positive

Shape = tuple[Any, ...]


class Embedding(Layer):
    """A learned vector for each integer from 0 to `input_dim - 1`.

    Args:
        input_dim: number of integers.
        output_dim: size of the vectors.
        embeddings_initializer: how the vectors start.
        embeddings_regularizer: penalty on the vectors.
        activity_regularizer: penalty on the output.
        embeddings_constraint: projection of the vectors after updates.
        mask_zero: whether 0 marks padding that later layers skip.
        input_length: length of the sequences, when it is constant (Flatten after this layer needs it).

    Input: (batch, time). Output: (batch, time, output_dim).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = (input_length or None,)
        super().__init__(**kwargs)
        self.input_dim = check_positive("Embedding", "input_dim", input_dim)
        self.output_dim = check_positive("Embedding", "output_dim", output_dim)
        parameters.keep_from(self, locals())
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.input_length = input_length

    def build(self, input_shape: Shape) -> None:
        """The vectors, (input_dim, output_dim)."""
        self.embeddings = parameters.make(self, "embeddings", (self.input_dim, self.output_dim))
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where the input is not 0, when 0 is padding."""
        return K.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's with the vectors' size behind it. Raises ShapeError when `input_length` says otherwise."""
        if self.input_length is None:
            return (*input_shape, self.output_dim)
        given = self.input_length
        lengths = list(given) if isinstance(given, (list, tuple)) else [given]
        received = list(input_shape[1:])
        fits = len(lengths) == len(received) and all(
            m is None or n is None or m == n for m, n in zip(lengths, received, strict=True)
        )
        if not fits:
            raise ShapeError(
                f'{self.name} (Embedding): "input_length" is {self.input_length}, but received input has shape '
                f"{input_shape}"
            )
        merged = (n if m is None else m for m, n in zip(lengths, received, strict=True))
        return (input_shape[0], *merged, self.output_dim)

    def call(self, inputs: Any) -> Any:
        """The vectors of the integers."""
        if K.dtype(inputs) != "int32":
            inputs = K.cast(inputs, "int32")
        return K.gather(self.embeddings, inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **parameters.described(self, "embeddings", "activity"),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
        }
