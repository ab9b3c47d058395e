"""Loops and branches. Bodies are Python functions over native values, whose closures gradients pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import kernel

#: Loops of at most so many steps are unrolled while tracing.
UNROLL = 4


@kernel
def scan(body: Callable[..., Any], carry: Sequence[Any], xs: Sequence[Any], length: Any, reverse: bool) -> Any:
    count = int(xs[0].shape[0] if xs else length)
    run = _unrolled if count and (tf.executing_eagerly() or count <= UNROLL) else _looped
    return run(body, list(carry), list(xs), count, reverse)


def _unrolled(body: Any, carry: list[Any], xs: list[Any], count: int, reverse: bool) -> Any:
    slices = [tf.unstack(x, count) for x in xs]
    ys: list[Any] = [None] * count
    for i in reversed(range(count)) if reverse else range(count):
        out = body(*carry, *(x[i] for x in slices), tf.constant(i))
        carry, ys[i] = list(out[: len(carry)]), out[len(carry) :]
    return (*carry, *(tf.stack(column) for column in zip(*ys, strict=True)))


def _looped(body: Any, carry: list[Any], xs: list[Any], count: int, reverse: bool) -> Any:
    n = len(carry)
    taken = [tf.TensorSpec(x.shape, x.dtype) for x in carry] + [tf.TensorSpec(x.shape[1:], x.dtype) for x in xs]
    specs = _result_specs(body, [*taken, tf.TensorSpec((), tf.int32)])[n:]
    arrays = [tf.TensorArray(x.dtype, count, element_shape=x.shape[1:]).unstack(x) for x in xs]
    results = [tf.TensorArray(s.dtype, count, element_shape=s.shape) for s in specs]

    def step(k: Any, state: list[Any], ys: list[Any]) -> Any:
        i = count - 1 - k if reverse else k
        out = body(*state, *(a.read(i) for a in arrays), i)
        return k + 1, _like(out[:n], state), [a.write(i, y) for a, y in zip(ys, out[n:], strict=True)]

    _, carry, results = tf.while_loop(
        lambda k, *_: k < count, step, (tf.constant(0), carry, results), maximum_iterations=count
    )
    stacked = [a.stack() for a in results]
    for y, spec in zip(stacked, specs, strict=True):
        y.set_shape((count, *spec.shape))
    return (*carry, *stacked)


def _result_specs(body: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> list[tf.TensorSpec]:
    """Dtypes and shapes of the body's results, from a trace that is thrown away."""
    traced = tf.function(lambda *xs: tuple(tf.convert_to_tensor(y) for y in body(*xs)), autograph=False)
    return list(traced.get_concrete_function(*specs).structured_outputs)


def _like(values: Sequence[Any], state: Sequence[Any]) -> list[Any]:
    """The new state, with the static shapes of the old one."""
    for value, old in zip(values, state, strict=True):
        if isinstance(value, tf.Tensor) and not value.shape.is_fully_defined():
            value.set_shape(old.shape)
    return list(values)


@kernel
def cond(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    return tf.cond(tf.reshape(condition, []), then, otherwise)


@kernel
def while_loop(condition: Callable[..., Any], body: Callable[..., Any], carry: Sequence[Any]) -> Any:
    return tuple(tf.while_loop(
        lambda *state: tf.reshape(condition(*state)[0], []), lambda *state: _like(body(*state), state), list(carry)
    ))  # fmt: skip
