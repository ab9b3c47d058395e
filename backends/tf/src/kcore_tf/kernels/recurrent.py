"""Recurrent layers: the inputs' product for all steps at once, then one loop over time.

Against the ops' own bodies this saves slices: gates are parted by one op, whose gradient is one concatenation. (A
gradient written by hand, with the recurrent kernel's product taken out of the loop, was measured: no faster.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kcore_tf.kernels.linalg import matmul
from kcore_tf.kernels.shaping import transpose
from kcore_tf.kernels.table import KERNELS, kernel

_ACTIVATIONS = {
    "linear": tf.identity, "tanh": tf.tanh, "sigmoid": tf.sigmoid, "relu": tf.nn.relu, "elu": tf.nn.elu,
    "softmax": tf.nn.softmax, "softplus": tf.math.softplus, "softsign": tf.nn.softsign, "exponential": tf.exp,
    "hard_sigmoid": lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0),
    "selu": lambda x: 1.0507009873554805 * KERNELS["elu"](x, 1.6732632423543772),
}  # fmt: skip


def _run(step: Callable[..., Sequence[Any]], x: Any, kernel: Any, bias: Any, states: Sequence[Any], mask: Any,
         sequences: bool, backwards: bool) -> Any:  # fmt: skip
    """Loop `step(z_t, *states) -> new states`, whose first is the output, over axis 1 of x."""
    count = x.shape[1]
    z = matmul(tf.transpose(x, [1, 0, 2]), kernel)
    z = z if bias is None else tf.nn.bias_add(z, bias)
    zs = tf.TensorArray(z.dtype, count, element_shape=z.shape[1:]).unstack(z)
    if mask is not None:
        mask = transpose(tf.cast(mask, tf.bool), (1, 0))[..., None]
        mask = tf.TensorArray(tf.bool, count, element_shape=mask.shape[1:]).unstack(mask)
    n, last = len(states), tf.zeros_like(states[0])
    ys = [tf.TensorArray(z.dtype, count, element_shape=last.shape)] if sequences else []

    def body(k: Any, last: Any, *carry: Any) -> Any:
        t = count - 1 - k if backwards else k
        now, ys = carry[:n], carry[n:]
        new = step(zs.read(t), *now)
        last, before = new[0], last
        if mask is not None:
            keep = mask.read(t)
            last, *new = (tf.where(keep, a, b) for a, b in zip((last, *new), (before, *now), strict=True))
        return (k + 1, last, *new, *(y.write(k, last) for y in ys))

    start = (tf.constant(0), last, *states, *ys)
    _, last, *out = tf.while_loop(lambda k, *_: k < count, body, start, maximum_iterations=count)
    outputs = tf.transpose(out[n].stack(), [1, 0, 2]) if sequences else last[:, None]
    return (last, outputs, *out[:n])


@kernel
def lstm(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
         recurrent_activation: str, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    act, gate = _ACTIVATIONS[activation], _ACTIVATIONS[recurrent_activation]

    def step(z: Any, h: Any, c: Any) -> Any:
        i, f, g, o = tf.split(z + tf.matmul(h, recurrent_kernel), 4, -1)
        c = gate(f) * c + gate(i) * act(g)
        return gate(o) * act(c), c

    return _run(step, x, kernel, bias, (h, c), mask, return_sequences, go_backwards)


@kernel
def gru(x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
        recurrent_activation: str, reset_after: bool, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    act, gate, units = _ACTIVATIONS[activation], _ACTIVATIONS[recurrent_activation], h.shape[-1]
    inner_bias = None
    if bias is not None and bias.shape.rank == 2:
        bias, inner_bias = bias[0], bias[1]
    gates_kernel, candidate_kernel = tf.split(recurrent_kernel, [2 * units, units], -1)

    def after(z: Any, h: Any) -> Any:
        a = tf.matmul(h, recurrent_kernel)
        az, ar, ah = tf.split(a if inner_bias is None else tf.nn.bias_add(a, inner_bias), 3, -1)
        zz, zr, zh = tf.split(z, 3, -1)
        update = gate(zz + az)
        return (update * h + (1 - update) * act(zh + gate(zr + ar) * ah),)

    def before(z: Any, h: Any) -> Any:
        gates, candidate = tf.split(z, [2 * units, units], -1)
        update, reset = tf.split(gate(gates + tf.matmul(h, gates_kernel)), 2, -1)
        return (update * h + (1 - update) * act(candidate + tf.matmul(reset * h, candidate_kernel)),)

    step = after if reset_after else before
    return _run(step, x, kernel, bias, (h,), mask, return_sequences, go_backwards)


gru.supports = lambda **arguments: arguments["recurrent_activation"] != "softmax"  # its gates are not parts of one


@kernel
def simple_rnn(x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
               return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    act = _ACTIVATIONS[activation]
    return _run(lambda z, h: (act(z + tf.matmul(h, recurrent_kernel)),), x, kernel, bias, (h,), mask, return_sequences,
                go_backwards)  # fmt: skip
