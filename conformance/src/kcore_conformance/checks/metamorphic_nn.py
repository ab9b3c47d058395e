"""Laws of convolutions, pooling, activations, losses and normalisation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from kcore.ops.cases import Ints
from kcore_conformance.checks.drawing import Recorded, law
from kcore_conformance.compare import Mismatch, same

CLOSE = 3e-5
LAST, FIRST = "channels_last", "channels_first"


def _conv(op: Any, x: np.ndarray, kernel: np.ndarray, padding: str = "valid", strides: Any = (1, 1),
          dilation: Any = (1, 1), data_format: str = LAST, groups: int = 1) -> np.ndarray:  # fmt: skip
    return op.conv(np.ascontiguousarray(x), np.ascontiguousarray(kernel), strides, padding, dilation, data_format,
                   groups)  # fmt: skip


def _inner(x: np.ndarray, y: np.ndarray) -> float:
    return float((x.astype("float64") * y.astype("float64")).sum())


def _equal_numbers(left: float, right: float, what: str) -> None:
    if abs(left - right) > 1e-4 * max(1.0, abs(left)):
        raise Mismatch(f"{what}: {left} and {right}")


# --- convolution ------------------------------------------------------------------------------------------------------


@law("conv")
def is_linear_in_both_operands(op: Any, d: Recorded) -> None:
    x, y, k, j = d.numbers(1, 4, 4, 2), d.numbers(1, 4, 4, 2), d.numbers(2, 3, 2, 2), d.numbers(2, 3, 2, 2)
    padding = d.choice(("valid", "same"))
    same(_conv(op, x + 2 * y, k, padding), _conv(op, x, k, padding) + 2 * _conv(op, y, k, padding), "in x", CLOSE)
    same(_conv(op, x, k + j, padding), _conv(op, x, k, padding) + _conv(op, x, j, padding), "in the kernel", CLOSE)


@law("conv", examples=12)
def a_single_one_in_the_kernel_is_a_shift(op: Any, d: Recorded) -> None:
    """Padding "same" puts (k - 1) // 2 zeros before, the rest after; the kernel is not flipped."""
    x = d.numbers(1, 5, 4, 1)
    size = (d.integer(1, 4), d.integer(1, 3))
    at = (d.integer(0, size[0] - 1), d.integer(0, size[1] - 1))
    kernel = np.zeros((*size, 1, 1), "float32")
    kernel[at] = 1
    before = [(n - 1) // 2 for n in size]
    wide = np.pad(x[0, :, :, 0], [(b, n - 1 - b) for n, b in zip(size, before, strict=True)])
    want = wide[at[0] : at[0] + 5, at[1] : at[1] + 4]
    same(_conv(op, x, kernel, "same")[0, :, :, 0], want, f"one at {at} of {size}", 1e-6)


@law("conv")
def formats_differ_by_a_transposition(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(2, 4, 5, 2), d.numbers(2, 3, 2, 3)
    padding, strides = d.choice(("valid", "same")), d.choice(((1, 1), (2, 2), (2, 1)))
    last = _conv(op, x, kernel, padding, strides)
    first = _conv(op, x.transpose(0, 3, 1, 2), kernel, padding, strides, data_format=FIRST)
    same(first.transpose(0, 2, 3, 1), last, "channels_first", CLOSE)


@law("conv")
def dilation_is_a_kernel_with_zeros_between(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(1, 6, 6, 1), d.numbers(2, 3, 1, 2)
    padding = d.choice(("valid", "same"))
    wide = np.zeros((3, 5, 1, 2), "float32")
    wide[::2, ::2] = kernel
    same(_conv(op, x, kernel, padding, dilation=(2, 2)), _conv(op, x, wide, padding), "dilation 2", CLOSE)


@law("conv")
def strides_leave_positions_out(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(1, 6, 5, 1), d.numbers(2, 2, 1, 2)
    same(_conv(op, x, kernel, strides=(2, 3)), _conv(op, x, kernel)[:, ::2, ::3], "strides (2, 3)", CLOSE)


@law("conv")
def groups_are_convolutions_side_by_side(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(1, 4, 4, 4), d.numbers(2, 2, 2, 6)
    parts = [_conv(op, x[..., 2 * i : 2 * i + 2], kernel[..., 3 * i : 3 * i + 3]) for i in range(2)]
    same(_conv(op, x, kernel, groups=2), np.concatenate(parts, -1), "two groups", CLOSE)


@law("conv")
def a_window_of_one_is_a_product(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(2, 3, 3, 2), d.numbers(1, 1, 2, 3)
    same(_conv(op, x, kernel), op.dot(x, kernel[0, 0]), "1 x 1 kernel", CLOSE)


@law("conv")
def every_rank_is_the_same_convolution(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(2, 5, 2), d.numbers(3, 2, 3)
    padding, strides = d.choice(("valid", "same")), d.integer(1, 2)
    line = op.conv(x, kernel, (strides,), padding, (1,), LAST, 1)
    flat = _conv(op, x[:, :, None], kernel[:, None], padding, (strides, 1))
    same(line, flat[:, :, 0], "rank 1 as rank 2", CLOSE)
    solid = op.conv(np.ascontiguousarray(x[:, :, None, None]), np.ascontiguousarray(kernel[:, None, None]),
                    (strides, 1, 1), padding, (1, 1, 1), LAST, 1)  # fmt: skip
    same(line, solid[:, :, 0, 0], "rank 1 as rank 3", CLOSE)


@law("conv", examples=12)
def transposed_and_kernel_gradient_are_adjoint(op: Any, d: Recorded) -> None:
    """<conv(x, k), g> = <x, conv_transpose(g, k)> = <k, conv_kernel_grad(x, g)>."""
    x, kernel = d.numbers(1, 5, 4, 2), d.numbers(3, 2, 2, 3)
    padding, strides = d.choice(("valid", "same")), d.choice(((1, 1), (2, 2), (2, 1)))
    data_format, dilation = d.choice((LAST, FIRST)), d.choice(((1, 1), (2, 1))) if strides == (1, 1) else (1, 1)
    x = x if data_format == LAST else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    y = _conv(op, x, kernel, padding, strides, dilation, data_format)
    g = (np.arange(y.size, dtype="float32").reshape(y.shape) % 7 - 3) / 4
    rest = (strides, padding, dilation, data_format, 1)
    want = _inner(y, g)
    _equal_numbers(want, _inner(op.conv_transpose(g, kernel, x.shape, *rest), x), "<conv(x), g>, <x, transposed(g)>")
    back = op.conv_kernel_grad(x, g, kernel.shape, *rest)
    _equal_numbers(want, _inner(back, kernel), "<conv(x), g>, <kernel, conv_kernel_grad(x, g)>")


@law("local_conv", 3)
def equal_kernels_make_a_convolution(op: Any, d: Recorded) -> None:
    x, kernel = d.numbers(2, 4, 3, 2), d.numbers(2, 2, 2, 3)
    everywhere = np.broadcast_to(kernel.reshape(1, -1, 3), (6, 8, 3)).copy()
    got = op.local_conv(x, everywhere, (2, 2), (1, 1), (3, 2), LAST)
    same(got, _conv(op, x, kernel), "the same kernel at every place", CLOSE)


# --- pooling ----------------------------------------------------------------------------------------------------------


def _windows(x: np.ndarray, size: int, stride: int, padding: str) -> Any:
    """The values under each window of (1, rows, columns, 1), without padding, by row and column."""
    rows = []
    for n in x.shape[1:3]:
        count = -(-n // stride) if padding == "same" else (n - size) // stride + 1
        total = max((count - 1) * stride + size - n, 0) if padding == "same" else 0
        starts = [i * stride - total // 2 for i in range(count)]
        rows.append([slice(max(s, 0), min(s + size, n)) for s in starts])
    return [[x[0, a, b, 0] for b in rows[1]] for a in rows[0]]


@law("pooling", examples=12)
def looks_at_the_windows_alone(op: Any, d: Recorded) -> None:
    """By loops over windows, from the definition; padding counts neither for the maximum nor for the mean."""
    x = d.numbers(1, 5, 4, 1) - np.float32(3)
    size, stride, padding = d.integer(1, 3), d.integer(1, 2), d.choice(("valid", "same"))
    geometry = ((size, size), (stride, stride), padding, LAST)
    parts = _windows(x, size, stride, padding)
    most = np.asarray([[w.max() for w in row] for row in parts], "float32")
    mean = np.asarray([[w.mean(dtype="float64") for w in row] for row in parts], "float32")
    same(op.max_pool(x, *geometry)[0, :, :, 0], most, "max_pool", 1e-6)
    same(op.avg_pool(x, *geometry)[0, :, :, 0], mean, "avg_pool", CLOSE)


@law("pooling")
def formats_of_pooling_differ_by_a_transposition(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 4, 5, 2)
    padding = d.choice(("valid", "same"))
    turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    for name in ("max_pool", "avg_pool"):
        pool = getattr(op, name)
        first = pool(turned, (2, 3), (2, 1), padding, FIRST)
        same(first.transpose(0, 2, 3, 1), pool(x, (2, 3), (2, 1), padding, LAST), name, CLOSE)


@law("pooling")
def gradients_of_pooling_keep_the_sum(op: Any, d: Recorded) -> None:
    """Each window's gradient is handed on whole; the average's is the adjoint of the average."""
    x, padding = d.numbers(1, 5, 4, 2), d.choice(("valid", "same"))
    geometry = ((2, 2), (2, 2), padding, LAST)
    y = op.avg_pool(x, *geometry)
    g = (np.arange(y.size, dtype="float32").reshape(y.shape) % 5 - 1) / 2
    _equal_numbers(_inner(y, g), _inner(op.avg_pool_grad(g, x.shape, *geometry), x), "<avg_pool(x), g>, <x, grad(g)>")
    spread = op.max_pool_grad(g, x, *geometry)
    _equal_numbers(float(g.sum()), float(spread.sum()), "sums before and after max_pool_grad")


@law("resize", 3)
def nearest_repeats_elements(op: Any, d: Recorded) -> None:
    x, factors = d.numbers(1, 2, 3, 2), (d.integer(1, 3), d.integer(1, 2))
    want = x.repeat(factors[0], 1).repeat(factors[1], 2)
    same(op.resize(x, factors, LAST, "nearest"), want, "nearest", 1e-7)
    flat = np.full((1, 3, 2, 1), 1.5, "float32")
    same(op.resize(flat, (2, 3), LAST, "bilinear"), np.full((1, 6, 6, 1), 1.5, "float32"), "bilinear of a constant")


# --- activations, losses, normalisation -------------------------------------------------------------------------------


@law("softmax", 3)
def is_a_distribution_without_an_origin(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3, 2, low=-20, high=20)
    axis = d.integer(-3, 2)
    p = op.softmax(x, axis)
    same(op.sum(p, axis), np.ones(np.delete(x.shape, axis), "float32"), "sum", CLOSE)
    same(op.softmax(x + np.float32(50), axis), p, "softmax(x + 50)", 1e-4)
    same(op.exp(op.log_softmax(x, axis)), p, "exp(log_softmax)", CLOSE)
    far = x + np.float32(512)
    same(op.softmax(far, axis), op.softmax(far - np.float32(512), axis), "softmax far out", 1e-3)
    wide = x * np.float32(10)
    log_p = op.log_softmax(wide, axis)
    same(log_p - wide, np.broadcast_to((log_p - wide).mean(axis, keepdims=True), x.shape), "log_softmax(x) - x", 1e-4)
    order = np.take(p, 0, axis) >= np.take(p, 1, axis)
    if (order != (np.take(x, 0, axis) >= np.take(x, 1, axis))).any() and (abs(p) > 1e-6).all():
        raise Mismatch("softmax changes the order of its operands")


@law("logsumexp", 3)
def lies_between_the_maximum_and_a_little_more(op: Any, d: Recorded) -> None:
    x = d.numbers(2, 3, low=-80, high=80)
    axis = d.integer(-2, 1)
    got, most = op.logsumexp(x, axis), op.max(x, axis)
    if (got < most - 1e-4).any() or (got > most + math.log(x.shape[axis]) + 1e-4).any():
        raise Mismatch(f"logsumexp {got} for the maxima {most} of {x.shape[axis]}")
    same(op.logsumexp(x + np.float32(100), axis), got + np.float32(100), "logsumexp(x + 100)", CLOSE)


@law("crossentropy", 3)
def is_minus_the_logarithm_of_softmax(op: Any, d: Recorded) -> None:
    logits, labels = d.numbers(3, 4, low=-8, high=8), d.array((3,), "int32", Ints(0, 3))
    wide = logits.astype("float64")
    log_p = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    want = -log_p[range(3), labels].astype("float32")
    same(op.softmax_crossentropy(np.eye(4, dtype="float32")[labels], logits, -1), want, "with one-hot targets", CLOSE)
    same(op.sparse_softmax_crossentropy(labels, logits), want, "with classes", CLOSE)
    none = np.asarray([-1, labels[1], 4], "int32")
    kept = np.asarray([0, 1, 0], "float32")
    same(op.sparse_softmax_crossentropy(none, logits), want * kept, "labels that are no class cost nothing", CLOSE)


@law("crossentropy", 3)
def of_two_classes_is_symmetric(op: Any, d: Recorded) -> None:
    t, x = d.numbers(2, 3, low=0, high=1), d.numbers(2, 3, low=-8, high=8)
    same(op.sigmoid_crossentropy(1 - t, -x), op.sigmoid_crossentropy(t, x), "classes exchanged", CLOSE)
    p = 1 / (1 + np.exp(-x.astype("float64")))
    want = -(t * np.log(p) + (1 - t) * np.log(1 - p)).astype("float32")
    same(op.sigmoid_crossentropy(t, x), want, "from its definition", CLOSE)


@law("batch_norm", 3)
def forgets_scale_and_shift_of_channels(op: Any, d: Recorded) -> None:
    rng = np.random.default_rng(d.integer(0, 99))
    x = rng.standard_normal((4, 3, 2)).astype("float32")
    axis = d.choice((1, 2))
    along = [-1 if i == axis else 1 for i in range(3)]
    n = x.shape[axis]
    gamma, beta = rng.uniform(0.5, 2, n).astype("float32"), rng.standard_normal(n).astype("float32")
    y, mean, var = op.batch_norm(x, gamma, beta, axis, 1e-7)
    others = tuple(i for i in range(3) if i != axis)
    same(y.mean(others), beta, "mean of the result", 1e-4)
    same(y.std(others), gamma, "deviation of the result", 1e-3)
    same(mean, x.mean(others), "the mean that is told", CLOSE)
    same(var, x.var(others), "the variance that is told, of the population", CLOSE)
    scale = np.linspace(1, 3, n, dtype="float32").reshape(along)
    same(op.batch_norm(x * scale + scale, gamma, beta, axis, 1e-7)[0], y, "after scaling and shifting x", 1e-3)


@law("bias_add", 3)
def one_bias_per_channel(op: Any, d: Recorded) -> None:
    x, bias = d.numbers(2, 3, 2, 3), d.numbers(3)
    same(op.bias_add(x, bias, LAST), x + bias, "channels_last", 1e-6)
    same(op.bias_add(x, bias, FIRST), x + bias.reshape(1, 3, 1, 1), "channels_first", 1e-6)


@law("batches", 3)
def samples_do_not_see_each_other(op: Any, d: Recorded) -> None:
    """Row i of the results for a batch is the result for row i alone."""
    x, kernel = d.numbers(3, 4, 4, 2), d.numbers(2, 2, 2, 2)
    i = d.integer(0, 2)
    alone = np.ascontiguousarray(x[i : i + 1])
    pool = ((2, 2), (2, 2), "same", LAST)
    for name, run in {
        "conv": lambda v: _conv(op, v, kernel, "same"),
        "max_pool": lambda v: op.max_pool(v, *pool),
        "avg_pool": lambda v: op.avg_pool(v, *pool),
        "softmax": lambda v: op.softmax(v, -1),
        "dot": lambda v: op.dot(v, kernel[0, 0]),
        "l2_normalize": lambda v: op.l2_normalize(v, 1),
        "resize": lambda v: op.resize(v, (2, 2), LAST, "bilinear"),
    }.items():
        same(run(x)[i : i + 1], run(alone), f"{name}, row {i}", CLOSE)


# --- CTC --------------------------------------------------------------------------------------------------------------


def _alignments(path: tuple[int, ...], blank: int) -> list[int]:
    return [c for c, _ in itertools.groupby(path) if c != blank]


@law("ctc_cost", 3)
def sums_over_all_alignments(op: Any, d: Recorded) -> None:
    """By enumerating every path through the classes."""
    rng = np.random.default_rng(d.integer(0, 99))
    steps, classes = d.integer(3, 4), 3
    labels = [d.choice((0, 1)) for _ in range(d.integer(1, 2))]
    if len(labels) + sum(a == b for a, b in itertools.pairwise(labels)) > steps:
        return
    p = rng.dirichlet(np.ones(classes), (1, 5)).astype("float32")
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        if _alignments(path, classes - 1) == labels:
            total += math.prod(float(p[0, t, c]) for t, c in enumerate(path))
    padded = np.asarray([[*labels, 0, 0][:2]], "int32")
    cost = op.ctc_cost(padded, p, np.asarray([steps], "int32"), np.asarray([len(labels)], "int32"))
    same(cost.reshape(()), np.float32(-math.log(total)), f"labels {labels} in {steps} steps", 1e-4)
