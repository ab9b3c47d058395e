"""LSTM and GRU as one loop over time.

The step's products are one: `[x, h] @ [kernel; recurrent_kernel]`. Its gradient is written out, since JAX's own
accumulates the weights' gradients step by step: here the backward loop makes only the gates' gradients, and the
weights' follow from all steps in one product. On two CPU cores that is two thirds of the time of a plain
differentiated loop; projecting the inputs before the loop, or unrolling it, was slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kcore_jax.kernels.elementwise import softplus
from kcore_jax.kernels.nn import hard_sigmoid
from kcore_jax.kernels.table import KERNELS, kernel

Cell = Callable[..., tuple[Any, ...]]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": jnp.tanh, "sigmoid": lax.logistic, "hard_sigmoid": hard_sigmoid, "relu": jax.nn.relu,
    "linear": lambda x: x, "softplus": softplus, "softsign": KERNELS["softsign"], "elu": jax.nn.elu,
    "selu": jax.nn.selu, "softmax": jax.nn.softmax, "exponential": jnp.exp,
}  # fmt: skip


# --- the loop -------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def loop(cell: Cell, weights: Any, bias: Any, x: Any, states: tuple[Any, ...], mask: Any) -> tuple[Any, Any]:
    """`states = cell([x_t, h] @ weights + bias, states)` over x (time, batch, in); where the mask is off they stay.

    Returns the final states and h (the first state) after each step.
    """

    def step(states: Any, slices: Any) -> Any:
        states, _ = _step(cell, weights, bias, states, *slices)
        return states, states[0]

    return lax.scan(step, states, (x, mask))


def _step(cell: Cell, weights: Any, bias: Any, states: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    z = jnp.concatenate([x, states[0]], axis=-1) @ weights + bias
    return _masked(cell, mask, z, states), z


def _masked(cell: Cell, mask: Any, z: Any, states: Any) -> tuple[Any, ...]:
    new = cell(z, states)
    return new if mask is None else tuple(jnp.where(mask, a, b) for a, b in zip(new, states, strict=True))


def _loop_forward(cell: Cell, weights: Any, bias: Any, x: Any, states: Any, mask: Any) -> tuple[Any, Any]:
    def step(states: Any, slices: Any) -> Any:
        new, z = _step(cell, weights, bias, states, *slices)
        return new, (new[0], z, states)

    final, (hs, zs, before) = lax.scan(step, states, (x, mask))
    return (final, hs), (weights, x, mask, zs, before)


def _loop_backward(cell: Cell, kept: Any, cotangents: Any) -> tuple[Any, ...]:
    weights, x, mask, zs, before = kept
    recurrent = weights[x.shape[-1] :].T

    def step(d_states: Any, slices: Any) -> Any:
        d_h, z, states, mask = slices
        pull = jax.vjp(partial(_masked, cell, mask), z, states)[1]
        d_z, d_states = pull((d_states[0] + d_h, *d_states[1:]))
        return (d_states[0] + d_z @ recurrent, *d_states[1:]), d_z

    d_final, d_hs = cotangents
    d_states, d_zs = lax.scan(step, d_final, (d_hs, zs, before, mask), reverse=True)
    d_x = d_zs @ weights[: x.shape[-1]].T
    d_weights = jnp.einsum("tbi,tbo->io", jnp.concatenate([x, before[0]], axis=-1), d_zs)
    return d_weights, jnp.sum(d_zs, axis=(0, 1)), d_x, d_states, None


loop.defvjp(_loop_forward, _loop_backward)


# --- cells ----------------------------------------------------------------------------------------


@cache
def _lstm_cell(activation: str, recurrent_activation: str) -> Cell:
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]

    def cell(z: Any, states: Any) -> Any:
        i, f, g, o = jnp.split(z, 4, axis=-1)
        c = gate(f) * states[1] + gate(i) * act(g)
        return gate(o) * act(c), c

    return cell


@cache
def _gru_cell(activation: str, recurrent_activation: str) -> Cell:
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]

    def cell(z: Any, states: Any) -> Any:
        u, r, from_x, from_h = jnp.split(z, 4, axis=-1)
        u = gate(u)
        return (u * states[0] + (1 - u) * act(from_x + gate(r) * from_h),)

    return cell


@cache
def _reset_before_cell(activation: str, recurrent_activation: str, units: int) -> Cell:
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]

    def cell(z: Any, recurrent: Any, states: Any) -> Any:
        (h,) = states
        # Gate by gate: an activation such as softmax looks at all units of its gate.
        u, r = map(gate, jnp.split(z[:, : 2 * units] + h @ recurrent[:, : 2 * units], 2, axis=-1))
        return (u * h + (1 - u) * act(z[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :]),)

    return cell


@cache
def _simple_cell(activation: str) -> Cell:
    act = ACTIVATIONS[activation]
    return lambda z, states: (act(z),)


# --- the kernels ----------------------------------------------------------------------------------


@kernel
def lstm(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
         recurrent_activation: str, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    """(last output, outputs, h, c)."""
    x, mask = _time_first(x, mask, go_backwards)
    weights, bias = _stacked(kernel, recurrent_kernel, bias)
    (h, c), hs = loop(_lstm_cell(activation, recurrent_activation), weights, bias, x, (h, c), mask)
    return (*_outputs(h, hs, mask, return_sequences), h, c)


@kernel
def gru(x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
        recurrent_activation: str, reset_after: bool, return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    """(last output, outputs, h)."""
    x, mask = _time_first(x, mask, go_backwards)
    units = h.shape[-1]
    bias = jnp.zeros((2 if reset_after else 1, 3 * units), x.dtype) if bias is None else jnp.atleast_2d(bias)
    if reset_after:
        (h,), hs = loop(_gru_cell(activation, recurrent_activation), *_gru_weights(kernel, recurrent_kernel, bias),
                        x, (h,), mask)  # fmt: skip
    else:
        cell = _reset_before_cell(activation, recurrent_activation, units)
        cell = partial(lambda cell, z, states: cell(z, recurrent_kernel, states), cell)
        step = lambda states, slices: 2 * (_masked(cell, slices[1], slices[0], states),)  # noqa: E731
        (h,), (hs,) = lax.scan(step, (h,), (x @ kernel + bias[0], mask))
    return (*_outputs(h, hs, mask, return_sequences), h)


@kernel
def simple_rnn(x: Any, h: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, activation: str,
               return_sequences: bool, go_backwards: bool) -> Any:  # fmt: skip
    """(last output, outputs, h)."""
    x, mask = _time_first(x, mask, go_backwards)
    (h,), hs = loop(_simple_cell(activation), *_stacked(kernel, recurrent_kernel, bias), x, (h,), mask)
    return (*_outputs(h, hs, mask, return_sequences), h)


def _stacked(kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any]:
    """Weights and bias of [x, h]."""
    return jnp.concatenate([kernel, recurrent]), jnp.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias


def _gru_weights(kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any]:
    """Weights and bias of [x, h] -> (update, reset, candidate from x, candidate from h)."""
    gates = kernel.shape[1] // 3 * 2
    own, other = kernel[:, gates:], recurrent[:, gates:]
    weights = jnp.block([
        [kernel[:, :gates], own, jnp.zeros_like(own)],
        [recurrent[:, :gates], jnp.zeros_like(other), other],
    ])  # fmt: skip
    inner = bias[1] if len(bias) > 1 else jnp.zeros_like(bias[0])
    return weights, jnp.concatenate([(bias[0] + inner)[:gates], bias[0][gates:], inner[gates:]])


def _known(**arguments: Any) -> bool:
    return arguments["activation"] in ACTIVATIONS and arguments.get("recurrent_activation", "linear") in ACTIVATIONS


lstm.supports = gru.supports = simple_rnn.supports = _known  # type: ignore[attr-defined]


def _time_first(x: Any, mask: Any, backwards: bool) -> tuple[Any, Any]:
    """x (time, batch, in) and mask (time, batch, 1), in the order of processing."""
    x = jnp.swapaxes(x, 0, 1)
    mask = None if mask is None else jnp.swapaxes(mask, 0, 1).astype(bool)[..., None]
    if backwards:
        x, mask = jnp.flip(x, 0), None if mask is None else jnp.flip(mask, 0)
    return x, mask


def _outputs(h: Any, hs: Any, mask: Any, sequences: bool) -> tuple[Any, Any]:
    """The last output and all; the output of a masked step is the one before it, and 0 before the first."""
    if mask is not None:
        started = lax.cummax(mask.astype(hs.dtype), 0)
        hs = hs * started
        h = hs[-1]
    return h, jnp.swapaxes(hs, 0, 1) if sequences else h[:, None]
