"""Wrong arguments are refused when the graph is built, with what was expected and what came."""

from __future__ import annotations

from typing import Any

import pytest

from kcore.errors import ArgumentError, DTypeError, GraphError, ShapeError, UnknownNameError
from kcore.graph.function import placeholder
from kcore.ops import activation, crossentropy, elementwise, joining, linalg, nn, optimizer, products, shaping
from kcore.ops import conv as convolution
from kcore.ops import normalization as norm
from kcore.ops import pool as pooling
from kcore.ops import recurrent as rnn
from kcore.ops.spec import primitive


def t(*shape: int | None, dtype: str = "float32") -> Any:
    return placeholder(shape, dtype)


def _conv(x: Any, kernel: Any, **changed: Any) -> Any:
    settings = {"strides": 1, "padding": "valid", "dilation": 1, "data_format": "channels_last", **changed}
    return convolution.conv(x, kernel, **settings)


CASES: dict[str, tuple[Any, type[Exception], str]] = {
    "broadcast": (lambda: elementwise.add(t(2, 3), t(2, 4)), ShapeError, r"\(2, 3\) and \(2, 4\) cannot be broadcast"),
    "matmul": (lambda: linalg.matmul(t(2, 3), t(4, 2)), ShapeError, "3 columns meet 4 rows"),
    "matmul rank": (lambda: linalg.matmul(t(2), t(2, 2)), ShapeError, "rank 2 or more"),
    "dot": (lambda: products.dot(t(None, 3), t(4, 2)), ShapeError, "size 3, axis 0 of the second has size 4"),
    "batch_dot batch": (lambda: products.batch_dot(t(2, 3), t(4, 3), 1), ShapeError, "batch sizes differ"),
    "batch_dot axis 0": (lambda: products.batch_dot(t(2, 3), t(2, 3), 0), ArgumentError, "axis 0, the batch"),
    "batch_dot axes": (lambda: products.batch_dot(t(2, 3), t(2, 3), (1, [1])), ArgumentError, "two integers"),
    "reshape": (lambda: shaping.reshape(t(2, 3), (4, 2)), ShapeError, "6 elements do not fit"),
    "reshape divides": (lambda: shaping.reshape(t(2, 3), (4, -1)), ShapeError, "do not divide by 4"),
    "reshape unknown": (lambda: shaping.reshape(t(2, 3), (-1, None)), ShapeError, "Only one size"),
    "transpose": (lambda: shaping.transpose(t(2, 3), (0, 0)), ShapeError, "not a permutation"),
    "squeeze": (lambda: shaping.squeeze(t(2, 3), 0), ShapeError, "its size is not 1"),
    "axis": (lambda: activation.softmax(t(2, 3), 2), ShapeError, "Axis 2 is out of range"),
    "concatenate": (lambda: joining.concatenate([t(2, 3), t(2, 4)], 0), ShapeError, "axis 1 differs"),
    "concatenate none": (lambda: joining.concatenate([], 0), ShapeError, "at least one"),
    "stack": (lambda: joining.stack([t(2), t(3)]), ShapeError, "they differ"),
    "index": (lambda: t(2, 3)[2], ShapeError, "Index 2 is out of range for an axis of size 2"),
    "indices": (lambda: t(2)[0, 0], ShapeError, "Too many indices"),
    "pad": (lambda: shaping.pad(t(2, 3), [(1, 1)]), ShapeError, "for each axis"),
    "conv channels": (
        lambda: _conv(t(None, 8, 8, 4), t(3, 3, 3, 16)), ShapeError,
        "expects 3 input channels, but received 4: the input has shape \\(None, 8, 8, 4\\)",
    ),
    "conv groups": (lambda: _conv(t(1, 8, 4), t(3, 2, 3), groups=2), ShapeError, "cannot be parted into 2 groups"),
    "conv rank": (lambda: _conv(t(1, 8, 4), t(3, 3, 4, 2)), ShapeError, "a kernel of rank 3"),
    "conv images": (lambda: _conv(t(8, 4), t(3, 4)), ShapeError, "rank 3, 4 or 5"),
    "conv window": (lambda: _conv(t(1, 2, 4), t(3, 4, 2)), ShapeError, "size 3 does not fit axis 1"),
    "conv padding": (lambda: _conv(t(1, 8, 4), t(3, 4, 2), padding="causal"), ArgumentError, "padded on the left"),
    "conv layout": (lambda: _conv(t(1, 8, 4), t(3, 4, 2), data_format="NHWC"), ArgumentError, "channels_last"),
    "conv strides": (lambda: _conv(t(1, 8, 8, 4), t(3, 3, 4, 2), strides=(1,)), ArgumentError, "2 positive integers"),
    "conv_transpose": (
        lambda: convolution.conv_transpose(t(1, 4, 2), t(3, 5, 2), (1, 20, 5), 2, "same", 1, "channels_last"),
        ShapeError, "does not give 4",
    ),
    "pool window": (
        lambda: pooling.max_pool(t(1, 2, 2, 1), 3, 1, "valid", "channels_last"), ShapeError, "does not fit axis 1",
    ),
    "pool gradient": (
        lambda: pooling.max_pool_grad(t(1, 3, 1), t(1, 4, 1), 2, 2, "valid", "channels_last"), ShapeError,
        r"gives shape \(1, 2, 1\), but the gradient has shape \(1, 3, 1\)",
    ),
    "bias": (lambda: nn.bias_add(t(2, 3), t(4)), ShapeError, r"bias of shape \(4,\) does not fit"),
    "bias rank": (lambda: nn.bias_add(t(2, 3, 4), t(2, 2, 3, 4)), ShapeError, "rank 1 or 2"),
    "dropout": (lambda: nn.dropout(t(2), 1.5), ArgumentError, r"level in \[0, 1\)"),
    "noise": (lambda: nn.dropout(t(2, 3), 0.5, (2,)), ShapeError, "noise_shape of 2 entries"),
    "batch_norm": (lambda: norm.batch_norm(t(2, 3), t(4), None, 1, 1e-3), ShapeError, r"gamma of shape \(3,\)"),
    "moments": (lambda: norm.batch_normalization(t(2, 3), t(4), t(3), None, None), ShapeError, "expects mean"),
    "one-hot targets": (lambda: crossentropy.softmax_crossentropy(t(2), t(2, 3)), ShapeError, "Class indices"),
    "float classes": (lambda: crossentropy.sparse_softmax_crossentropy(t(2), t(2, 3)), DTypeError, "integer class"),
    "class shape": (
        lambda: crossentropy.sparse_softmax_crossentropy(t(2, 1, dtype="int32"), t(2, 3)), ShapeError,
        "one class index",
    ),
    "lstm kernel": (
        lambda: rnn.lstm(t(1, 2, 3), t(1, 4), t(1, 4), t(3, 8), t(4, 16), None, None, "tanh", "sigmoid", True, False),
        ShapeError, r"kernel of shape \(3, 16\), got \(3, 8\)",
    ),
    "activation": (
        lambda: rnn.simple_rnn(t(1, 2, 3), t(1, 4), t(3, 4), t(4, 4), None, None, "tahn", True, False),
        UnknownNameError, "Did you mean 'tanh'",
    ),
    "optimizer lists": (
        lambda: optimizer.sgd_update([t(2)], [t(2)], [], 0.1, 0.9, False), GraphError, "1 params, but 0 moments",
    ),
    "optimizer shapes": (
        lambda: optimizer.sgd_update([t(2)], [t(3)], [t(2)], 0.1, 0.9, False), ShapeError, "cannot have grads of shape",
    ),
    "no tensor": (lambda: elementwise.add(t(2), None), GraphError, "got None"),
    "strings": (lambda: elementwise.add(t(2), ["a"]), DTypeError, "(?i)dtype|numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    call, kind, message = CASES[name]
    with pytest.raises(kind, match=message):
        call()


def test_a_name_is_declared_once() -> None:
    with pytest.raises(GraphError, match="declared twice"):

        @primitive()
        def add(x: Any) -> Any:
            return x


def test_a_misspelt_option_of_a_declaration_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown_option"):

        @primitive(unknown_option=1)
        def an_op_of_this_test(x: Any) -> Any:
            return x
