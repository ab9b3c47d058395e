"""Optimizer updates over lists of variables, in place by TensorFlow's fused update ops where the formulas are the same.

Keras 2 has the bias correction in the rate, so the ops that would apply it get powers of zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kcore.backend import active
from kcore.ops import REGISTRY
from kcore_tf.kernels.table import INPLACE, KERNELS, inplace, scalar

_raw = tf.raw_ops


def _by_body(name: str) -> Callable[..., Any]:
    """The update as values, by the op's own body: for new values that are not simply the variables' next ones."""

    def update(*arguments: Any) -> Any:
        with active.backend_scope("tensorflow"):
            return tuple(REGISTRY[name].body(*arguments))

    return update


def _like(p: Any, **values: Any) -> dict[str, Any]:
    return {name: scalar(value, p.dtype) for name, value in values.items()}


@inplace
def sgd_update(params: Any, grads: Any, moments: Any, lr: Any, momentum: Any, nesterov: bool) -> None:
    for p, g, m in zip(params, grads, moments, strict=True):
        rates = _like(p, lr=lr, momentum=momentum)
        _raw.ResourceApplyKerasMomentum(var=p.handle, accum=m.handle, grad=g, use_nesterov=nesterov, **rates)


@inplace
def rmsprop_update(params: Any, grads: Any, accumulators: Any, lr: Any, rho: Any, epsilon: float) -> None:
    for p, g, a in zip(params, grads, accumulators, strict=True):
        decay = scalar(rho, p.dtype)
        a.assign(decay * a.value() + (1 - decay) * tf.square(g), read_value=False)
        rates = _like(p, lr=lr, epsilon=epsilon)
        _raw.ResourceApplyAdagradV2(var=p.handle, accum=a.handle, grad=g, update_slots=False, **rates)


@inplace
def adagrad_update(params: Any, grads: Any, accumulators: Any, lr: Any, epsilon: float) -> None:
    for p, g, a in zip(params, grads, accumulators, strict=True):
        _raw.ResourceApplyAdagradV2(var=p.handle, accum=a.handle, grad=g, **_like(p, lr=lr, epsilon=epsilon))


@inplace
def adadelta_update(params: Any, grads: Any, accumulators: Any, deltas: Any, lr: Any, rho: Any, epsilon: float) -> None:
    for p, g, a, d in zip(params, grads, accumulators, deltas, strict=True):
        rates = _like(p, lr=lr, rho=rho, epsilon=epsilon)
        _raw.ResourceApplyAdadelta(var=p.handle, accum=a.handle, accum_update=d.handle, grad=g, **rates)


@inplace
def adam_update(params: Any, grads: Any, ms: Any, vs: Any, vhats: Any, lr_t: Any, beta_1: Any, beta_2: Any,
                epsilon: float) -> None:  # fmt: skip
    for i, (p, g, m, v) in enumerate(zip(params, grads, ms, vs, strict=True)):
        rates = _like(p, lr=lr_t, beta1=beta_1, beta2=beta_2, epsilon=epsilon, beta1_power=0, beta2_power=0)
        slots = {"var": p.handle, "m": m.handle, "v": v.handle}
        if vhats:
            _raw.ResourceApplyAdamWithAmsgrad(**slots, vhat=vhats[i].handle, grad=g, **rates)
        else:
            _raw.ResourceApplyAdam(**slots, grad=g, **rates)


@inplace
def adamax_update(params: Any, grads: Any, ms: Any, us: Any, lr_t: Any, beta_1: Any, beta_2: Any,
                  epsilon: float) -> None:  # fmt: skip
    for p, g, m, u in zip(params, grads, ms, us, strict=True):
        rates = _like(p, lr=lr_t, beta1=beta_1, beta2=beta_2, epsilon=epsilon, beta1_power=0)
        _raw.ResourceApplyAdaMax(var=p.handle, m=m.handle, v=u.handle, grad=g, **rates)


KERNELS.update({name: _by_body(name) for name in INPLACE})
