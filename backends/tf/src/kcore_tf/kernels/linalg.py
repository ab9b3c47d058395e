"""Matrix products."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import WIDER, kernel, size, through


def _matmul(x: Any, y: Any) -> Any:
    if y.shape.rank == 2 and x.shape.rank > 2 and x.shape.is_fully_defined():
        # One product of two matrices is faster than a batch of them, and so is its gradient.
        flat = tf.matmul(tf.reshape(x, [size(x.shape[:-1]), x.shape[-1]]), y)
        return tf.reshape(flat, [*x.shape[:-1], y.shape[-1]])
    return tf.matmul(x, y)


_product = through(_matmul, WIDER)


@kernel
def matmul(x: Any, y: Any) -> Any:
    return _product(x, y)
