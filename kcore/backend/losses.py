"""Cross-entropies as losses use them: from probabilities, or from logits."""

from __future__ import annotations

from typing import Any

from kcore import config
from kcore.backend.tensors import int_shape, ndim
from kcore.errors import ShapeError
from kcore.graph.ir import SymbolicTensor
from kcore.ops import crossentropy, dtypes, reduction, shaping, structural
from kcore.ops.activation import clip
from kcore.ops.elementwise import add, divide, log, multiply, negative, subtract
from kcore.ops.rules import canonical_axis
from kcore.ops.spec import spec_of


def _operand_of(output: Any, op: str) -> Any:
    """What the activation was applied to, when `output` comes straight from one; else None.

    Cross-entropy of a softmax or sigmoid is computed from its operand: exact where probabilities round to 0 or 1.
    """
    node = output.node if isinstance(output, SymbolicTensor) else None
    return node.arguments if node is not None and node.op.name == op else None


def _clipped(x: Any) -> Any:
    return clip(x, config.epsilon(), 1.0 - config.epsilon())


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy between distributions.

    Args:
        target: tensor of probabilities, in the shape of `output`.
        output: tensor of probabilities along `axis`, or of logits. Probabilities are normalised to a sum of 1, and
            kept epsilon away from 0 and 1.
        from_logits: whether `output` holds logits.
        axis: of the classes.

    Returns:
        The loss, without that axis.

    Raises:
        ShapeError: the shapes differ, or the axis is out of range.

    >>> K.eval(K.categorical_crossentropy(K.constant([[0., 1.]]), K.constant([[2., 2.]]))).round(4)
    array([0.6931], dtype=float32)
    """
    axis = canonical_axis(axis, ndim(output), "K.categorical_crossentropy")
    if not from_logits:
        softmax = _operand_of(output, "softmax")
        if softmax is None or softmax["axis"] != axis:
            output = _clipped(divide(output, reduction.sum(output, axis, keepdims=True)))
            return negative(reduction.sum(multiply(target, log(output)), axis))
        output = softmax["x"]
    return crossentropy.softmax_crossentropy(target, output, axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy between class indices and distributions.

    Args:
        target: integer tensor, in the shape of `output` without `axis`, or with that axis of size 1.
        output: tensor of probabilities along `axis`, or of logits.
        from_logits: whether `output` holds logits.
        axis: of the classes.

    Returns:
        The loss, without that axis.

    Raises:
        ShapeError: the axis is out of range.

    >>> target = K.constant([1], dtype="int32")
    >>> K.eval(K.sparse_categorical_crossentropy(target, K.constant([[0.5, 0.5]]))).round(4)
    array([0.6931], dtype=float32)
    """
    rank = ndim(output)
    axis = canonical_axis(axis, rank, "K.sparse_categorical_crossentropy")
    if not from_logits:
        softmax = _operand_of(output, "softmax")
        output = softmax["x"] if softmax is not None and softmax["axis"] == axis else log(_clipped(output))
    if axis != rank - 1:
        output = shaping.transpose(output, (*(a for a in range(rank) if a != axis), axis))
    if not dtypes.is_integer(spec_of(target).dtype):
        target = structural.cast(target, "int32")
    if ndim(target) == rank - 1:
        return crossentropy.sparse_softmax_crossentropy(target, output)
    shape = shaping.shape_of(output)
    if shape[-1] is None:
        raise ShapeError(f"The number of classes must be known; the output has shape {int_shape(output)}.")
    rows = crossentropy.sparse_softmax_crossentropy(
        shaping.reshape(target, (-1,)), output if rank == 2 else shaping.reshape(output, (-1, shape[-1]))
    )
    return rows if rank < 3 else shaping.reshape(rows, shape[:-1])


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of each element as a probability of its own.

    Args:
        target: tensor of probabilities.
        output: tensor of probabilities, or of logits; probabilities are kept epsilon away from 0 and 1.
        from_logits: whether `output` holds logits.

    Returns:
        A tensor of the common shape.

    >>> K.eval(K.binary_crossentropy(K.constant([1.]), K.constant([0.5]))).round(4)
    array([0.6931], dtype=float32)
    """
    if not from_logits:
        sigmoid = _operand_of(output, "sigmoid")
        if sigmoid is None:
            output, epsilon = _clipped(output), config.epsilon()
            ones = multiply(target, log(add(output, epsilon)))
            zeros = multiply(subtract(1, target), log(subtract(1 + epsilon, output)))
            return negative(add(ones, zeros))
        output = sigmoid["x"]
    return crossentropy.sigmoid_crossentropy(target, output)
