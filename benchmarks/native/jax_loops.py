"""Native JAX: parameters in a dictionary, forward pass, loss, gradient, Adam in one jitted, donated step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.models import (
    BETA_1,
    BETA_2,
    BINARY,
    EPSILON,
    LEARNING_RATE,
    SIZES,
    ConvnetSizes,
    Data,
    LSTMSizes,
    MLPSizes,
    Sizes,
    Workload,
    batches,
    glorot,
    shuffled_indices,
)
from benchmarks.runner import Runner

Params = dict[str, Any]
Forward = Callable[[Params, jax.Array, jax.Array | None], jax.Array]


def init_dense(rng: np.random.Generator, name: str, inputs: int, outputs: int) -> Params:
    """Kernel and bias of a dense layer."""
    return {f"{name}_w": jnp.asarray(glorot(rng, (inputs, outputs))), f"{name}_b": jnp.zeros(outputs)}


def init(workload: Workload) -> Params:
    """Initial parameters of a workload."""
    rng = np.random.default_rng(0)
    sizes = SIZES[workload.name]
    if isinstance(sizes, MLPSizes):
        widths = (*workload.input_shape, *sizes.hidden, workload.outputs)
        layers = [init_dense(rng, f"dense{i}", *pair) for i, pair in enumerate(itertools.pairwise(widths))]
        return {name: value for layer in layers for name, value in layer.items()}
    if isinstance(sizes, LSTMSizes):
        e, u = sizes.embedding, sizes.units
        table = rng.uniform(-0.05, 0.05, (sizes.vocabulary, e)).astype(np.float32)
        return {
            "embedding": jnp.asarray(table),
            "lstm_w": jnp.asarray(glorot(rng, (e, 4 * u))),
            "lstm_u": jnp.asarray(glorot(rng, (u, 4 * u))),
            "lstm_b": jnp.zeros(4 * u).at[u : 2 * u].set(1.0),
            **init_dense(rng, "head", u, workload.outputs),
        }
    k, (first, second) = sizes.kernel, sizes.filters
    side = (workload.input_shape[0] - 2 * (k - 1)) // sizes.pool
    return {
        "conv0_w": jnp.asarray(glorot(rng, (k, k, 1, first))),
        "conv0_b": jnp.zeros(first),
        "conv1_w": jnp.asarray(glorot(rng, (k, k, first, second))),
        "conv1_b": jnp.zeros(second),
        **init_dense(rng, "hidden", side * side * second, sizes.hidden),
        **init_dense(rng, "head", sizes.hidden, workload.outputs),
    }


def mlp(depth: int) -> Forward:
    """Forward pass of an MLP with `depth` hidden layers, to logits."""

    def forward(p: Params, x: jax.Array, key: jax.Array | None) -> jax.Array:
        for i in range(depth):
            x = jax.nn.relu(x @ p[f"dense{i}_w"] + p[f"dense{i}_b"])
        return x @ p[f"dense{depth}_w"] + p[f"dense{depth}_b"]

    return forward


def convnet(sizes: ConvnetSizes) -> Forward:
    """Forward pass of the convnet on (batch, height, width, channels), to logits; a key means training."""

    def conv(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b

    def dropout(x: jax.Array, rate: float, key: jax.Array) -> jax.Array:
        return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

    def forward(p: Params, x: jax.Array, key: jax.Array | None) -> jax.Array:
        x = jax.nn.relu(conv(x, p["conv0_w"], p["conv0_b"]))
        x = jax.nn.relu(conv(x, p["conv1_w"], p["conv1_b"]))
        window = (1, sizes.pool, sizes.pool, 1)
        x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        keys = None if key is None else jax.random.split(key)
        x = x if keys is None else dropout(x, sizes.dropout[0], keys[0])
        x = jax.nn.relu(x.reshape(len(x), -1) @ p["hidden_w"] + p["hidden_b"])
        x = x if keys is None else dropout(x, sizes.dropout[1], keys[1])
        return x @ p["head_w"] + p["head_b"]

    return forward


def text_lstm(sizes: LSTMSizes) -> Forward:
    """Forward pass of the text model on tokens (batch, length), to logits.

    The inputs are projected inside the scan: on XLA's CPU that takes two thirds of the time of one large
    product before it.
    """

    def forward(p: Params, tokens: jax.Array, key: jax.Array | None) -> jax.Array:

        def cell(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[Any, None]:
            h, c = carry
            i, f, g, o = jnp.split(x @ p["lstm_w"] + h @ p["lstm_u"] + p["lstm_b"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((tokens.shape[0], sizes.units))
        (h, _), _ = lax.scan(cell, (zeros, zeros), p["embedding"][tokens.T])
        return h @ p["head_w"] + p["head_b"]

    return forward


def forward_of(sizes: Sizes) -> Forward:
    """The forward pass of a workload's sizes."""
    if isinstance(sizes, MLPSizes):
        return mlp(len(sizes.hidden))
    return convnet(sizes) if isinstance(sizes, ConvnetSizes) else text_lstm(sizes)


def sparse_crossentropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy of integer labels (batch,)."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


def binary_crossentropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy of 0/1 labels (batch, 1)."""
    return (jax.nn.softplus(logits) - y * logits).mean()


def adam(p: Params, g: Params, m: Params, v: Params, t: jax.Array) -> tuple[Params, Params, Params]:
    """One Adam update; `t` counts from 1."""
    rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, g)
    p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), p, m, v)
    return p, m, v


def train_step(forward: Forward, workload: Workload) -> Any:
    """The jitted step (state, x, y) -> (state, loss), with the state donated."""
    loss_of = binary_crossentropy if workload.loss == BINARY else sparse_crossentropy
    random = isinstance(SIZES[workload.name], ConvnetSizes)

    def train(state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, jax.Array]:
        p, m, v, t, key = state
        t = t + 1
        use = jax.random.fold_in(key, t.astype(jnp.int32)) if random else None
        loss, g = jax.value_and_grad(lambda p: loss_of(forward(p, x, use), y))(p)
        return (*adam(p, g, m, v, t), t, key), loss

    return jax.jit(train, donate_argnums=0)


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    forward = forward_of(SIZES[workload.name])
    train = train_step(forward, workload)
    activation = jax.nn.sigmoid if workload.loss == BINARY else jax.nn.softmax
    predict = jax.jit(lambda p, x: activation(forward(p, x, None)))
    p = init(workload)
    m, v = (jax.tree.map(jnp.zeros_like, p) for _ in range(2))
    state = (p, m, v, jnp.zeros(()), jax.random.key(0))
    host = batches(workload, data)
    host_batches = itertools.cycle(host)
    resident = itertools.cycle([(jnp.asarray(x), jnp.asarray(y)) for x, y in host])
    sample = data.x[:1]
    rng = np.random.default_rng(0)

    def step_on(x: Any, y: Any) -> jax.Array:
        nonlocal state
        state, loss = train(state, x, y)
        return loss

    def epoch() -> jax.Array:
        losses = [step_on(data.x[index], data.y[index]) for index in shuffled_indices(workload, rng)]
        return losses[-1]

    return Runner(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(p)),
        step=lambda: step_on(*next(resident)),
        train_on_batch=lambda: float(step_on(*next(host_batches))),
        epoch=epoch,
        predict_one=lambda: np.asarray(predict(state[0], sample)),
        wait=jax.device_get,
    )
