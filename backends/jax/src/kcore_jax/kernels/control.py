"""Loops and branches. Bodies are Python functions that close over other values; gradients flow through those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kcore_jax.kernels.table import kernel

Body = Callable[..., Sequence[Any]]


@kernel
def scan(body: Body, carry: Sequence[Any], xs: Sequence[Any], length: int | None, reverse: bool) -> Any:
    """`body(*carry, *slices, i) -> (*new carry, *ys)` over the leading axis."""
    n = len(carry)
    count = xs[0].shape[0] if xs else int(length)  # type: ignore[arg-type]

    def step(state: Any, slices: Any) -> Any:
        out = body(*state, *slices)
        return tuple(v.astype(c.dtype) for v, c in zip(out[:n], state, strict=True)), tuple(out[n:])

    steps = jnp.arange(count, dtype=jnp.int32)
    final, ys = lax.scan(step, strong(carry), (*xs, steps), length=count, reverse=reverse)
    return (*final, *ys)


@kernel
def cond(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """One of two branches, by a scalar."""
    return lax.cond(jnp.reshape(condition, ()), lambda: strong(then()), lambda: strong(otherwise()))


@kernel
def while_loop(condition: Body, body: Body, carry: Sequence[Any]) -> Any:
    """Repeated while the condition holds; no gradient."""

    def test(state: Any) -> Any:
        return jnp.reshape(condition(*state)[0], ())

    return lax.stop_gradient(lax.while_loop(test, lambda state: strong(body(*state)), strong(carry)))


def strong(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values without weak types (those of Python numbers), which the next iteration or call would not accept."""
    return tuple(lax.convert_element_type(v, jax.dtypes.result_type(v)) for v in values)
