"""Level 5: several ops in one compiled function with its gradient, against the reference.

Compilers fuse neighbours, and may compute an operand again with another rounding: a gradient rule that compares a
stored result with its operand (the winner of a maximum) then loses what no op shows alone. Chains of ops are drawn by
chance, always the same ones; of a failing chain the shortest failing part is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kcore import backend as K
from kcore.backend.active import backend_scope
from kcore.ops import indexing, joining, nn, normalization, pool, reduction, shaping
from kcore_conformance.compare import Mismatch, same
from kcore_conformance.registry import check

#: Images (batch, height, width, channels): large enough for compilers to vectorise.
SHAPE = (3, 8, 8, 5)
_CHAINS, _LENGTH = 6, 5

Step = Callable[[Any], Any]


def _first(step: Step) -> Step:
    """The step on images with their channels first."""
    return lambda x: shaping.transpose(step(shaping.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))


def _batch_norm(axis: int) -> Step:
    def step(x: Any) -> Any:
        n = int(x.shape[axis])
        gamma, beta = np.linspace(0.5, 1.5, n, dtype="float32"), np.linspace(-0.3, 0.3, n, dtype="float32")
        return normalization.batch_norm(x, gamma, beta, axis, 1e-3)[0]

    return step


def _convolution(x: Any) -> Any:
    channels = int(x.shape[-1])
    kernel = np.sin(np.arange(9 * channels * 4, dtype="float32") * 1.7).reshape(3, 3, channels, 4) * 0.4
    return K.conv2d(x, kernel, padding="same")


def _pooling(op: Any, size: int, stride: int, padding: str, data_format: str = "channels_last") -> Step:
    return lambda x: op(x, size, stride, padding if int(min(x.shape[1:])) >= size else "same", data_format)


STEPS: dict[str, Step] = {
    "batch_norm": _batch_norm(3),
    "batch_norm, channels first": _first(_batch_norm(1)),
    "conv": _convolution,
    "max_pool": _pooling(pool.max_pool, 2, 2, "valid"),
    "max_pool, overlapping": _pooling(pool.max_pool, 3, 2, "same"),
    "max_pool, channels first": _first(_pooling(pool.max_pool, 3, 1, "same", "channels_first")),
    "avg_pool": _pooling(pool.avg_pool, 2, 1, "same"),
    "relu": lambda x: nn.relu(x + 0.05),
    "leaky relu": lambda x: nn.relu(x - 0.05, alpha=0.3),
    "elu": nn.elu,
    "tanh": K.tanh,
    "softplus": K.softplus,
    "softmax": lambda x: nn.softmax(x, axis=-1) * 3.0,
    "log_softmax": lambda x: nn.log_softmax(x, axis=2),
    "l2_normalize": lambda x: nn.l2_normalize(x, axis=-1) * 2.0,
    "over the maximum": lambda x: x / (0.5 + reduction.max_(K.abs(x), axis=[1, 2], keepdims=True)),
    "minus the minimum": lambda x: x - reduction.min_(x, axis=-1, keepdims=True),
    "standardised": lambda x: (x - K.mean(x, axis=0, keepdims=True)) / (0.1 + K.std(x, axis=[1, 2], keepdims=True)),
    "maximum": lambda x: K.maximum(x, 0.6 * shaping.reverse(x, 2)),
    "clip": lambda x: K.clip(x, -1.3, 1.7),
    "where": lambda x: K.switch(K.greater(x, K.mean(x)), x, 0.2 * x),
    "top_k": lambda x: indexing.top_k(x, max(1, int(x.shape[-1]) - 1))[0],
    "cumsum": lambda x: reduction.cumsum(x, axis=1) * 0.3,
    "concatenate": lambda x: joining.concatenate([K.square(x) * 0.3, x], -1),
    "strided_slice": lambda x: shaping.strided_slice(x, (slice(None), slice(None, None, -1))),
    "logsumexp": lambda x: x - nn.logsumexp(x, axis=[1, 2], keepdims=True),
}


@check(5, "fusion")
def max_pooling_of_what_is_computed_again(backend: Any) -> None:
    for chain in (("batch_norm", "max_pool, overlapping"), ("batch_norm, channels first", "max_pool"),
                  ("batch_norm", "max_pool, channels first", "conv"), ("standardised", "max_pool"),
                  ("softmax", "max_pool, overlapping")):  # fmt: skip
        _compare(backend, chain)


@check(5, "fusion")
def chains_of_ops_and_their_gradients(backend: Any) -> None:
    rng = np.random.default_rng(20)
    names = sorted(STEPS)
    for _ in range(_CHAINS):
        chain = tuple(rng.choice(names, _LENGTH))
        try:
            _compare(backend, chain)
        except Mismatch as found:
            raise _shortest(backend, chain, found) from None


def _shortest(backend: Any, chain: Sequence[str], found: Mismatch) -> Mismatch:
    """The finding of the chain with every step left out that it does not need."""
    for i in range(len(chain)):
        shorter = (*chain[:i], *chain[i + 1 :])
        try:
            _compare(backend, shorter)
        except Mismatch as smaller:
            return _shortest(backend, shorter, smaller)
    return found


def _compare(backend: Any, chain: Sequence[str]) -> None:
    image = np.random.default_rng(len(chain)).normal(size=SHAPE).astype("float32")
    got = _value_and_gradients(chain, image, backend.name)
    want = _value_and_gradients(chain, image, "numpy")
    # The weight's gradient is a sum over all elements, whose parts may cancel.
    sizes = [np.abs(want[0]).max(), np.abs(want[1]).max(), np.abs(want[1] * image).sum()]
    for what, g, w, size, tolerance in zip(("value", "gradient by the images", "gradient by the weight"), got, want,
                                           sizes, (1e-4, 1e-3, 1e-4), strict=True):  # fmt: skip
        same(g / (size + 1e-3), w / (size + 1e-3), f"{' -> '.join(chain)}: {what}", tolerance)


def _value_and_gradients(chain: Sequence[str], image: np.ndarray, name: str) -> list[np.ndarray]:
    """Of one function: the chain's result, and gradients by its images and by a variable in front."""
    with backend_scope(name):
        x, weight = K.placeholder(SHAPE), K.variable(1.1)
        y = x * weight
        for step in chain:
            y = STEPS[step](y)
        weights = np.cos(np.arange(np.prod(y.shape), dtype="float32") * 0.7).reshape(y.shape)
        grads = K.gradients(K.sum(y * weights), [x, weight])
        return [np.asarray(a) for a in K.function([x], [y, *grads])([image])]
