"""Operations on the bits of int32 tensors. Threefry's body (the portable random mode) is made of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kcore_tf.kernels.table import KERNELS, kernel

KERNELS.update(bitwise_and=tf.bitwise.bitwise_and, bitwise_xor=tf.bitwise.bitwise_xor)


@kernel
def shift_left(x: Any, count: int) -> Any:
    return tf.bitwise.left_shift(x, count)


@kernel
def shift_right(x: Any, count: int) -> Any:
    # Signed numbers are shifted with copies of their sign, which the mask cuts off.
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(x, count), (1 << (32 - count)) - 1)
