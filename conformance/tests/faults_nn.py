"""Faults in the NumPy backend's kernels of networks: windows, recurrence, losses, random draws, optimizers."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from faults import Fault


def _gates(array: Any, order: tuple[int, ...]) -> Any:
    """The columns of a recurrent kernel or bias with its gates in another order."""
    if array is None:
        return None
    parts = np.split(np.asarray(array), len(order), -1)
    return np.concatenate([parts[i] for i in order], -1)


def _swapped(order: tuple[int, ...], states: int) -> Any:
    def plant(right: Any) -> Any:
        def run(x: Any, *rest: Any) -> Any:
            s, (kernel, recurrent, bias), others = rest[:states], rest[states : states + 3], rest[states + 3 :]
            return right(x, *s, _gates(kernel, order), _gates(recurrent, order), _gates(bias, order), *others)

        return run

    return plant


def _with_mask(change: Any, at: int) -> Any:
    """A recurrent op whose mask is changed before it is looked at."""

    def plant(right: Any) -> Any:
        def run(*arguments: Any) -> Any:
            mask = arguments[at]
            return right(*arguments[:at], None if mask is None else change(np.array(mask)), *arguments[at + 1 :])

        return run

    return plant


def _sees_last(mask: Any) -> Any:
    mask[:, -1] = 1
    return mask


def _sees_first(mask: Any) -> Any:
    mask[:, 0] = 1
    return mask


def _replaced(position: int, change: Any) -> Any:
    """The kernel with one argument changed."""
    return lambda right: lambda *a: right(*a[:position], change(a[position]), *a[position + 1 :])


def _scaled(factor: float) -> Any:
    return lambda right: lambda *a: (right(*a) * np.asarray(factor)).astype(np.asarray(right(*a)).dtype)


def _first_of_results(change: Any) -> Any:
    def plant(right: Any) -> Any:
        def run(*arguments: Any) -> Any:
            results = list(right(*arguments))
            results[0] = change(results[0], results, arguments)
            return tuple(results)

        return run

    return plant


def _cond_by_products(right: Any) -> Any:
    def run(condition: Any, then: Any, otherwise: Any) -> Any:
        with np.errstate(all="ignore"):
            c, a, b = float(bool(condition)), then(), otherwise()
            return tuple((c * x + (1 - c) * y).astype(np.asarray(x).dtype) for x, y in zip(a, b, strict=True))

    return run


def _do_while(right: Any) -> Any:
    return lambda condition, body, carry: right(condition, body, tuple(body(*carry)))


def _one_step_short(right: Any) -> Any:
    def run(condition: Any, body: Any, carry: Any) -> Any:
        carry = before = tuple(carry)
        while bool(condition(*carry)[0]):
            before, carry = carry, tuple(body(*carry))
        return before

    return run


def _ys_backwards(right: Any) -> Any:
    def run(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
        out = right(body, carry, xs, length, reverse)
        n = len(carry)
        return (*out[:n], *(np.flip(y, 0) if reverse else y for y in out[n:]))

    return run


def _counter_from_one(right: Any) -> Any:
    def run(body: Any, carry: Any, xs: Any, length: Any, reverse: bool) -> Any:
        return right(lambda *a: body(*a[:-1], a[-1] + np.int32(1)), carry, xs, length, reverse)

    return run


def _adam(change: Any) -> Any:
    """Adam written out, with a place for a mistake: `change(m, v, lr, epsilon) -> step`."""

    def plant(_right: Any) -> Any:
        def run(params: Any, grads: Any, ms: Any, vs: Any, vhats: Any, lr: Any, b1: Any, b2: Any, eps: float) -> Any:
            ms = [b1 * m + (1 - b1) * g for m, g in zip(ms, grads, strict=True)]
            vs = [b2 * v + (1 - b2) * g * g for v, g in zip(vs, grads, strict=True)]
            vhats = [np.maximum(a, b) for a, b in zip(vhats, vs, strict=True)] if vhats else []
            params = [p - change(m, v, lr, eps) for p, m, v in zip(params, ms, vhats or vs, strict=True)]
            return tuple(np.asarray(r, np.asarray(grads[0]).dtype) for r in (*params, *ms, *vs, *vhats))

        return run

    return plant


def _keras_step(m: Any, v: Any, lr: Any, eps: float) -> Any:
    return lr * m / (np.sqrt(v) + eps)


def _adam_forgets(_right: Any) -> Any:
    def run(params: Any, grads: Any, ms: Any, vs: Any, vhats: Any, lr: Any, b1: Any, b2: Any, eps: float) -> Any:
        out = _adam(_keras_step)(None)(params, grads, ms, vs, vhats, lr, b1, b2, eps)
        return (*out[: len(params)], *ms, *out[2 * len(params) :])

    return run


def _accumulates_late(right: Any) -> Any:
    """Adagrad divides by what was accumulated before this step."""

    def run(params: Any, grads: Any, sums: Any, lr: Any, eps: float) -> Any:
        dtype = np.asarray(grads[0]).dtype
        new = [p - lr * g / (np.sqrt(a) + eps) for p, g, a in zip(params, grads, sums, strict=True)]
        return tuple(np.asarray(r, dtype) for r in (*new, *(a + g * g for a, g in zip(sums, grads, strict=True))))

    return run


def _sgd_old_moment(right: Any) -> Any:
    def run(params: Any, grads: Any, moments: Any, *rest: Any) -> Any:
        out = right(params, grads, moments, *rest)
        return (*(p + m for p, m in zip(params, moments, strict=True)), *out[len(params) :])

    return run


def _dropout(keep: Any) -> Any:
    """Dropout written out: `keep(uniform numbers, level) -> factors`."""

    def plant(_right: Any) -> Any:
        def run(key: Any, x: Any, level: float, noise_shape: Any) -> Any:
            shape = np.shape(x) if noise_shape is None else [
                np.shape(x)[i] if n is None else n for i, n in enumerate(noise_shape)]  # fmt: skip
            u = np.random.default_rng(abs(hash(key)) % 2**32).random(tuple(int(n) for n in shape))
            return (x * keep(u, level)).astype(np.asarray(x).dtype)

        return run

    return plant


def _by_rows(u: Any, level: float) -> Any:
    return (u[..., :1] >= level) / (1 - level) * np.ones_like(u)


def _even_ties(right: Any) -> Any:
    """The gradient of max pooling goes to every maximum in full."""

    def run(g: Any, x: Any, *geometry: Any) -> Any:
        return right(g, x, *geometry) * np.asarray(2, np.asarray(g).dtype)

    return run


FAULTS: tuple[Fault, ...] = (
    # --- windows ---
    Fault("dilation is ignored", "argument ignored", "conv", _replaced(4, lambda d: (1,) * len(d))),
    Fault("strides change places", "wrong axis", "conv", _replaced(2, lambda s: s[::-1])),
    Fault("groups see the other's channels", "wrong order", "conv", lambda k: lambda x, kernel, s, p, dl, fmt, groups: k(
        np.flip(x, -1 if fmt == "channels_last" else 1) if groups > 1 else x, kernel, s, p, dl, fmt, groups)),
    Fault("channels_first is taken for last", "data format", "conv", lambda k: lambda x, kernel, s, p, dl, fmt, groups: k(
        np.flip(x, 2) if fmt == "channels_first" else x, kernel, s, p, dl, fmt, groups)),
    Fault("odd padding goes before", "padding off by one", "conv", lambda k: lambda x, kernel, s, p, *a: (
        np.flip(k(np.flip(x, 1), np.flip(kernel, 0), s, p, *a), 1) if p == "same" and a[1] == "channels_last"
        else k(x, kernel, s, p, *a))),
    Fault("the transposed convolution is shifted", "padding off by one", "conv_transpose", lambda k: lambda *a: (
        np.roll(k(*a), 1, 1 if a[6] == "channels_last" else 2))),
    Fault("the kernel's gradient is a mean", "wrong gradient scale", "conv_kernel_grad", _scaled(0.5)),
    Fault("the gradient of max pooling is doubled", "wrong gradient scale", "max_pool_grad", _even_ties),
    Fault("the gradient of avg pooling is a sum", "wrong gradient scale", "avg_pool_grad", _scaled(4)),
    Fault("pooling exchanges its strides", "wrong axis", "max_pool", _replaced(2, lambda s: tuple(s)[::-1])),
    Fault("resize exchanges rows and columns", "wrong axis", "resize", _replaced(1, lambda f: tuple(f)[::-1])),
    Fault("local kernels are taken backwards", "wrong order", "local_conv", _replaced(1, lambda w: np.flip(w, 1))),
    # --- activations, losses, normalisation ---
    Fault("softmax over the last axis only", "wrong axis", "softmax", _replaced(1, lambda axis: -1)),
    Fault("softmax overflows", "overflow", "softmax", lambda k: lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True)),
    Fault("logsumexp overflows", "overflow", "logsumexp", lambda k: lambda x, axis, keepdims: np.log(
        np.exp(x).sum(axis, keepdims=keepdims))),
    Fault("log_softmax is the log of softmax", "overflow", "log_softmax", lambda k: lambda x, axis: np.log(np.exp(k(x, axis))), "softmax"),
    Fault("relu ignores its threshold", "argument ignored", "relu", _replaced(3, lambda t: 0.0)),
    Fault("relu ignores its maximum", "argument ignored", "relu", _replaced(2, lambda m: None)),
    Fault("hard_sigmoid has slope 1/4", "wrong scale", "hard_sigmoid", lambda k: lambda x: k(
        np.asarray(x) * np.asarray(1.25, np.asarray(x).dtype))),
    Fault("clip drops NaN", "NaN handling", "clip", lambda k: lambda x, low, high: np.fmin(np.fmax(x, low), high).astype(
        np.asarray(x).dtype)),
    Fault("zero vectors become NaN", "division by zero", "l2_normalize", lambda k: lambda x, axis: x / np.sqrt(
        np.square(x).sum(axis, keepdims=True))),
    Fault("variance of a sample", "wrong scale", "var", lambda k: lambda x, axis, keepdims: np.var(
        x, axis=axis, ddof=1, keepdims=keepdims).astype(np.asarray(x).dtype)),
    Fault("batches have the variance of a sample", "wrong scale", "batch_norm", lambda k: lambda x, *a: (
        lambda y, m, v: (y, m, v * np.asarray(1.5, v.dtype)))(*k(x, *a))),
    Fault("epsilon outside the root", "wrong epsilon place", "batch_norm", lambda k: lambda x, gamma, beta, axis, eps: k(
        x, gamma, beta, axis, eps**2)),
    Fault("gamma and beta change places", "wrong order", "batch_normalization", lambda k: (
        lambda x, mean, var, beta, gamma, axis, eps: k(x, mean, var, gamma, beta, axis, eps))),
    Fault("crossentropy is averaged over classes", "wrong scale", "softmax_crossentropy", _scaled(0.5)),
    Fault("classes are one off", "off by one", "sparse_softmax_crossentropy", _replaced(0, lambda t: np.maximum(
        np.asarray(t) - 1, 0))),
    Fault("binary crossentropy overflows", "overflow", "sigmoid_crossentropy", lambda k: lambda t, x: -(
        t * np.log(1 / (1 + np.exp(-x))) + (1 - t) * np.log(1 - 1 / (1 + np.exp(-x)))).astype(np.asarray(x).dtype)),
    Fault("ties are not in the top", "tie-breaking", "in_top_k", lambda k: lambda p, t, n: (
        (p >= np.take_along_axis(p, np.clip(t, 0, np.shape(p)[1] - 1)[:, None].astype("int64"), 1)).sum(1) <= n)),
    Fault("the blank is class 0", "wrong order", "ctc_cost", _replaced(1, lambda p: np.roll(p, 1, -1))),
    Fault("input lengths are ignored", "argument ignored", "ctc_cost", lambda k: lambda labels, p, n, m: k(
        labels, p, np.full_like(n, np.shape(p)[1]), m)),
    Fault("greedy decoding reads backwards", "wrong order", "ctc_greedy", _replaced(0, lambda p: np.flip(p, 1))),
    # --- recurrence and control flow ---
    Fault("LSTM swaps input and forget gates", "swapped gates", "lstm", _swapped((1, 0, 2, 3), 2)),
    Fault("LSTM swaps cell and output gates", "swapped gates", "lstm", _swapped((0, 1, 3, 2), 2)),
    Fault("GRU swaps update and reset gates", "swapped gates", "gru", _swapped((1, 0, 2), 1)),
    Fault("GRU swaps reset and candidate", "swapped gates", "gru", _swapped((0, 2, 1), 1)),
    Fault("GRU ignores reset_after", "argument ignored", "gru", lambda k: lambda *a: k(
        *a[:8], a[8] and np.ndim(a[4]) == 2, *a[9:])),
    Fault("LSTM ignores the mask", "mask ignored", "lstm", _with_mask(np.ones_like, 6)),
    Fault("LSTM ignores the mask of the last step", "mask ignored at the last step", "lstm", _with_mask(_sees_last, 6)),
    Fault("GRU ignores the mask of the last step", "mask ignored at the last step", "gru", _with_mask(_sees_last, 5)),
    Fault("SimpleRNN ignores the mask of the first step", "mask ignored", "simple_rnn", _with_mask(_sees_first, 5)),
    Fault("LSTM ignores go_backwards", "argument ignored", "lstm", _replaced(10, lambda b: False)),
    Fault("LSTM starts from zeros", "stale state", "lstm", _replaced(2, np.zeros_like)),
    Fault("SimpleRNN tells the first output as the last", "wrong order", "simple_rnn", _first_of_results(
        lambda last, out, a: out[1][:, 0])),
    Fault("loops count from one", "while off by one", "scan", _counter_from_one, "control|loops|recurr|random", 5),
    Fault("reversed loops turn their results round", "scan reversed outputs", "scan", _ys_backwards, "control|loops", 4),
    Fault("open loops run before they test", "while off by one", "while_loop", _do_while, "control|loops", 4),
    Fault("open loops stop one early", "while off by one", "while_loop", _one_step_short, "control|loops", 4),
    Fault("branches are blended", "NaN in a masked branch", "cond", _cond_by_products, "control|branches", 5),
    # --- random ---
    Fault("dropout does not scale", "randomness", "dropout", _dropout(lambda u, level: u >= level), "random", 4),
    Fault("dropout keeps what it should drop", "randomness", "dropout", _dropout(lambda u, p: (u < p) / (1 - p)), "random", 4),
    Fault("dropout drops whole rows", "randomness", "dropout", _dropout(_by_rows), "random", 4),
    Fault("uniform draws are squared", "randomness", "random_uniform", lambda k: lambda key, shape, low, high, dtype: (
        low + (high - low) * np.sqrt((k(key, shape, low, high, dtype) - low) / (high - low))).astype(dtype), "random", 4),
    Fault("draws depend on the clock", "non-determinism", "random_normal", lambda k: lambda key, *a: k(
        (secrets.randbits(60), key[1]), *a), "random", 4),
    Fault("the key is ignored", "key reuse", "random_uniform", lambda k: lambda key, *a: k((1, key[1]), *a), "random", 4),
    Fault("the upper bound is drawn", "off by one", "random_uniform", lambda k: lambda key, *a: _with_bound(k(key, *a), a[2]),
          "random", 4),
    Fault("binomial draws the complement", "randomness", "random_binomial", lambda k: lambda key, shape, p, dtype: k(
        key, shape, 1 - p, dtype), "random", 4),
    # --- optimizers ---
    Fault("Adam's epsilon inside the root", "wrong epsilon place", "adam_update", _adam(
        lambda m, v, lr, eps: lr * m / np.sqrt(v + eps)), "adam_update|optimizers", 6),
    Fault("Adam corrects its bias twice", "optimizer bias correction", "adam_update", _adam(
        lambda m, v, lr, eps: lr * 1.1 * m / (np.sqrt(v) + eps)), "adam_update|optimizers", 6),
    Fault("Adam forgets its first moment", "stale state", "adam_update", _adam_forgets, "adam_update|optimizers", 6),
    Fault("Adam ignores amsgrad", "argument ignored", "adam_update", lambda k: lambda p, g, m, v, vh, *a: (
        *k(p, g, m, v, [], *a), *vh), "adam_update|optimizers", 6),
    Fault("RMSprop blends the wrong way", "wrong order", "rmsprop_update", _replaced(4, lambda rho: 1 - rho)),
    Fault("SGD ignores nesterov", "argument ignored", "sgd_update", _replaced(5, lambda n: False)),
    Fault("SGD moves by the old momentum", "wrong order of updates", "sgd_update", _sgd_old_moment),
    Fault("Adagrad accumulates after dividing", "wrong order of updates", "adagrad_update", _accumulates_late),
    Fault("Adamax forgets its decay", "argument ignored", "adamax_update", _replaced(6, np.ones_like)),
)  # fmt: skip


def _with_bound(draws: Any, high: float) -> Any:
    flat = np.array(draws).reshape(-1)
    flat[-1:] = high
    return flat.reshape(np.shape(draws))
