"""Faults in the PyTorch backend: native kernels, updates in place, autograd, state by reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from faults import Fault, Plant


def _kernel(name: str, category: str, target: str, plant: Plant, ops: str = "", top: int = 3) -> Fault:
    return Fault(name, category, target, plant, ops, top, base="torch")


def _gradient(name: str, category: str, target: str, plant: Plant, ops: str = "") -> Fault:
    return Fault(name, category, target, plant, ops, 5, base="torch")


def _inplace(name: str, category: str, target: str, plant: Plant) -> Fault:
    return Fault(name, category, target, plant, "optimizers|fit", 6, base="torch", where="inplace")


def _member(name: str, category: str, target: str, plant: Plant, ops: str, top: int) -> Fault:
    return Fault(name, category, target, plant, ops, top, base="torch", where="member")


def _by_numpy(function: Any) -> Plant:
    """A kernel that leaves the framework and comes back."""
    return lambda k: lambda x: torch.from_numpy(np.asarray(function(x.detach().numpy())))


def _always(right: Any, wrong: Any) -> Any:
    wrong.supports = lambda **_: True
    return wrong


def _lstm_without_mask(right: Any) -> Any:
    """The fused loop also where there is a mask, which it does not know."""

    def run(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, mask: Any, *rest: Any) -> Any:
        return right(x, h, c, kernel, recurrent, bias, None, *rest)

    run.supports = lambda **a: right.supports(**{**a, "mask": None})  # type: ignore[attr-defined]
    return run


def _gates_ifog(right: Any) -> Any:
    def run(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any, *rest: Any) -> Any:
        def moved(w: Any) -> Any:
            return None if w is None else torch.cat([w.chunk(4, -1)[i] for i in (0, 1, 3, 2)], -1)

        return right(x, h, c, moved(kernel), moved(recurrent), moved(bias), *rest)

    return run


def _doubled(right: Any) -> Any:
    def run(fn: Any, wrt: Any) -> Any:
        aux, grads = right(fn, wrt)
        return aux, [g * 2 for g in grads]

    return run


def _first_order(right: Any) -> Any:
    """Gradients inside an outer region are not recorded."""

    def run(fn: Any, wrt: Any) -> Any:
        aux, grads = right(fn, wrt)
        return aux, [g.detach() for g in grads]

    return run


def _none_for_zeros(right: Any) -> Any:
    def run(fn: Any, wrt: Any) -> Any:
        aux, grads = right(fn, wrt)
        return aux, [None if not bool(g.any()) else g for g in grads]

    return run


def _swapped_gradients(right: Any) -> Any:
    def run(fn: Any, wrt: Any) -> Any:
        aux, grads = right(fn, wrt)
        same = len(grads) > 1 and grads[0].shape == grads[1].shape
        return aux, [grads[1], grads[0], *grads[2:]] if same else grads

    return run


def _cond_by_where(right: Any) -> Any:
    def run(condition: Any, then: Any, otherwise: Any) -> Any:
        return tuple(torch.where(condition, a, b) for a, b in zip(then(), otherwise(), strict=True))

    return run


def _scan(change: Any) -> Plant:
    def plant(right: Any) -> Any:
        def run(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
            return change(right, body, carry, xs, length, reverse)

        return run

    return plant


def _flipped(right: Any, body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    out, n = right(body, carry, xs, length, reverse), len(carry)
    return (*out[:n], *(y.flip(0) if reverse else y for y in out[n:]))


def _detached(right: Any, body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
    n = len(carry)

    def cut(*a: Any) -> Any:
        out = body(*a)
        return (*(v.detach() for v in out[:n]), *out[n:])

    return right(cut, carry, xs, length, reverse)


def _symmetric_same(right: Any) -> Any:
    """"same" padding cut off the other end where it is uneven."""

    def run(x: Any, kernel: Any, strides: Any, padding: str, dilation: Any, data_format: str, groups: int) -> Any:
        if padding != "same" or data_format != "channels_last":
            return right(x, kernel, strides, padding, dilation, data_format, groups)
        return right(x.flip(1), kernel.flip(0), strides, padding, dilation, data_format, groups).flip(1)

    return run


def _unstable(right: Any) -> Any:
    def run(x: Any, k: int) -> Any:
        order = torch.argsort(x.flip(-1), dim=-1, descending=True, stable=True)[..., :k]
        order = x.shape[-1] - 1 - order
        return torch.gather(x, -1, order), order.int()

    return run


def _global_draws(right: Any) -> Any:
    return lambda key, shape, mean, std, dtype: torch.randn(tuple(shape)).to(getattr(torch, dtype)) * std + mean


def _epsilon(factor: float) -> Plant:
    return lambda right: lambda *a: right(*a[:-1], a[-1] + factor)


def _set_alias(right: Any) -> Any:
    def assign(state: Any, value: Any) -> None:
        with torch.no_grad():
            if state.shape == value.shape and state.dtype == value.dtype:
                state.set_(value.detach())
            else:
                right(state, value)

    return assign


def _nesterov_last(right: Any) -> Any:
    def run(params: Any, grads: Any, moments: Any, lr: Any, momentum: Any, nesterov: bool) -> None:
        right(params, grads, moments, lr, momentum, False)

    return run


FAULTS: tuple[Fault, ...] = (
    # --- forward ---
    _kernel("softmax over axis 0", "wrong axis", "softmax", lambda k: lambda x, axis: torch.softmax(x, 0)),
    _kernel("round halves up", "tie-breaking", "round", lambda k: lambda x: torch.floor(x + 0.5)),
    _kernel("maximum ignores NaN", "NaN handling", "maximum", lambda k: lambda x, y: (
        torch.fmax(x, y) if x.is_floating_point() else k(x, y))),
    _kernel("mod has the dividend's sign", "rounding", "mod", lambda k: torch.fmod),
    _kernel("floor_divide truncates", "rounding", "floor_divide", lambda k: lambda x, y: torch.div(
        x, y, rounding_mode="trunc")),
    _kernel("uneven padding goes before", "padding off by one", "conv", _symmetric_same, "^conv"),
    _kernel("strides of two are ignored in rank 3", "argument ignored", "conv", lambda k: lambda x, w, s, *a: k(
        x, w, s if len(s) != 1 else (1,), *a), "^conv"),
    _kernel("pooling counts the padding", "padding off by one", "avg_pool", lambda k: lambda x, size, s, pad, fmt: (
        k(x, size, s, pad, fmt) * (0.75 if pad == "same" and size[0] > 1 else 1)), "pool"),
    _kernel("ties are broken by the last", "tie-breaking", "top_k", _unstable),
    _kernel("one_hot wraps", "out of range", "one_hot", lambda k: lambda i, n, dtype: k(torch.remainder(i, n), n, dtype)),
    _kernel("negative indices are clipped", "out of range", "gather", lambda k: lambda x, i, axis: k(
        x, i.long().clamp(min=0), axis), "gather"),
    _kernel("scatter_add overwrites", "wrong function", "scatter_add", lambda k: lambda i, u, shape, axis: (
        u.new_zeros(shape).index_copy(axis, torch.where(i < 0, i + shape[axis], i).long().reshape(-1), u.reshape(
            (*shape[:axis], i.numel(), *shape[axis + 1:])))), "scatter"),
    _kernel("products in bfloat16", "float16 precision", "matmul", lambda k: lambda x, y: k(
        x.bfloat16(), y.bfloat16()).to(x.dtype) if x.is_floating_point() else k(x, y)),
    _kernel("cumsum in float16", "float16 precision", "cumsum", lambda k: lambda x, axis: (
        k(x.half(), axis).to(x.dtype) if x.is_floating_point() else k(x, axis))),
    _kernel("sum of int32 stays int64", "wrong promotion", "sum", lambda k: lambda x, axis, keepdims: (
        k(x, axis, keepdims).long() if x.dtype == torch.int32 else k(x, axis, keepdims))),
    _kernel("comparison gives bytes", "dtype", "less", lambda k: lambda x, y: k(x, y).to(torch.uint8)),
    _kernel("add changes its operand", "in-place aliasing", "add", lambda k: lambda x, y: (
        x.add_(y) if x.shape == torch.broadcast_shapes(x.shape, y.shape) and not torch.is_grad_enabled() and x.is_contiguous()
        else k(x, y)), "^add$|aliasing|updates", 4),
    _kernel("a copy is none", "in-place aliasing", "copy", lambda k: lambda x: x, "updates|aliasing|state|function", 4),
    _kernel("softplus without its tail", "overflow", "softplus", lambda k: lambda x: torch.log1p(torch.exp(x)),
            "softplus|sigmoid"),
    _kernel("batches have the variance of a sample", "wrong scale", "batch_norm", lambda k: lambda x, *a: (
        lambda y, m, v: (y, m, v * 1.25))(*k(x, *a))),
    _kernel("the fused LSTM ignores masks", "mask ignored", "lstm", _lstm_without_mask, "lstm|recurrence"),
    _kernel("the fused LSTM has PyTorch's order of gates", "swapped gates", "lstm", _gates_ifog, "lstm|recurrence"),
    _kernel("the fused GRU runs one way", "argument ignored", "gru", lambda k: lambda *a: k(*a[:-1], False),
            "gru|recurrence"),
    _kernel("labels beyond the classes are the last", "out of range", "sparse_softmax_crossentropy", lambda k: (
        lambda t, x: k(t.clamp(max=x.shape[-1] - 1), x)), "crossentropy"),
    _kernel("a kernel answers in NumPy", "silent fallback", "sign", lambda k: lambda x: np.sign(x.numpy()), "sign"),
    _kernel("a kernel leaves the device", "silent fallback", "floor", lambda k: lambda x: k(x).to("meta"),
            "^floor$"),
    # --- gradients ---
    _gradient("exp by NumPy has no gradient", "silent fallback", "exp", _by_numpy(np.exp)),
    _gradient("tanh is detached", "lost gradient", "tanh", lambda k: lambda x: k(x.detach())),
    _gradient("stop_gradient stops nothing", "lost gradient", "stop_gradient", lambda k: lambda x: x, "regions|stop"),
    _gradient("the gradient of max goes to one", "tie-breaking", "max", lambda k: lambda x, axis, keepdims: (
        torch.max(x, axis[0] if isinstance(axis, tuple) else axis, keepdim=keepdims).values
        if axis is not None and (isinstance(axis, int) or len(axis) == 1) else k(x, axis, keepdims)), "^max$|kinks"),
    _gradient("the gradient of maximum goes to both", "tie-breaking", "maximum", lambda k: torch.maximum, "maximum|kinks"),
    _gradient("relu passes at 0", "wrong gradient place", "relu", lambda k: lambda x, a, m, t: (
        x * (x >= 0).to(x.dtype) if not a and m is None and not t else k(x, a, m, t)), "relu"),
    _gradient("clip is flat at its bounds", "wrong gradient place", "clip", lambda k: lambda x, low, high: torch.where(
        (x <= low) | (x >= high), x.detach().clamp(low, high), x), "clip"),
    _gradient("where multiplies", "NaN in a masked branch", "where", lambda k: lambda c, x, y: (
        c.to(x.dtype) * x + (~c).to(x.dtype) * y if x.is_floating_point() else k(c, x, y)), "where|branches"),
    _gradient("both branches run", "NaN in a masked branch", "cond", _cond_by_where, "branches|control"),
    _gradient("reversed loops turn their results round", "scan reversed outputs", "scan", _scan(_flipped), "loops|control"),
    _gradient("gradients end at each step of a loop", "lost gradient", "scan", _scan(_detached), "loops|control"),
    _member("gradients are doubled", "wrong gradient scale", "value_and_grad", _doubled, "regions|value_and", 5),
    _member("second derivatives are lost", "lost gradient", "value_and_grad", _first_order, "regions|value_and", 5),
    _member("gradients are None where they are zero", "edge value", "value_and_grad", _none_for_zeros,
            "regions|value_and", 5),
    _member("gradients of equal shapes change places", "wrong order", "value_and_grad", _swapped_gradients,
            "regions|value_and", 5),
    # --- updates in place, state ---
    _inplace("Adam's epsilon is larger", "wrong epsilon place", "adam_update", _epsilon(1e-3)),
    _inplace("Adam ignores amsgrad", "argument ignored", "adam_update", lambda k: lambda p, g, m, v, vh, *a: k(p, g, m, v, [], *a)),
    _inplace("Adam changes copies of its moments", "stale state", "adam_update", lambda k: lambda p, g, m, v, *a: k(
        p, g, [t.clone() for t in m], v, *a)),
    _inplace("SGD ignores nesterov", "argument ignored", "sgd_update", _nesterov_last),
    _inplace("RMSprop updates the first weight only", "wrong order of updates", "rmsprop_update", lambda k: (
        lambda p, g, a, *rest: k(p[:1], g[:1], a[:1], *rest))),
    _member("state shares memory with its source", "in-place aliasing", "new_state", lambda k: (
        lambda value, dtype, name: torch.from_numpy(np.asarray(value)).to(getattr(torch, dtype))), "state", 1),
    _member("results share memory with state", "in-place aliasing", "to_numpy", lambda k: lambda value: (
        value.detach().numpy() if isinstance(value, torch.Tensor) and value.dtype is not torch.bfloat16 else k(value)),
        "state|aliasing|updates", 4),
    _member("state becomes what is assigned", "in-place aliasing", "assign", _set_alias, "aliasing|updates|state", 4),
    _member("assigned values are added", "stale state", "assign", lambda k: lambda state, value: k(state, state + value),
            "state|updates", 4),
    _kernel("normal draws ignore their key", "non-determinism", "random_normal", _global_draws, "random", 4),
    _kernel("dropout drops whole rows", "randomness", "dropout", lambda k: lambda key, x, level, shape: k(
        key, x, level, (*x.shape[:-1], 1) if shape is None and x.ndim > 1 else shape), "random", 4),
    _kernel("uniform draws reach half the range", "randomness", "random_uniform", lambda k: (
        lambda key, shape, low, high, dtype: k(key, shape, low, (low + high) / 2, dtype)), "random", 4),
)  # fmt: skip


