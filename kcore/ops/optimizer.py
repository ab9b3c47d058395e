"""Updates of optimizers, each over whole lists of variables: Keras 2's formulas, one op a step.

Per-variable updates cost a framework as many calls as a model has weights; as list composites they stay one node that a
backend may lower to its fused multi-tensor kernels. Hyperparameters that Keras 2 keeps in variables are scalar tensors.
Results are all new params, then each list of new state, in the order of `aliases`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore.errors import GraphError, ShapeError
from kcore.ops.cases import FLOATS, Attribute, Cases, Choice, Draw, NumpyDraw, Real, with_attributes
from kcore.ops.edges import Wrong
from kcore.ops.elementwise import abs_, add, divide, maximum, multiply, sqrt, square, subtract
from kcore.ops.spec import F, Tensor, Tensors, composite


def _rule(op: str, lists: Sequence[str]) -> Callable[..., Any]:
    """Each state keeps its spec; gradients and state must match the params one for one."""

    def rule(**a: Any) -> tuple[Any, ...]:
        params = a["params"]
        for name in ("grads", *lists):
            if name == "vhats" and not a[name]:
                continue
            if len(a[name]) != len(params):
                raise GraphError(f"{op} got {len(params)} params, but {len(a[name])} {name}.")
            for p, s in zip(params, a[name], strict=True):
                if (
                    any(m is not None and n is not None and m != n for m, n in zip(p.shape, s.shape))
                    or p.rank != s.rank
                ):
                    raise ShapeError(f"{op}: a param of shape {p.shape} cannot have {name} of shape {s.shape}.")
        return tuple(s for name in ("params", *lists) for s in a[name])

    return rule


def _lists(lists: Sequence[str], scalars: dict[str, Any]) -> Cases:
    """Params with gradients and non-negative state, and scalars that are tensors unless they say otherwise."""

    def draw(d: Draw) -> Any:
        dtype = d.dtype(FLOATS)
        shapes = [d.shape(1, 2) for _ in range(d.integer(1, 2))]
        arguments: dict[str, Any] = {}
        for name in ("params", "grads", *lists):
            state = name not in ("params", "grads")
            values = Real(0.1, 1) if state else Real(-1, 1)
            arguments[name] = [] if name == "vhats" and d.boolean() else [d.array(s, dtype, values) for s in shapes]
        scalar = {k: v if isinstance(v, Attribute) else np.asarray(v, dtype) for k, v in scalars.items()}
        return with_attributes(d, arguments, scalar)

    given = {**{name: [(2,)] for name in ("params", "grads", *lists)}, **_first_choices(scalars)}
    wrong = (Wrong(GraphError, **{**given, lists[0]: [(2,), (2,)]}), Wrong(ShapeError, **{**given, "grads": [(3,)]}))
    return Cases(draw, smooth=False, errors=wrong)


def _first_choices(scalars: dict[str, Any]) -> dict[str, Any]:
    drawn = with_attributes(NumpyDraw(0), {}, {k: v for k, v in scalars.items() if isinstance(v, Attribute)})
    return {k: drawn[k] if k in drawn else np.asarray(v, "float32") for k, v in scalars.items()}


def _update(*lists: str, **scalars: Any) -> Callable[[F], F]:
    """Declare an update of params and these lists; `scalars` are values of the other parameters for the cases."""

    def declare(function: F) -> F:
        aliases = dict(enumerate(("params", *lists)))
        return composite(infer=_rule(function.__name__, lists), multiple=True, promote=(), differentiable=False,
                         aliases=aliases, cases=_lists(lists, scalars))(function)  # fmt: skip

    return declare


_EPSILON = Choice(1e-7, 1e-3)


def _blend(rate: Any, old: Any, new: Any) -> Any:
    """rate * old + (1 - rate) * new."""
    return add(multiply(rate, old), multiply(subtract(1.0, rate), new))


@_update("moments", lr=0.1, momentum=0.9, nesterov=Choice(False, True))
def sgd_update(params: Tensors, grads: Tensors, moments: Tensors, lr: Tensor, momentum: Tensor, nesterov: bool) -> Any:
    """Gradient descent with momentum: `m = momentum * m - lr * g`, `p += m` (with nesterov `momentum * m - lr * g`).

    Args:
        params, grads, moments: lists of the same length.
        lr, momentum: scalars.
        nesterov: whether to look ahead.

    Returns:
        (*params, *moments).

    >>> sgd_update([np.array([1.])], [np.array([2.])], [np.array([0.])], 0.1, 0.9, False)
    [array([0.8]), array([-0.2])]
    """
    new_params, new_moments = [], []
    for p, g, m in zip(params, grads, moments, strict=True):
        step = multiply(lr, g)
        v = subtract(multiply(momentum, m), step)
        new_params.append(add(p, subtract(multiply(momentum, v), step) if nesterov else v))
        new_moments.append(v)
    return [*new_params, *new_moments]


@_update("accumulators", lr=0.01, rho=0.9, epsilon=_EPSILON)
def rmsprop_update(params: Tensors, grads: Tensors, accumulators: Tensors, lr: Tensor, rho: Tensor,
                   epsilon: float) -> Any:  # fmt: skip
    """RMSprop: `a = rho * a + (1 - rho) * g**2`, `p -= lr * g / (sqrt(a) + epsilon)`.

    Returns:
        (*params, *accumulators).
    """
    new_params, new = [], []
    for p, g, a in zip(params, grads, accumulators, strict=True):
        new.append(_blend(rho, a, square(g)))
        new_params.append(subtract(p, divide(multiply(lr, g), add(sqrt(new[-1]), epsilon))))
    return [*new_params, *new]


@_update("accumulators", lr=0.01, epsilon=_EPSILON)
def adagrad_update(params: Tensors, grads: Tensors, accumulators: Tensors, lr: Tensor, epsilon: float) -> Any:
    """Adagrad: `a += g**2`, `p -= lr * g / (sqrt(a) + epsilon)`.

    Returns:
        (*params, *accumulators).
    """
    new_params, new = [], []
    for p, g, a in zip(params, grads, accumulators, strict=True):
        new.append(add(a, square(g)))
        new_params.append(subtract(p, divide(multiply(lr, g), add(sqrt(new[-1]), epsilon))))
    return [*new_params, *new]


@_update("accumulators", "deltas", lr=1.0, rho=0.95, epsilon=_EPSILON)
def adadelta_update(params: Tensors, grads: Tensors, accumulators: Tensors, deltas: Tensors, lr: Tensor, rho: Tensor,
                    epsilon: float) -> Any:  # fmt: skip
    """Adadelta: steps scaled by the running sizes of gradients (`accumulators`) and of earlier steps (`deltas`).

    Returns:
        (*params, *accumulators, *deltas).
    """
    new_params, new_accumulators, new_deltas = [], [], []
    for p, g, a, d in zip(params, grads, accumulators, deltas, strict=True):
        new_a = _blend(rho, a, square(g))
        step = divide(multiply(g, sqrt(add(d, epsilon))), sqrt(add(new_a, epsilon)))
        new_params.append(subtract(p, multiply(lr, step)))
        new_accumulators.append(new_a)
        new_deltas.append(_blend(rho, d, square(step)))
    return [*new_params, *new_accumulators, *new_deltas]


@_update("ms", "vs", "vhats", lr_t=0.01, beta_1=0.9, beta_2=0.999, epsilon=_EPSILON)
def adam_update(params: Tensors, grads: Tensors, ms: Tensors, vs: Tensors, vhats: Tensors, lr_t: Tensor, beta_1: Tensor,
                beta_2: Tensor, epsilon: float) -> Any:  # fmt: skip
    """Adam in Keras 2's form, `p -= lr_t * m / (sqrt(v) + epsilon)`, with the bias correction already in `lr_t`.

    Args:
        params, grads, ms, vs: lists of the same length.
        vhats: running maxima of vs for AMSGrad, which then take the place of v in the step; else an empty list.
        lr_t: `lr * sqrt(1 - beta_2**t) / (1 - beta_1**t)`.
        beta_1, beta_2: decay of ms and vs.
        epsilon: added to the root.

    Returns:
        (*params, *ms, *vs, *vhats).
    """
    new_params, new_ms, new_vs, new_vhats = [], [], [], []
    for i, (p, g, m, v) in enumerate(zip(params, grads, ms, vs, strict=True)):
        new_ms.append(_blend(beta_1, m, g))
        new_vs.append(_blend(beta_2, v, square(g)))
        scale = new_vs[-1]
        if vhats:
            scale = maximum(vhats[i], scale)
            new_vhats.append(scale)
        new_params.append(subtract(p, divide(multiply(lr_t, new_ms[-1]), add(sqrt(scale), epsilon))))
    return [*new_params, *new_ms, *new_vs, *new_vhats]


@_update("ms", "us", lr_t=0.01, beta_1=0.9, beta_2=0.999, epsilon=_EPSILON)
def adamax_update(params: Tensors, grads: Tensors, ms: Tensors, us: Tensors, lr_t: Tensor, beta_1: Tensor,
                  beta_2: Tensor, epsilon: float) -> Any:  # fmt: skip
    """Adamax: `u = max(beta_2 * u, |g|)`, `p -= lr_t * m / (u + epsilon)` with `lr_t = lr / (1 - beta_1**t)`.

    Returns:
        (*params, *ms, *us).
    """
    new_params, new_ms, new_us = [], [], []
    for p, g, m, u in zip(params, grads, ms, us, strict=True):
        new_ms.append(_blend(beta_1, m, g))
        new_us.append(maximum(multiply(beta_2, u), abs_(g)))
        new_params.append(subtract(p, divide(multiply(lr_t, new_ms[-1]), add(new_us[-1], epsilon))))
    return [*new_params, *new_ms, *new_us]


@_update("ms", "vs", lr=0.01, beta_1=0.9, beta_2=0.999, momentum=0.7, next_momentum=0.75, schedule=0.7,
         next_schedule=0.525, beta_2_power=0.998, epsilon=_EPSILON)  # fmt: skip
def nadam_update(params: Tensors, grads: Tensors, ms: Tensors, vs: Tensors, lr: Tensor, beta_1: Tensor, beta_2: Tensor,
                 momentum: Tensor, next_momentum: Tensor, schedule: Tensor, next_schedule: Tensor, beta_2_power: Tensor,
                 epsilon: float) -> Any:  # fmt: skip
    """Adam with Nesterov momentum on a schedule.

    Args:
        params, grads, ms, vs: lists of the same length.
        lr, beta_1, beta_2, epsilon: as for Adam, without bias correction.
        momentum, next_momentum: the schedule's momentum of this step and of the next.
        schedule, next_schedule: products of all momenta up to this step, and up to the next.
        beta_2_power: `beta_2 ** t`.

    Returns:
        (*params, *ms, *vs).
    """
    new_params, new_ms, new_vs = [], [], []
    for p, g, m, v in zip(params, grads, ms, vs, strict=True):
        new_ms.append(_blend(beta_1, m, g))
        new_vs.append(_blend(beta_2, v, square(g)))
        now = divide(g, subtract(1.0, schedule))
        ahead = divide(new_ms[-1], subtract(1.0, next_schedule))
        mean = add(multiply(subtract(1.0, momentum), now), multiply(next_momentum, ahead))
        size = divide(new_vs[-1], subtract(1.0, beta_2_power))
        new_params.append(subtract(p, divide(multiply(lr, mean), add(sqrt(size), epsilon))))
    return [*new_params, *new_ms, *new_vs]
