"""Multi-tensor optimizer updates, as pure functions: the executable's donation makes them overwrite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kcore_jax.kernels.table import kernel

Tensors = Sequence[Any]


@kernel
def sgd_update(params: Tensors, grads: Tensors, moments: Tensors, lr: Any, momentum: Any, nesterov: bool) -> Any:
    """v = momentum * v - lr * g; p + v, or p + momentum * v - lr * g."""
    new = [momentum * v - lr * g for v, g in zip(moments, grads, strict=True)]
    steps = [momentum * v - lr * g for v, g in zip(new, grads, strict=True)] if nesterov else new
    return _typed((*params, *moments), (*(p + v for p, v in zip(params, steps, strict=True)), *new))


@kernel
def rmsprop_update(params: Tensors, grads: Tensors, accumulators: Tensors, lr: Any, rho: Any, epsilon: float) -> Any:
    """a = rho * a + (1 - rho) * g^2; p - lr * g / (sqrt(a) + epsilon)."""
    new = [rho * a + (1 - rho) * jnp.square(g) for a, g in zip(accumulators, grads, strict=True)]
    stepped = (p - lr * g / (jnp.sqrt(a) + epsilon) for p, g, a in zip(params, grads, new, strict=True))
    return _typed((*params, *accumulators), (*stepped, *new))


@kernel
def adam_update(params: Tensors, grads: Tensors, ms: Tensors, vs: Tensors, vhats: Tensors, lr_t: Any, beta_1: Any,
                beta_2: Any, epsilon: float) -> Any:  # fmt: skip
    """m, v as running means of g and g^2; p - lr_t * m / (sqrt(v) + epsilon), with the largest v so far if amsgrad."""
    before = (*params, *ms, *vs, *vhats)
    ms = [beta_1 * m + (1 - beta_1) * g for m, g in zip(ms, grads, strict=True)]
    vs = [beta_2 * v + (1 - beta_2) * jnp.square(g) for v, g in zip(vs, grads, strict=True)]
    vhats = [jnp.maximum(h, v) for h, v in zip(vhats, vs, strict=True)] if vhats else []
    new = [p - lr_t * m / (jnp.sqrt(v) + epsilon) for p, m, v in zip(params, ms, vhats or vs, strict=True)]
    return _typed(before, (*new, *ms, *vs, *vhats))


def _typed(before: Tensors, after: Tensors) -> tuple[Any, ...]:
    """The new values in the dtypes of the old ones, whatever the rates' dtype is."""
    return tuple(b.astype(a.dtype) for a, b in zip(before, after, strict=True))
