"""Ops that shape the graph itself: constants, identity, casts, phase choice, variable updates, gradients.

`constant`, `assign`, `select_phase` and `gradient` are written by the emitter and need no kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kcore.graph.ir import TensorSpec
from kcore.ops import dtypes, rules
from kcore.ops.cases import ANY, EVERYTHING, FLOATS, INTS, Cases, Draw, Real, Unary
from kcore.ops.edges import specials
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


_ANYTHING = Unary(dtypes=ANY)


@primitive(view=True, infer=rules.same("x"), vjp=lambda g, out, x: g, cases=_ANYTHING)
def identity(x: Tensor) -> Any:
    """A tensor with the same value.

    Args:
        x: tensor of any shape and dtype.

    >>> identity(np.array([1., 2.]))
    array([1., 2.])
    """
    return np.asarray(x)


@primitive(infer=rules.same("x"), vjp=lambda g, out, x: g, cases=_ANYTHING)
def copy(x: Tensor) -> Any:
    """A copy that shares no memory with its operand.

    Args:
        x: tensor of any shape and dtype.

    >>> copy(np.array([1., 2.]))
    array([1., 2.])
    """
    return np.array(x, copy=True)


@primitive(view=True, infer=rules.same("x"), differentiable=False, cases=_ANYTHING)
def stop_gradient(x: Tensor) -> Any:
    """The same value, through which no gradient flows.

    Args:
        x: tensor of any shape and dtype.

    >>> stop_gradient(np.array([1., 2.]))
    array([1., 2.])
    """
    return np.asarray(x)


def _cast_vjp(g: Any, out: Any, x: Any, dtype: str) -> Any:
    return cast(g, x.dtype) if dtypes.is_float(x.dtype) and dtypes.is_float(dtype) else None


def _casts(d: Draw) -> Any:
    if d.boolean():  # what is cut off
        return {"x": d.array(d.shape(), d.dtype(FLOATS), Real(-5, 5, edges=(-0.5, 0.5, 1.5))), "dtype": d.dtype(INTS)}
    # Away from what has no place in the target: negative numbers to unsigned ones are undefined.
    return {"x": d.array(d.shape(), d.dtype(ANY), Real(0.1, 5)), "dtype": d.dtype(ANY)}


def _cast_edges(names: frozenset[str]) -> Any:
    """Every special value to floats and bools; to integers what fits them, and integers of all widths (they wrap)."""
    floats, whole = [n for n in (*FLOATS, "float16") if n in names], [n for n in (*INTS, "uint8", "int8") if n in names]
    for name in floats:
        yield from ({"x": specials(name, EVERYTHING), "dtype": target} for target in (*floats, "bool"))
        yield from ({"x": np.array([-7.9, 0.5, 100.2], name), "dtype": target} for target in whole if target[0] != "u")
    for name in whole:
        yield from ({"x": specials(name, EVERYTHING), "dtype": target} for target in (*whole, "bool", "float32"))
    yield {"x": np.zeros((2, 0), "float32"), "dtype": "int32"}


def _float_casts(d: Draw) -> Any:
    return {"x": d.array(d.shape(), d.dtype(FLOATS), Real()), "dtype": d.dtype(FLOATS)}


@primitive(view=True, infer=lambda x, dtype: x.with_dtype(dtype), vjp=_cast_vjp, host=True,
           cases=Cases(_casts, smooth=_float_casts, edges=_cast_edges))  # fmt: skip
def cast(x: Tensor, dtype: str) -> Any:
    """The tensor converted to another dtype; floats are truncated towards zero, nonzero becomes True.

    Args:
        x: tensor of any shape and dtype. Integers wrap around; what a float becomes that has no place in an integer
            dtype (too large, infinite, NaN, negative for an unsigned one) is undefined.
        dtype: name of a dtype.

    Raises:
        DTypeError: an unknown dtype.

    >>> cast(np.array([1.7, -1.7]), "int32")
    array([ 1, -1], dtype=int32)
    """
    return np.asarray(x).astype(dtypes.numpy_dtype(dtype))


@primitive(infer=lambda x: TensorSpec((x.rank,), "int32"), sparse=("x",), differentiable=False,
           cases=Unary(dtypes=ANY, smooth=False))  # fmt: skip
def shape(x: Tensor) -> Any:
    """The shape as an int32 vector; folds to a constant where it is known. Kernels return a NumPy vector.

    Args:
        x: tensor of any shape and dtype.

    >>> shape(np.zeros((2, 3)))
    array([2, 3], dtype=int32)
    """
    return np.asarray(np.shape(x), "int32")


@primitive(infer=rules.same("x"), differentiable=False, cases=Unary(dtypes=ANY, smooth=False))
def zeros_like(x: Tensor) -> Any:
    """Zeros of the same shape and dtype.

    Args:
        x: tensor of any shape and dtype.

    >>> zeros_like(np.array([1., 2.]))
    array([0., 0.])
    """
    return np.zeros_like(x)


@primitive(view=True, infer=rules.same("x"), vjp=lambda g, out, x, message: g, cases=Unary(message="value:"))
def print_tensor(x: Tensor, message: str = "") -> Any:
    """The tensor itself; prints `message` and its value whenever it is computed.

    Args:
        x: tensor of any shape and dtype.
        message: what to print first.

    >>> y = print_tensor(np.array([1., 2.]), "x is")
    x is [1. 2.]
    """
    print(message, x)  # noqa: T201 - that is the op
    return x


def _native_vjp(g: Any, out: Any, fn: Any, operands: Any, specs: Any) -> Any:
    from kcore.errors import UnsupportedOpError

    raise UnsupportedOpError(
        "The core has no gradient rule for a function of the backend's own; write it in K, or use a backend that "
        "differentiates its functions itself."
    )


@primitive(infer=lambda fn, operands, specs: tuple(specs), vjp=_native_vjp, promote=(), multiple=True)
def native_call(fn: Any, operands: Tensors, specs: Any) -> Any:
    """What a function of the backend's own gives: `fn(*native tensors) -> tuple` (needs no kernel)."""
    return fn(*operands)
