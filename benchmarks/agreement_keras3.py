"""kcore's ops in Keras 3's words: for each op that `keras.ops` has too, a call of it with kcore's arguments.

Data only; `agreement.py` runs them. A counterpart takes `keras.ops` and the arguments by name, tensors already native.
Ops whose meaning differs in ordinary cases (other layouts, other parameters) have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Counterpart = Callable[[Any, dict[str, Any]], Any]

_UNARY = (
    "logical_not", "floor", "ceil", "round", "isnan", "isfinite", "stop_gradient", "copy", "shape", "zeros_like",
    "ones_like", "size", "negative", "abs", "sign", "square", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "sin",
    "cos", "tanh", "sigmoid", "softplus", "erf", "selu", "softsign",
)  # fmt: skip
_BINARY = (
    "equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or", "add",
    "subtract", "multiply", "divide", "floor_divide", "mod", "power", "maximum", "minimum", "matmul", "bitwise_and",
    "bitwise_xor",
)  # fmt: skip
_REDUCTIONS = ["sum", "mean", "prod", "max", "min", "any", "all", "var", "std", "logsumexp"]


def _one(name: str) -> Counterpart:
    return lambda ops, a: getattr(ops, name)(a["x"])


def _two(name: str) -> Counterpart:
    return lambda ops, a: getattr(ops, name)(a["x"], a["y"])


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _reduction(name: str) -> Counterpart:
    return lambda ops, a: getattr(ops, name)(a["x"], axis=_axis(a["axis"]), keepdims=a["keepdims"])


def _along(name: str) -> Counterpart:
    return lambda ops, a: getattr(ops, name)(a["x"], axis=a["axis"])


def _clip(ops: Any, a: dict[str, Any]) -> Any:
    low, high = a["min_value"], a["max_value"]
    return ops.clip(a["x"], -float("inf") if low is None else low, float("inf") if high is None else high)


def _top_k(ops: Any, a: dict[str, Any]) -> Any:
    return ops.top_k(a["x"], a["k"])


COUNTERPARTS: dict[str, Counterpart] = {
    **{name: _one(name) for name in _UNARY},
    **{name: _two(name) for name in _BINARY},
    **{name: _reduction(name) for name in _REDUCTIONS},
    **{name: _along(name) for name in ("argmax", "argmin", "cumsum", "cumprod", "softmax", "log_softmax")},
    "where": lambda ops, a: ops.where(a["condition"], a["x"], a["y"]),
    "cast": lambda ops, a: ops.cast(a["x"], a["dtype"]),
    "concatenate": lambda ops, a: ops.concatenate(a["xs"], axis=a["axis"]),
    "stack": lambda ops, a: ops.stack(a["xs"], axis=a["axis"]),
    "reshape": lambda ops, a: ops.reshape(a["x"], a["shape"]),
    "transpose": lambda ops, a: ops.transpose(a["x"], a["perm"]),
    "expand_dims": lambda ops, a: ops.expand_dims(a["x"], a["axis"]),
    "squeeze": lambda ops, a: ops.squeeze(a["x"], _axis(a["axis"])),
    "broadcast_to": lambda ops, a: ops.broadcast_to(a["x"], a["shape"]),
    "tile": lambda ops, a: ops.tile(a["x"], a["n"]),
    "repeat_elements": lambda ops, a: ops.repeat(a["x"], a["rep"], axis=a["axis"]),
    "reverse": lambda ops, a: ops.flip(a["x"], axis=_axis(a["axis"])),
    "pad": lambda ops, a: ops.pad(a["x"], a["padding"], constant_values=a["value"]),
    "clip": _clip,
    "elu": lambda ops, a: ops.elu(a["x"], a["alpha"]),
    "hard_sigmoid": lambda ops, a: ops.clip(a["x"] * 0.2 + 0.5, 0.0, 1.0),
    "shift_left": lambda ops, a: ops.left_shift(a["x"], a["count"]),
    "full": lambda ops, a: ops.full(a["shape"], a["value"], a["dtype"]),
    "arange": lambda ops, a: ops.arange(a["start"], a["stop"], a["step"], a["dtype"]),
    "gather": lambda ops, a: ops.take(a["x"], a["indices"], axis=a["axis"]),
    "one_hot": lambda ops, a: ops.one_hot(a["indices"], a["num_classes"], dtype=a["dtype"]),
    "top_k": _top_k,
    "in_top_k": lambda ops, a: ops.in_top_k(a["targets"], a["predictions"], a["k"]),
    "softmax_crossentropy": lambda ops, a: ops.categorical_crossentropy(
        a["target"], a["logits"], from_logits=True, axis=a["axis"]
    ),
    "sparse_softmax_crossentropy": lambda ops, a: ops.sparse_categorical_crossentropy(
        a["target"], a["logits"], from_logits=True
    ),
    "sigmoid_crossentropy": lambda ops, a: ops.binary_crossentropy(a["target"], a["logits"], from_logits=True),
    "dot": lambda ops, a: ops.tensordot(a["x"], a["y"], [[a["x"].ndim - 1], [max(a["y"].ndim - 2, 0)]]),
    "l2_normalize": lambda ops, a: ops.normalize(a["x"], axis=-1 if a["axis"] is None else a["axis"]),
    "max_pool": lambda ops, a: ops.max_pool(
        a["x"], a["pool_size"], strides=a["strides"], padding=a["padding"], data_format=a["data_format"]
    ),
    "avg_pool": lambda ops, a: ops.average_pool(
        a["x"], a["pool_size"], strides=a["strides"], padding=a["padding"], data_format=a["data_format"]
    ),
    "conv": lambda ops, a: ops.conv(
        a["x"], a["kernel"], strides=a["strides"], padding=a["padding"], data_format=a["data_format"],
        dilation_rate=a["dilation"],
    ),
}  # fmt: skip
