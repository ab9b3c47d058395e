"""Tensors made after another one's shape: ones, sizes."""

from __future__ import annotations

from typing import Any

from kcore.graph.ir import TensorSpec
from kcore.ops import rules
from kcore.ops.cases import ANY, NUMBERS, Unary
from kcore.ops.elementwise import add
from kcore.ops.reduction import prod
from kcore.ops.spec import Tensor, composite
from kcore.ops.structural import shape, zeros_like


@composite(infer=rules.same("x"), differentiable=False, cases=Unary(dtypes=NUMBERS, smooth=False))
def ones_like(x: Tensor) -> Any:
    """Ones of the same shape and dtype.

    Args:
        x: tensor of any shape.

    >>> ones_like(np.zeros(2))
    array([1., 1.])
    """
    return add(zeros_like(x), 1)


@composite(infer=lambda x: TensorSpec((), "int32"), differentiable=False, promote=(),
           cases=Unary(dtypes=ANY, smooth=False))  # fmt: skip
def size(x: Tensor) -> Any:
    """The number of elements, as an int32 scalar.

    Args:
        x: tensor of any shape.

    >>> int(size(np.zeros((2, 3))))
    6
    """
    return prod(shape(x))
