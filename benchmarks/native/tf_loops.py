"""Native TensorFlow, without Keras: `tf.Variable`, `tf.nn`, `GradientTape` and Adam in one `tf.function`.

XLA is off, TensorFlow's own default. Tuned (run.py's `--native-tuned`), the loops that gain from XLA on a CPU use it;
the convnet would take twice as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

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
    native_tuned,
    shuffled_indices,
)
from benchmarks.runner import Runner

GAIN_FROM_XLA = ("tiny_mlp", "lstm")

Params = dict[str, tf.Variable]
Forward = Callable[[Params, tf.Tensor, bool], tf.Tensor]


def init_dense(rng: np.random.Generator, name: str, inputs: int, outputs: int) -> dict[str, np.ndarray]:
    """Kernel and bias of a dense layer."""
    return {f"{name}_w": glorot(rng, (inputs, outputs)), f"{name}_b": np.zeros(outputs, np.float32)}


def initial_values(workload: Workload) -> dict[str, np.ndarray]:
    """Initial parameters of a workload, on the host."""
    rng = np.random.default_rng(0)
    sizes = SIZES[workload.name]
    if isinstance(sizes, MLPSizes):
        widths = (*workload.input_shape, *sizes.hidden, workload.outputs)
        layers = [init_dense(rng, f"dense{i}", *pair) for i, pair in enumerate(itertools.pairwise(widths))]
        return {name: value for layer in layers for name, value in layer.items()}
    if isinstance(sizes, LSTMSizes):
        e, u = sizes.embedding, sizes.units
        bias = np.zeros(4 * u, np.float32)
        bias[u : 2 * u] = 1.0
        return {
            "embedding": rng.uniform(-0.05, 0.05, (sizes.vocabulary, e)).astype(np.float32),
            "lstm_w": glorot(rng, (e, 4 * u)),
            "lstm_u": glorot(rng, (u, 4 * u)),
            "lstm_b": bias,
            **init_dense(rng, "head", u, workload.outputs),
        }
    k, (first, second) = sizes.kernel, sizes.filters
    side = (workload.input_shape[0] - 2 * (k - 1)) // sizes.pool
    return {
        "conv0_w": glorot(rng, (k, k, 1, first)),
        "conv0_b": np.zeros(first, np.float32),
        "conv1_w": glorot(rng, (k, k, first, second)),
        "conv1_b": np.zeros(second, np.float32),
        **init_dense(rng, "hidden", side * side * second, sizes.hidden),
        **init_dense(rng, "head", sizes.hidden, workload.outputs),
    }


def dense(p: Params, name: str, x: tf.Tensor) -> tf.Tensor:
    """x @ kernel + bias."""
    return tf.nn.bias_add(tf.matmul(x, p[f"{name}_w"]), p[f"{name}_b"])


def mlp(depth: int) -> Forward:
    """Forward pass of an MLP with `depth` hidden layers, to logits."""

    def forward(p: Params, x: tf.Tensor, training: bool) -> tf.Tensor:
        for i in range(depth):
            x = tf.nn.relu(dense(p, f"dense{i}", x))
        return dense(p, f"dense{depth}", x)

    return forward


def convnet(sizes: ConvnetSizes) -> Forward:
    """Forward pass of the convnet on (batch, height, width, channels), to logits."""

    def forward(p: Params, x: tf.Tensor, training: bool) -> tf.Tensor:
        for name in ("conv0", "conv1"):
            x = tf.nn.conv2d(x, p[f"{name}_w"], strides=1, padding="VALID")
            x = tf.nn.relu(tf.nn.bias_add(x, p[f"{name}_b"]))
        x = tf.nn.max_pool2d(x, sizes.pool, sizes.pool, "VALID")
        x = tf.nn.dropout(x, sizes.dropout[0]) if training else x
        x = tf.nn.relu(dense(p, "hidden", tf.reshape(x, (x.shape[0], -1))))
        x = tf.nn.dropout(x, sizes.dropout[1]) if training else x
        return dense(p, "head", x)

    return forward


def text_lstm(sizes: LSTMSizes) -> Forward:
    """Forward pass of the text model on tokens (batch, length), to logits; one product projects inputs."""

    def forward(p: Params, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        x = tf.gather(p["embedding"], tf.transpose(tokens))
        x = tf.nn.bias_add(tf.tensordot(x, p["lstm_w"], 1), p["lstm_b"])
        steps = tf.TensorArray(tf.float32, x.shape[0], element_shape=x.shape[1:]).unstack(x)
        recurrent = tf.convert_to_tensor(p["lstm_u"])

        def cell(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            i, f, g, o = tf.split(steps.read(t) + tf.matmul(h, recurrent), 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return t + 1, tf.sigmoid(o) * tf.tanh(c), c

        zeros, length = tf.zeros((tokens.shape[0], sizes.units)), tokens.shape[1]
        _, h, _ = tf.while_loop(
            lambda t, *_: t < length, cell, (tf.constant(0), zeros, zeros), maximum_iterations=length
        )
        return dense(p, "head", h)

    return forward


def forward_of(sizes: Sizes) -> Forward:
    """The forward pass of a workload's sizes."""
    if isinstance(sizes, MLPSizes):
        return mlp(len(sizes.hidden))
    return convnet(sizes) if isinstance(sizes, ConvnetSizes) else text_lstm(sizes)


def loss_of(workload: Workload, logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of the logits."""
    if workload.loss == BINARY:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, logits))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))


class Adam:
    """Adam through TensorFlow's own fused kernel, one call a variable."""

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        self.variables = variables
        self.m = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self.v = [tf.Variable(tf.zeros_like(v)) for v in variables]
        self.powers = (tf.Variable(BETA_1), tf.Variable(BETA_2))

    def apply(self, gradients: Sequence[Any]) -> None:
        """Update every variable; sparse gradients are summed up first, as dense Adam wants."""
        beta1_power, beta2_power = (power.read_value() for power in self.powers)
        for variable, m, v, gradient in zip(self.variables, self.m, self.v, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=beta1_power, beta2_power=beta2_power,
                lr=LEARNING_RATE, beta1=BETA_1, beta2=BETA_2, epsilon=EPSILON,
                grad=tf.convert_to_tensor(gradient),
            )  # fmt: skip
        self.powers[0].assign(beta1_power * BETA_1)
        self.powers[1].assign(beta2_power * BETA_2)


def xla(workload: Workload) -> bool | None:
    """Whether to compile with XLA; None leaves it to TensorFlow."""
    return True if native_tuned() and workload.name in GAIN_FROM_XLA else None


def train_step(forward: Forward, workload: Workload, p: Params) -> Any:
    """The compiled step (x, y) -> loss, which updates the variables in place."""
    variables = list(p.values())
    optimizer = Adam(variables)
    label = tf.float32 if workload.loss == BINARY else tf.int32
    label_shape = (workload.batch, 1) if workload.loss == BINARY else (workload.batch,)
    signature = [
        tf.TensorSpec((workload.batch, *workload.input_shape), workload.input_dtype),
        tf.TensorSpec(label_shape, label),
    ]

    @tf.function(input_signature=signature, jit_compile=xla(workload))
    def train(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(workload, forward(p, x, True), y)
        optimizer.apply(tape.gradient(loss, variables))
        return loss

    return train


def predict_function(forward: Forward, workload: Workload, p: Params) -> Any:
    """The compiled forward pass of one sample, to probabilities."""
    signature = [tf.TensorSpec((1, *workload.input_shape), workload.input_dtype)]

    @tf.function(input_signature=signature, jit_compile=xla(workload))
    def predict(x: tf.Tensor) -> tf.Tensor:
        logits = forward(p, x, False)
        return tf.sigmoid(logits) if workload.loss == BINARY else tf.nn.softmax(logits)

    return predict


def make(workload: Workload, data: Data) -> Runner:
    """The workload, ready to be timed."""
    tf.random.set_seed(0)
    forward = forward_of(SIZES[workload.name])
    p = {name: tf.Variable(value) for name, value in initial_values(workload).items()}
    train = train_step(forward, workload, p)
    predict = predict_function(forward, workload, p)
    host = batches(workload, data)
    host_batches = itertools.cycle(host)
    resident = itertools.cycle([(tf.constant(x), tf.constant(y)) for x, y in host])
    sample = data.x[:1]
    rng = np.random.default_rng(0)

    def epoch() -> Any:
        losses = [
            train(tf.constant(data.x[index]), tf.constant(data.y[index])) for index in shuffled_indices(workload, rng)
        ]
        return losses[-1]

    def train_on_batch() -> float:
        x, y = next(host_batches)
        return float(train(tf.constant(x), tf.constant(y)))

    return Runner(
        parameters=sum(int(np.prod(v.shape)) for v in p.values()),
        step=lambda: train(*next(resident)),
        train_on_batch=train_on_batch,
        epoch=epoch,
        predict_one=lambda: predict(tf.constant(sample)).numpy(),
        wait=lambda value: value.numpy() if tf.is_tensor(value) else value,
    )
