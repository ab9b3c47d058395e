"""What a layer expects of its inputs, and the check of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kcore import backend as K
from kcore.errors import DTypeError, GraphError, ShapeError
from kcore.graph.ir import Symbolic
from kcore.utils.generic_utils import to_list


class InputSpec:
    """Rank, shape and dtype that one input of a layer must have; None means anything.

    Args:
        dtype: name of the dtype.
        shape: the whole shape, None for free dimensions.
        ndim: the rank.
        max_ndim: the largest rank.
        min_ndim: the smallest rank.
        axes: sizes of single axes, `{axis: size}`.

    >>> InputSpec(ndim=3, axes={-1: 4})
    InputSpec(ndim=3, axes={-1: 4})
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.ndim = len(shape) if shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes: Mapping[int, int | None] = axes or {}

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        given = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        return f"InputSpec({', '.join(given)})"

    def problem(self, shape: Sequence[int | None], dtype: str) -> str | None:
        """What is wrong with an input of this shape and dtype, in the words of Keras 2; None when it fits."""
        ndim = len(shape)
        if self.ndim is not None and ndim != self.ndim:
            return f"expected ndim={self.ndim}, found ndim={ndim}"
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={ndim}"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={ndim}"
        if self.dtype is not None and dtype != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={dtype}"
        for axis, size in self.axes.items():
            if size is not None and shape[int(axis)] not in (size, None):
                return f"expected axis {axis} of input shape to have value {size} but got shape {tuple(shape)}"
        for expected, received in zip(self.shape or (), shape, strict=False):
            if expected is not None and received is not None and expected != received:
                return f"expected shape={tuple(self.shape or ())}, found shape={tuple(shape)}"
        return None


def check_inputs(layer: Any, inputs: Any) -> None:
    """Raise an error that names the layer when its inputs are no tensors, too few, or not what its spec says."""
    inputs = to_list(inputs, allow_tuple=True)
    for x in inputs:
        if not isinstance(x, Symbolic):
            raise GraphError(
                f"Layer {layer.name} was called with an input that isn't a symbolic tensor. Received type: "
                f"{type(x)}. Expected tensors made by `Input` or by layers; wrap a constant in `K.constant`, and "
                "give data to `predict`."
            )
    specs = to_list(layer.input_spec, allow_tuple=True) if layer.input_spec else []
    if specs and len(inputs) != len(specs):
        raise ShapeError(
            f"Layer {layer.name} expects {len(specs)} inputs, but it received {len(inputs)} input tensors. "
            f"Input received: {inputs}"
        )
    for index, (x, spec) in enumerate(zip(inputs, specs, strict=False)):
        if spec is None:
            continue
        shape = K.int_shape(x)
        problem = spec.problem(shape, K.dtype(x))
        if problem is not None:
            error = DTypeError if problem.startswith("expected dtype") else ShapeError
            raise error(
                f"Input {index} is incompatible with layer {layer.name}: {problem}. Full shape received: {shape}"
            )
