"""Python operators on symbolic values: `x + 1`, `x[:, 0]`, `x > 0`. Installed once, on import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kcore.errors import GraphError
from kcore.graph.ir import Symbolic, SymbolicTensor
from kcore.ops import elementwise as ew
from kcore.ops import linalg, shaping


def _backward(fn: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: fn(other, self)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": ew.add, "sub": ew.subtract, "mul": ew.multiply, "truediv": ew.divide, "floordiv": ew.floor_divide,
    "mod": ew.mod, "pow": ew.power, "and": ew.logical_and, "or": ew.logical_or, "matmul": linalg.matmul,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lt": ew.less, "le": ew.less_equal, "gt": ew.greater, "ge": ew.greater_equal,
}  # fmt: skip

for _name, _fn in _BINARY.items():
    setattr(Symbolic, f"__{_name}__", _fn)
    setattr(Symbolic, f"__r{_name}__", _backward(_fn))
for _name, _fn in _COMPARE.items():
    setattr(Symbolic, f"__{_name}__", _fn)


def _to_array(self: SymbolicTensor, dtype: Any = None, copy: bool | None = None) -> Any:
    from kcore.graph.function import evaluate

    array = evaluate([self])[0]
    return array if dtype is None else array.astype(dtype)


def _scalar(kind: type) -> Callable[[Any], Any]:
    def convert(self: Any) -> Any:
        array = _to_array(self)
        if array.size != 1:
            raise GraphError(f"Only a tensor of one element becomes {kind.__name__}; this one has shape {array.shape}.")
        return kind(array.reshape(()))

    return convert


_OTHER: dict[str, Callable[..., Any]] = {
    "neg": ew.negative, "abs": ew.abs_, "invert": ew.logical_not, "getitem": shaping.getitem,
}  # fmt: skip
for _name, _method in _OTHER.items():
    setattr(Symbolic, f"__{_name}__", _method)

SymbolicTensor.__array__ = _to_array  # type: ignore[attr-defined]
SymbolicTensor.numpy = _to_array  # type: ignore[attr-defined]
SymbolicTensor.__float__ = _scalar(float)  # type: ignore[attr-defined]
SymbolicTensor.__int__ = _scalar(int)  # type: ignore[attr-defined]
