"""Ops that shape the graph itself: constants, identity, casts, phase choice, variable updates, gradients.

`constant`, `assign`, `select_phase` and `gradient` are written by the emitter and need no kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.ir import TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.spec import Tensor, Tensors, primitive


@primitive(infer=lambda value, dtype: TensorSpec(value.shape, dtype), promote=())
def constant(value: Any, dtype: str) -> Any:
    """A constant of the graph (made by the core; needs no kernel)."""
    return value


@primitive(infer=rules.same("value"), vjp=lambda g, out, variable, value: (None, g), promote=())
def assign(variable: Tensor, value: Tensor) -> Any:
    """The value, which also becomes the variable's when it is computed (see kcore.graph.updates; needs no kernel)."""
    return value


def _gradient_spec(loss: TensorSpec, wrt: list[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(wrt)


@primitive(infer=_gradient_spec, promote=(), multiple=True)
def gradient(loss: Tensor, wrt: Tensors) -> Any:
    """Gradients of a scalar loss (made by K.gradients; needs no kernel: see Backend.value_and_grad)."""
    raise NotImplementedError


@primitive(infer=lambda phase, x, alt: TensorSpec(rules.broadcast_shapes(x.shape, alt.shape), x.dtype)
           if x.shape != alt.shape else x, promote=("x", "alt"))  # fmt: skip
def select_phase(phase: Tensor, x: Tensor, alt: Tensor) -> Any:
    """`x` in the training phase, `alt` in the test phase (decided at lowering; needs no kernel)."""
    return x if phase else alt


@primitive(infer=rules.same("x"), vjp=lambda g, out, x: g)
def identity(x: Tensor) -> Any:
    """A tensor with the same value.

    Args:
        x: tensor of any shape and dtype.

    >>> import numpy as np
    >>> identity.op.reference(np.array([1., 2.]))
    array([1., 2.])
    """
    return np.asarray(x)


@primitive(infer=rules.same("x"), vjp=lambda g, out, x: g)
def copy(x: Tensor) -> Any:
    """A copy that shares no memory with its operand."""
    return np.array(x, copy=True)


@primitive(infer=rules.same("x"), differentiable=False)
def stop_gradient(x: Tensor) -> Any:
    """The same value, through which no gradient flows."""
    return np.asarray(x)


def _cast_vjp(g: Any, out: Any, x: Any, dtype: str) -> Any:
    return cast(g, x.dtype) if dtypes.is_float(x.dtype) and dtypes.is_float(dtype) else None


@primitive(infer=lambda x, dtype: x.with_dtype(dtype), vjp=_cast_vjp, host=True,
           normalize=lambda a, s: a.update(dtype=dtypes.name_of(a["dtype"])))  # fmt: skip
def cast(x: Tensor, dtype: str) -> Any:
    """The tensor converted to another dtype; floats are truncated towards zero, nonzero becomes True.

    Args:
        x: tensor.
        dtype: name of the dtype.

    >>> K.eval(K.cast(K.constant([1.7, -1.7]), "int32"))
    array([ 1, -1], dtype=int32)
    """
    return np.asarray(x).astype(dtypes.numpy_dtype(dtype))


@primitive(infer=lambda x: TensorSpec((x.rank,), "int32"), differentiable=False)
def shape(x: Tensor) -> Any:
    """The shape as an int32 tensor, whose entries may serve as sizes. Kernels return a NumPy vector.

    Args:
        x: tensor.

    >>> x = K.placeholder(shape=(None, 2))
    >>> K.function([x], [K.shape(x)])([np.zeros((3, 2))])
    [array([3, 2], dtype=int32)]
    """
    return np.asarray(np.shape(x), "int32")


@primitive(infer=rules.same("x"), differentiable=False)
def zeros_like(x: Tensor) -> Any:
    """Zeros of the same shape and dtype."""
    return np.zeros_like(x)


@primitive(infer=rules.same("x"), vjp=lambda g, out, x, message: g)
def print_tensor(x: Tensor, message: str = "") -> Any:
    """The tensor itself; `message` and its value are printed whenever it is computed.

    Args:
        x: tensor.
        message: printed before the value.

    >>> K.eval(K.print_tensor(K.constant([1., 2.]), "x is"))
    x is [1. 2.]
    array([1., 2.], dtype=float32)
    """
    print(message, x)  # noqa: T201 - that is the op
    return x
