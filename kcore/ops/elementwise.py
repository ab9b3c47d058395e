"""All elementwise primitives in one place; they are declared in arithmetic, comparison and exponential."""

from __future__ import annotations

from kcore.ops.arithmetic import (
    abs_,
    add,
    divide,
    floor_divide,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    power,
    rsqrt,
    sign,
    sqrt,
    square,
    subtract,
)
from kcore.ops.broadcasting import unbroadcast, zeros_of
from kcore.ops.comparison import (
    ceil,
    equal,
    floor,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
    round_,
    where,
)
from kcore.ops.exponential import cos, erf, exp, expm1, log, log1p, sigmoid, sin, softplus, tanh
from kcore.ops.structural import cast

__all__ = [
    "abs_", "add", "cast", "ceil", "cos", "divide", "equal", "erf", "exp", "expm1", "floor", "floor_divide", "greater",
    "greater_equal", "isfinite", "isnan", "less", "less_equal", "log", "log1p", "logical_and", "logical_not",
    "logical_or", "maximum", "minimum", "mod", "multiply", "negative", "not_equal", "power", "round_", "rsqrt",
    "sigmoid", "sign", "sin", "softplus", "sqrt", "square", "subtract", "tanh", "unbroadcast", "where", "zeros_of",
]  # fmt: skip
